#!/usr/bin/env bash
# Goes on with the base and its twin in the background: experiments/bases/go_on.sh [FOLDER], FOLDER being a folder beside the checkout
# (by default ../runs) that holds the checkout of the runs' commit and all run folders. Call it again after every interruption.
set -euo pipefail
commit=4faf664  # all runs of mixture.yaml are of this one
root=$(git -C "$(dirname "${BASH_SOURCE[0]}")" rev-parse --show-toplevel)
mkdir -p "${1:-$root/../runs}/steps_to_quality/bases"
runs=$(cd "${1:-$root/../runs}" && pwd)
code=$runs/code-$commit
[[ -d $code ]] || { git -C "$root" worktree prune; git -C "$root" worktree add --detach "$code" "$commit"; }
[[ -e $code/.venv ]] || ln -s "$(cd "$root/.venv" && pwd -P)" "$code/.venv"
cd "$code"
export PYTHONPATH=$code OMP_NUM_THREADS=1
log=$runs/steps_to_quality/bases/go_on.log
setsid nohup nice -n 15 .venv/bin/python -m mvt4g.sweeps.sweep experiments/bases/mixture.yaml --threads 1 >>"$log" 2>&1 &
echo "go_on: started, see $log; stop it by: kill -TERM -- -$!"
