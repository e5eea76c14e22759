#!/usr/bin/env bash
# Goes on with the best arm at full length in the background: experiments/recipe/go_on_confirm.sh [FOLDER [RUN ...]], as go_on.sh beside it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../background.sh"
enter_checkout 498456e "${1:-}"  # all runs are of this commit
names=("${@:2}")
[[ $# -ge 2 ]] || names=("prior*" "*")
one_by_one steps_to_quality/confirm.log "$here/confirm.yaml" "${names[@]}"
