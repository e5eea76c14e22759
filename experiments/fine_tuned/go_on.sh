#!/usr/bin/env bash
# Goes on with the runs in the background: experiments/fine_tuned/go_on.sh [FOLDER [RUN ...]], FOLDER being a folder beside the checkout (by
# default ../runs) that holds the checkout of the runs' commit and all run folders, a RUN being ARM-SEED or a pattern such as "rays-*". By
# default all go, seed by seed. Call it again after every interruption.
set -euo pipefail
commit=COMMIT  # all runs are of this one
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(git -C "$here" rev-parse --show-toplevel)
mkdir -p "${1:-$root/../runs}/steps_to_quality"
runs=$(cd "${1:-$root/../runs}" && pwd)
[[ $# -eq 0 ]] || shift
[[ $# -gt 0 ]] || set -- "*-0" "*-1" "*-2"
code=$runs/code-$commit
[[ -d $code ]] || { git -C "$root" worktree prune; git -C "$root" worktree add --detach "$code" "$commit"; }
[[ -e $code/.venv ]] || ln -s "$(cd "$root/.venv" && pwd -P)" "$code/.venv"
cd "$code"
export PYTHONPATH=$code OMP_NUM_THREADS=1
log=$runs/steps_to_quality/fine_tuned.log
# A run that fails is listed in the log and left for the next call; the others go on.
setsid nohup nice -n 15 bash -c 'for name; do .venv/bin/python -m mvt4g sweep experiments/fine_tuned/nano.yaml --only "$name" --threads 1 || [[ $? -eq 2 ]] || exit; done' \
    go_on "$@" >>"$log" 2>&1 &
echo "go_on: started, see $log; stop it by: kill -TERM -- -$!"
