#!/usr/bin/env bash
# Goes on with the runs in the background: experiments/recipe/go_on.sh [FOLDER [RUN ...]], FOLDER being a folder beside the checkout (by
# default ../runs) that holds the checkout of the runs' commit and all run folders, a RUN being ARM-SEED or a pattern such as "prior*-0". By
# default all go. Call it again after every interruption.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../background.sh"
enter_checkout 498456e "${1:-}"  # all runs are of this commit
names=("${@:2}")
[[ $# -ge 2 ]] || names=("*")
one_by_one steps_to_quality/recipe.log experiments/recipe/nano.yaml "${names[@]}"
