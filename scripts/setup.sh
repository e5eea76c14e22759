#!/usr/bin/env bash
# Makes .venv as pyproject.toml and constraints.txt say, or finds in a blink that it is so already. `make setup` calls it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

VENV=.venv
PYTHON=$VENV/bin/python
STAMP=$VENV/.installed        # holds what was installed; absent while an install runs
UNFINISHED=$VENV/.unfinished  # left behind by an install that was killed: its packages may be half there

fail() {
    echo "setup: $*" >&2
    exit 1
}

# Shared libraries that Open3D's wheel links to and does not bring, and the Debian package of each.
install_open3d_libraries() {
    [[ $(uname -s) == Linux ]] || return 0
    local cache missing=() pair
    cache=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p)
    for pair in libusb-1.0.so.0=libusb-1.0-0 libGL.so.1=libgl1 libEGL.so.1=libegl1 libX11.so.6=libx11-6 \
        libudev.so.1=libudev1 libidn2.so.0=libidn2-0; do
        [[ $cache == *"${pair%%=*} "* ]] || missing+=("${pair#*=}")
    done
    ((${#missing[@]})) || return 0
    if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
        fail "Open3D needs system libraries; type: sudo apt-get update && sudo apt-get install -y ${missing[*]}"
    fi
    echo "setup: installing ${missing[*]} for Open3D"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# The browser that tests of HTML pages drive; without it they are skipped.
install_browser() {
    [[ $(uname -s) == Linux ]] || return 0
    ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null || return 0
    if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
        echo "setup: tests of HTML pages are skipped without a browser; Debian's package: sudo apt-get install chromium"
        return 0
    fi
    echo "setup: installing chromium for the tests of HTML pages"
    { apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; } >/dev/null 2>&1 ||
        echo "setup: chromium could not be installed; tests of HTML pages are skipped"
}

recent_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if recent_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "found no Python >= 3.11 on PATH"
}

make_venv() {
    local python
    python=$(find_python)
    echo "setup: making $VENV with $("$python" --version)"
    rm -rf "$VENV"
    mkdir "$VENV"
    touch "$UNFINISHED"
    "$python" -m venv "$VENV"
}

# Whether an install can go into the .venv that is there: its scripts start with its place, so one that moved cannot serve.
usable_venv() {
    [[ ! -f $UNFINISHED ]] && recent_enough "$PYTHON" && "$PYTHON" -m pip --version >/dev/null 2>&1 &&
        head -n 2 "$VENV/bin/pip" | grep -q -F "$(pwd -P)/$VENV/bin/"
}

# What the installation depends on, in one line.
wanted() {
    { pwd -P; cat pyproject.toml constraints.txt scripts/setup.sh; } | cksum
}

# Two makes at once take turns; the second finds the work done.
exec 9<pyproject.toml
if command -v flock >/dev/null; then flock 9; fi

install_open3d_libraries
WANTED=$(wanted)
if [[ -f $STAMP && $(<"$STAMP") == "$WANTED" ]] && recent_enough "$PYTHON"; then
    exit 0
fi
install_browser
usable_venv || make_venv
"$PYTHON" -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
INSTALL=("$PYTHON" -m uv pip install --python "$PYTHON" --constraint constraints.txt --editable ".[dev]")
# What cannot be resolved or built must not spoil the packages that are there.
"${INSTALL[@]}" --dry-run --quiet || fail "nothing was installed, since the requirements cannot be met"

echo "setup: installing into $VENV (the first time some GB are fetched)"
rm -f "$STAMP"
touch "$UNFINISHED"
quiet=(--quiet)
if [[ -t 2 ]]; then quiet=(); fi  # a person sees uv's progress bars
"${INSTALL[@]}" "${quiet[@]}" --compile-bytecode
rm "$UNFINISHED"
echo "$WANTED" >"$STAMP"
echo "setup: $VENV is ready"
