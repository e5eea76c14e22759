#!/usr/bin/env bash
# Goes on with the runs in the background: experiments/steps_to_quality/go_on.sh [FOLDER], FOLDER being a folder beside the
# checkout (by default ../runs) that holds the checkout of the runs' commit and all run folders. Call it again after every interruption;
# called twice, two runs go at a time.
set -euo pipefail
commit=df7f115  # all runs of nano.yaml and schedule.yaml are of this one
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(git -C "$here" rev-parse --show-toplevel)
mkdir -p "${1:-$root/../runs}"
runs=$(cd "${1:-$root/../runs}" && pwd)
code=$runs/code-$commit
[[ -d $code ]] || { git -C "$root" worktree prune; git -C "$root" worktree add --detach "$code" "$commit"; }
[[ -e $code/.venv ]] || ln -s "$(cd "$root/.venv" && pwd -P)" "$code/.venv"
mkdir -p "$runs/steps_to_quality"
cd "$code"
export PYTHONPATH=$code OMP_NUM_THREADS=1
setsid nohup nice -n 19 .venv/bin/python "$here/go_on.py" >>"$runs/steps_to_quality/go_on.log" 2>&1 &
echo "go_on: started, see $runs/steps_to_quality/go_on.log; stop it by: kill -TERM -- -$!"
