#!/usr/bin/env bash
# Sets everything up, then runs lesson 00 without a browser: a Mask R-CNN learns
# to find, classify and outline objects.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "quickstart: about 5 minutes on two cores,"
echo "quickstart: after 2 to 5 minutes of installation the first time"
scripts/setup.sh

export TF_CPP_MIN_LOG_LEVEL=2
lesson=00_start_here
rm -f "outputs/$lesson/ap.txt" # an old table must not pass for a new one
.venv/bin/python scripts/run_notebooks.py --full --html "notebooks/$lesson.ipynb"

echo
cat "outputs/$lesson/ap.txt"
echo
echo "quickstart: the lesson with its figures: outputs/lessons/$lesson.html"
echo "quickstart: the figures: $(printf '%s ' "outputs/$lesson"/*.png)"
echo "quickstart: all lessons, in JupyterLab: .venv/bin/jupyter lab notebooks"
