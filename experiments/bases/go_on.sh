#!/usr/bin/env bash
# Goes on with the base and its twin in the background: experiments/bases/go_on.sh [FOLDER], FOLDER being a folder beside the checkout
# (by default ../runs) that holds the checkout of the runs' commit and all run folders. Call it again after every interruption.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../background.sh"
enter_checkout f8a162b "$@"  # `mixture`, which stopped at step 4,677, is of 4faf664
one_by_one steps_to_quality/bases/go_on.log experiments/bases/mixture.yaml mixture_prior-0 mixture_prior_corr-0
