#!/usr/bin/env bash
# Goes on with the runs in the background: experiments/fine_tuned/go_on.sh [FOLDER [RUN ...]], FOLDER being a folder beside the checkout (by
# default ../runs) that holds the checkout of the runs' commit and all run folders, a RUN being ARM-SEED or a pattern such as "*-0". By default
# all go, seed by seed, in the order in which they answer the question. Call it again after every interruption.
set -euo pipefail
commit=35fd0e8  # all runs are of this one
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(git -C "$here" rev-parse --show-toplevel)
mkdir -p "${1:-$root/../runs}/steps_to_quality"
runs=$(cd "${1:-$root/../runs}" && pwd)
[[ $# -eq 0 ]] || shift
if [[ $# -eq 0 ]]; then
    for seed in 0 1 2; do
        for arm in rays corr0.1 corr1_gone prior prior_corr_gone corr0.01 both_gone both0.01 track0.01; do set -- "$@" "$arm-$seed"; done
    done
fi
code=$runs/code-$commit
[[ -d $code ]] || { git -C "$root" worktree prune; git -C "$root" worktree add --detach "$code" "$commit"; }
[[ -e $code/.venv ]] || ln -s "$(cd "$root/.venv" && pwd -P)" "$code/.venv"
cd "$code"
export PYTHONPATH=$code OMP_NUM_THREADS=1
log=$runs/steps_to_quality/fine_tuned.log
# 2: a run failed; the log says why, it is left for the next call, and the others go on. Any other code is that of an interruption.
each='for run; do .venv/bin/python -m mvt4g sweep experiments/fine_tuned/nano.yaml --only "$run" --threads 1 || [[ $? -eq 2 ]] || exit; done'
setsid nohup nice -n 15 bash -c "$each" go_on "$@" >>"$log" 2>&1 &
echo "go_on: started, see $log; stop it by: kill -TERM -- -$!"
