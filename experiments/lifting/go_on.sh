#!/usr/bin/env bash
# Goes on with the runs in the background: experiments/lifting/go_on.sh [FOLDER [SEED ...]], FOLDER being a folder beside the checkout (by
# default ../runs) that holds the checkout of the runs' commit and all run folders. Call it again after every interruption.
set -euo pipefail
commit=a1d9660  # all runs are of this one
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(git -C "$here" rev-parse --show-toplevel)
mkdir -p "${1:-$root/../runs}/lifting"
runs=$(cd "${1:-$root/../runs}" && pwd)
[[ $# -eq 0 ]] || shift
code=$runs/code-$commit
[[ -d $code ]] || { git -C "$root" worktree prune; git -C "$root" worktree add --detach "$code" "$commit"; }
[[ -e $code/.venv ]] || ln -s "$(cd "$root/.venv" && pwd -P)" "$code/.venv"
cd "$code"
export PYTHONPATH=$code OMP_NUM_THREADS=1
seeds=()
[[ $# -eq 0 ]] || seeds=(--seeds "$@")
setsid nohup .venv/bin/python -m experiments.lifting.go_on "${seeds[@]}" >>"$runs/lifting/go_on.log" 2>&1 &
echo "go_on: started, see $runs/lifting/go_on.log; stop it by: kill -TERM -- -$!"
