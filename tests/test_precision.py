import keras
import numpy as np
import pytest
import small
import tensorflow as tf

import mrcnn_tf as mr
from mrcnn_tf.precision import with_precision

WIDE = {"width": 16}


@pytest.fixture(scope="module")
def scenes():
    return mr.datasets.Shapes(4, size=64, seed=1)


def test_weights_stay_in_32_bits_and_answers_too():
    network = small.model(train={"precision": "bfloat16"}, backbone=WIDE)
    assert {weight.dtype for weight in network.weights} == {"float32"}
    assert network.backbone.output[0].dtype == "bfloat16"
    answers = [*network.rpn.output, *network.box_head.output, network.mask_head.output]
    assert {answer.dtype for answer in answers} == {"float32"}


def test_names_shapes_and_what_learns_are_as_before():
    model = small.model(backbone=WIDE).backbone
    copy = with_precision(model, "bfloat16")
    assert with_precision(model, "float32") is model

    def said(network):
        return [(w.path, w.shape, w.trainable) for w in network.weights]

    assert said(copy) == said(model)
    frozen = small.model(
        backbone={**WIDE, "norm": "frozen"},
        train={"precision": "bfloat16", "frozen_stages": 2},
    )
    norms = keras.layers.BatchNormalization
    kinds = {x.trainable for x in frozen.backbone.layers if isinstance(x, norms)}
    assert kinds == {False}
    assert not frozen.backbone.get_layer("c2_0_conv1").trainable
    assert frozen.backbone.get_layer("c3_0_conv1").trainable


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_it_answers_nearly_the_same_with_the_same_weights(scenes, precision):
    exact = small.model(backbone=WIDE)
    rough = exact.in_precision(precision)
    assert exact.in_precision("float32") is exact
    image = scenes[0].image
    ours, theirs = rough.inspect(image), exact.inspect(image)
    for name in ("c5", "p2", "rpn_logits_p3"):
        spread = np.abs(theirs[name]).max()
        error = np.abs(ours[name].astype(np.float32) - theirs[name]).max()
        assert 0 < error < 0.03 * spread  # bfloat16 keeps 8 bits


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_it_trains_saves_and_goes_on(scenes, precision, tmp_path):
    network = small.model(
        backbone=WIDE, train={"precision": precision, "warmup_steps": 1}
    )
    batch, _ = small.batch(scenes, network)
    losses = [network.train_on_batch(batch, return_dict=True)["loss"] for _ in range(8)]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    scaled = isinstance(network.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (precision == "float16")
    network.save(tmp_path / "model.keras")
    loaded = mr.MaskRCNN.load(tmp_path / "model.keras")
    assert type(loaded.optimizer) is type(network.optimizer)
    assert int(loaded.optimizer.iterations) == 8
    both = [
        m.train_on_batch(batch, return_dict=True)["loss"] for m in (loaded, network)
    ]
    assert both[0] == pytest.approx(both[1], rel=1e-3)


def test_a_network_too_narrow_is_refused():
    with pytest.raises(
        ValueError, match=r"c3_0_shortcut.* 8 channels.*backbone\.width"
    ):
        small.model(train={"precision": "bfloat16"})


def test_an_unknown_precision_is_named():
    with pytest.raises(ValueError, match=r"train\.precision.*bfloat16.*'half'"):
        small.config(train={"precision": "half"})


def test_gradients_are_those_of_float32():
    rng = np.random.default_rng(0)
    images = tf.constant(rng.normal(size=(1, 64, 64, 3)), tf.float32)
    exact = small.model(backbone=WIDE).backbone
    rough = with_precision(exact, "bfloat16")
    rough.set_weights(exact.get_weights())

    def gradient(model):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.cast(model(images)[2], tf.float32))
        return tape.gradient(loss, model.trainable_weights[0].value)

    error = tf.reduce_max(tf.abs(gradient(rough) - gradient(exact)))
    largest = tf.reduce_max(tf.abs(gradient(exact)))
    assert float(error) < 0.2 * float(largest)  # bfloat16 keeps 8 bits
