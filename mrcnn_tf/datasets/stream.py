"""Samples in the order of training, loaded ahead of it by TensorFlow's threads.

What is random in an image comes from the seed and its place in the stream alone, so
the same seed gives the same stream whatever the threads do.
"""

import atexit
import functools
import threading
import time

import numpy as np
import tensorflow as tf

# TensorFlow's threads load ahead until their buffers are full. One that calls
# Python while the interpreter shuts down aborts or hangs the process, so at exit
# loading fails at once, and the buffers are left a moment to fill.
_exiting = threading.Event()
_INT32 = 2**31


@atexit.register
def _stop_loading():
    _exiting.set()
    time.sleep(0.3)  # seconds


def stream(
    dataset, arrays, types, training, seed=0, augment=None, first=0, share=(0, 1, 1)
):
    """Makes a stream of what a network wants to know of each sample.

    Args:
        dataset: `len` and `[i]` giving a Sample.
        arrays: callable Sample -> tuple of NumPy arrays; called in several threads.
        types: tuple of their TensorFlow types.
        training: True shuffles anew each epoch, repeats without end and applies
            `augment`; False goes through once in order.
        seed: int; the same seed gives the same stream.
        augment: callable (Sample, NumPy Generator, dataset) -> Sample, or None for
            none; it may take more of the dataset.
        first: place in the stream to begin at; what follows is as if it had begun
            at 0.
        share: (which, of, count): of every `of` times `count` places, those of the
            `which`-th `count` alone, from 0.
    Returns:
        tf.data.Dataset of tuples (*arrays, index, draw), of unknown shapes: `index`
        is int32, i of `dataset[i]`; `draw` is int32 [2], `seed` and the place, for
        what a network draws at random about this image.
    Raises:
        ValueError: for an empty dataset. A fault of one sample is raised by
            TensorFlow as the stream is read, and names the image.
    """
    count = len(dataset)
    if count == 0:
        raise ValueError(
            "the dataset is empty: expected at least one image, found none; "
            "is its folder or its split right?"
        )

    @functools.lru_cache(maxsize=2)  # two epochs meet inside a batch
    def order(epoch):
        return np.random.default_rng((seed, epoch)).permutation(count)

    def load(place):
        if _exiting.is_set():
            raise RuntimeError("Python is shutting down")
        index, rng = place, None
        if training:
            index = order(place // count)[place % count]
            rng = np.random.default_rng((seed, place))
        try:
            sample = dataset[int(index)]
            if training and augment is not None:
                sample = augment(sample, rng, dataset)
            draw = np.array([seed % _INT32, place % _INT32], np.int32)
            return *arrays(sample), np.int32(index), draw
        # TensorFlow takes some exceptions for the end of the data; not this one.
        except Exception as error:
            raise ValueError(
                f"dataset[{index}]: {type(error).__name__}: {error}"
            ) from error

    def element(place):
        return tuple(
            tf.numpy_function(
                load, [place], [*types, tf.int32, tf.int32], stateful=False
            )
        )

    places = tf.data.Dataset.range(first, tf.int64.max if training else count)
    which, of, length = share
    if of > 1:
        places = places.filter(lambda place: place // length % of == which)
    return places.map(element, num_parallel_calls=tf.data.AUTOTUNE)
