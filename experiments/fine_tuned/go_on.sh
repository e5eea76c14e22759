#!/usr/bin/env bash
# Goes on with the runs in the background: experiments/fine_tuned/go_on.sh [FOLDER [RUN ...]], FOLDER being a folder beside the checkout (by
# default ../runs) that holds the checkout of the runs' commit and all run folders, a RUN being ARM-SEED or a pattern such as "*-0". By default
# all go, seed by seed, in the order in which they answer the question. Call it again after every interruption.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../background.sh"
enter_checkout 35fd0e8 "${1:-}"  # all runs are of this commit
names=("${@:2}")
if [[ $# -lt 2 ]]; then
    for seed in 0 1 2; do
        for arm in rays corr0.1 corr1_gone prior prior_corr_gone corr0.01 both_gone both0.01 track0.01 \
            corr0.1_mean corr0.1_block0 corr0.1_block2 corr0.1_block3; do names+=("$arm-$seed"); done
    done
fi
one_by_one steps_to_quality/fine_tuned.log "$here/nano.yaml" "${names[@]}"
