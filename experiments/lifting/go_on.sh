#!/usr/bin/env bash
# Goes on with the runs in the background: experiments/lifting/go_on.sh [FOLDER [SEED ...]], FOLDER being a folder beside the checkout (by
# default ../runs) that holds the checkout of the runs' commit and all run folders. Call it again after every interruption.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../background.sh"
enter_checkout a1d9660 "${1:-}"  # all runs are of this commit
seeds=()
[[ $# -lt 2 ]] || seeds=(--seeds "${@:2}")
in_background lifting/go_on.log .venv/bin/python -m experiments.lifting.go_on "${seeds[@]}"
