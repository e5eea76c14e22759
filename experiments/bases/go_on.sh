#!/usr/bin/env bash
# Goes on with the base and its twin in the background: experiments/bases/go_on.sh [FOLDER], FOLDER being a folder beside the checkout
# (by default ../runs) that holds the checkout of the runs' commit and all run folders. Call it again after every interruption.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../background.sh"
enter_checkout 4faf664 "$@"  # all runs of mixture.yaml are of this commit
in_background steps_to_quality/bases/go_on.log nice -n 15 .venv/bin/python -m mvt4g.sweeps.sweep experiments/bases/mixture.yaml --threads 1
