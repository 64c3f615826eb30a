"""A small trained network for the lessons: trained once, then read back."""

import hashlib
from pathlib import Path

import keras

from mrcnn_tf.config import Config
from mrcnn_tf.datasets.pipeline import batches
from mrcnn_tf.datasets.toy import Shapes
from mrcnn_tf.mask_rcnn import MaskRCNN
from mrcnn_tf.training.checkpoints import save


def toy_model(steps=1000, seed=0, scenes=None, folder="outputs/models", **changes):
    """Returns the `tiny` preset trained on toy scenes; a second call reads it back.

    On two CPU cores 1000 steps of 8 scenes take four minutes, 200 steps of 4 scenes
    half a minute. The file's name holds a digest of every number that made it, so
    that a model of other numbers is never taken for this one.

    Args:
        steps: batches to train on.
        seed: of the starting weights and the order of scenes.
        scenes: the dataset to learn from; None for `Shapes` of `seed + 1`.
        folder: where the trained model is kept, as a .keras file.
        **changes: to the preset, as `Config.preset` takes them.
    Returns:
        a MaskRCNN. Keras's random seed is set to `seed` only where it is trained.
    """
    scenes = scenes or Shapes(1_000_000, seed=seed + 1)
    train = {**changes.pop("train", {}), "steps": steps}
    config = Config.preset("tiny", classes=scenes.classes, train=train, **changes)
    numbers = f"{config.to_json()} {seed} {type(scenes).__name__} {vars(scenes)}"
    digest = hashlib.sha256(numbers.encode()).hexdigest()[:8]
    kind = type(scenes).__name__.lower()
    path = Path(folder) / f"tiny_{kind}_{steps}_steps_seed_{seed}_{digest}.keras"
    if path.is_file():
        print(f"reading {path}, trained before")
        return MaskRCNN.load(path)
    print(f"training {steps} batches of {config.train.batch_size} scenes for {path}")
    keras.utils.set_random_seed(seed)
    model = MaskRCNN(config)
    model.compile()
    model.fit(
        batches(scenes, config, training=True, seed=seed),
        steps_per_epoch=steps,
        shuffle=False,  # `batches` has shuffled
        verbose=2,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    save(model, path)
    return model
