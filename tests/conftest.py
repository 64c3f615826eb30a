"""Set before TensorFlow loads, also for those who run pytest by hand."""

import os

# The processor alone, so that every machine computes the same.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")
