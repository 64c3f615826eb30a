"""How long until the first step? A worker of scripts/benchmark.py, for --start."""

import itertools
import time

from benchmark_side import serve


def prepare(job):
    """Does once what a first step of training needs; see `serve`.

    Returns:
        about: dict, "seconds" of each part and in all.
    """
    marks = [("", time.perf_counter())]

    def done(part):
        marks.append((part, time.perf_counter()))

    import mrcnn_tf as mr  # in the function: this is the first part

    network = mr.MaskRCNN  # with it comes TensorFlow
    done("import")
    if job["cpu"]:
        import tensorflow as tf

        tf.config.set_visible_devices([], "GPU")
    data = mr.datasets.load("shapes").train
    model = network(mr.Config.preset(job["preset"], classes=data.classes))
    done("build")
    model.compile()
    done("compile")
    batches = mr.datasets.batches(data, model.config, True)
    model.fit(batches, steps_per_epoch=1, verbose=0)
    done("first step")
    seconds = {
        part: end - begin for (_, begin), (part, end) in itertools.pairwise(marks)
    }
    return {"seconds": {**seconds, "all": marks[-1][1] - marks[0][1]}}, {}


if __name__ == "__main__":
    serve(prepare)
