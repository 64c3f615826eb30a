#!/usr/bin/env bash
# Sets everything up, then proves the code: linter, format, tests, lessons.
#
#   scripts/test.sh           everything, the lessons too; under 30 minutes
#   scripts/test.sh --fast    without what is marked slow; under 6 minutes
#
# More arguments go to pytest: scripts/test.sh --fast tests/test_boxes.py -x
set -euo pipefail
cd "$(dirname "$0")/.."

selection="slow or not slow"
if [ "${1:-}" = --fast ]; then
    selection="not slow"
    shift
    echo "test: the fast tests, under 6 minutes on two cores"
else
    echo "test: all tests and lessons, under 30 minutes on two cores"
fi
scripts/setup.sh

# The processor alone, so that every machine computes the same; no windows.
export CUDA_VISIBLE_DEVICES=-1 TF_CPP_MIN_LOG_LEVEL=3 MPLBACKEND=Agg

.venv/bin/ruff check .
.venv/bin/ruff format --check .
# Two at a time, more would not fit every machine's memory; fails when no test ran too.
.venv/bin/python -m pytest -n 2 --dist worksteal -m "$selection" "$@"
