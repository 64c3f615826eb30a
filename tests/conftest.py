"""Set before TensorFlow loads, also for those who run pytest by hand."""

import os

import reference

# The processor alone, so that every machine computes the same.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")


def pytest_addoption(parser):
    parser.addoption("--proof", metavar="PAGE", help="write what was compared here")


def pytest_sessionfinish(session, exitstatus):
    page = session.config.getoption("--proof")
    if page and exitstatus == 0:
        reference.write_proof(page)
