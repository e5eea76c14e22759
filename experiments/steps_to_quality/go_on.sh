#!/usr/bin/env bash
# Goes on with the runs in the background: experiments/steps_to_quality/go_on.sh [FOLDER], FOLDER being a folder beside the
# checkout (by default ../runs) that holds the checkout of the runs' commit and all run folders. Call it again after every interruption;
# called twice, two runs go at a time.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../background.sh"
enter_checkout df7f115 "$@"  # all runs of nano.yaml and schedule.yaml are of this commit
in_background steps_to_quality/go_on.log .venv/bin/python "$here/go_on.py"
