#!/usr/bin/env bash
# Bundles the scene page's viewer with three.js into mvt4g/viz/scene_page/viewer/viewer.js, which the package ships.
# Run it after a change under mvt4g/viz/scene_page/viewer/src. It needs npm and a network; pages that are made do not.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

THREE=0.187.0
ESBUILD=0.28.2
VIEWER=$PWD/mvt4g/viz/scene_page/viewer
MODULES=${MODULES:-}  # a node_modules that holds both already

if [[ -z $MODULES ]]; then
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    npm install --prefix "$folder" --no-fund --no-audit --no-package-lock --silent "three@$THREE" "esbuild@$ESBUILD"
    MODULES=$folder/node_modules
fi
[[ $(node -p "require('$MODULES/three/package.json').version") == "$THREE" ]] || { echo "build_viewer: want three $THREE" >&2; exit 1; }

# What the bundle was built of: a test compares it with the sources, so that neither is committed without the other.
sources=$(cd "$VIEWER/src" && LC_ALL=C cat *.js | sha256sum | cut -c1-16)
NODE_PATH=$MODULES "$MODULES/.bin/esbuild" "$VIEWER/src/main.js" --bundle --minify --format=iife --target=es2021 --charset=utf8 \
    --legal-comments=eof --log-level=warning --banner:js="/* mvt4g viewer, sources $sources, three.js $THREE */" --outfile="$VIEWER/viewer.js"
echo "build_viewer: $(du -k "$VIEWER/viewer.js" | cut -f1) kB, sources $sources, three.js $THREE"
