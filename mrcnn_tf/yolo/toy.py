"""A small trained YOLO for the lessons: trained once, then read back."""

import hashlib
from pathlib import Path

import keras

from mrcnn_tf.datasets.augment import Augment
from mrcnn_tf.datasets.toy import Shapes
from mrcnn_tf.yolo.detector import Detector, load
from mrcnn_tf.yolo.networks import build
from mrcnn_tf.yolo.pipeline import batches
from mrcnn_tf.yolo.schedule import compile


def toy_detector(
    steps=3000,
    seed=0,
    scenes=None,
    size=112,
    grid=7,
    batch_size=16,
    peak=None,
    folder="outputs/models",
):
    """Returns the small YOLO trained on toy scenes; a second call reads it back.

    As `training.toy_model`, the file's name holds a digest of every number that made
    it. Keras's random seed is set to `seed` only where it is trained.

    Args:
        steps: batches to train on.
        seed: of the starting weights and the order of scenes.
        scenes: the dataset to learn from; None for `Shapes` of `seed + 1`.
        size: pixels a side that the network sees; at 112, a quarter of the paper's 448,
            a cell of the 7 x 7 is 16 pixels, as in the network's last features.
        grid: cells a side.
        batch_size: scenes.
        peak: the highest learning rate; None for that of `compile`.
        folder: where the trained network is kept, as a .keras file.
    Returns:
        a `Detector`.
    """
    scenes = scenes or Shapes(1_000_000, seed=seed + 1)
    kind = type(scenes).__name__
    numbers = f"{steps} {seed} {size} {grid} {batch_size} {peak} {kind} {vars(scenes)}"
    digest = hashlib.sha256(numbers.encode()).hexdigest()[:8]
    name = f"yolo_{kind.lower()}_{steps}_steps_seed_{seed}_{digest}.keras"
    path = Path(folder) / name
    if path.is_file():
        print(f"reading {path}, trained before")
        return load(path)
    print(f"training {steps} batches of {batch_size} scenes for {path}")
    keras.utils.set_random_seed(seed)
    model = build(scenes.classes, size=size, grid=grid)
    compile(model, steps, peak)
    boxes_per_cell = model.layers[-1].boxes_per_cell
    augment = Augment()
    model.fit(
        batches(scenes, size, grid, boxes_per_cell, batch_size, True, seed, augment),
        steps_per_epoch=steps,
        shuffle=False,  # `batches` has shuffled
        verbose=2,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    detector = Detector(model)
    detector.save(path)
    return detector
