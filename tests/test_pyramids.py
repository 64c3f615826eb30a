"""FPN, PAN and BiFPN on constant maps, whose sums can be worked out on paper."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from mrcnn_tf import pyramids

SIZES = (16, 8, 4)  # of three maps, fine to coarse
BUILDERS = (pyramids.fpn, pyramids.pan, pyramids.bifpn)


def model_of(build, sizes=SIZES, channels=2, **kwargs):
    maps = [keras.Input((size, size, channels)) for size in sizes]
    return keras.Model(maps, build(maps, channels, **kwargs))


def pass_on(model):
    """Makes every convolution hand on its middle cell, and batch norm exact."""
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.epsilon = 0.0
        weights = layer.get_weights()
        if isinstance(layer, (layers.Conv2D, layers.SeparableConv2D)):
            for index, weight in enumerate(weights):
                middle = weight.shape[0] // 2
                weights[index] = np.zeros_like(weight)
                if weight.ndim == 4 and weight.shape[3] == 1:  # depthwise
                    weights[index][middle, middle] = 1.0
                elif weight.ndim == 4:
                    weights[index][middle, middle] = np.eye(*weight.shape[2:])
            layer.set_weights(weights)
    return model


def constant(values, sizes=SIZES):
    return [
        np.full((1, size, size, 2), value, np.float32)
        for size, value in zip(sizes, values, strict=True)
    ]


def answers(model, values):
    """The value of each output, which must be the same everywhere."""
    outputs = [output.numpy() for output in model(constant(values))]
    for output, size in zip(outputs, SIZES, strict=True):
        assert output.shape == (1, size, size, 2)
        np.testing.assert_allclose(output, output.flat[0], rtol=1e-6)
    return [float(output.flat[0]) for output in outputs]


def swish(x):
    return x / (1 + np.exp(-x))


def test_fpn_adds_from_the_top_down():
    # 100, and 100 + 10, and 110 + 1.
    assert answers(pass_on(model_of(pyramids.fpn)), (1, 10, 100)) == [111, 110, 100]


def test_pan_adds_a_second_way_up():
    # The FPN's 111; 111 + 110; 221 + 100.
    assert answers(pass_on(model_of(pyramids.pan)), (1, 10, 100)) == [111, 221, 321]
    # ReLU stands on the way up alone: the finest level is the FPN's.
    assert answers(pass_on(model_of(pyramids.pan)), (-1, 0, 0)) == [-1, 0, 0]


def test_bifpn_takes_means_down_and_up():
    third, half = 1 / (3 + 1e-4), 1 / (2 + 1e-4)
    middle = swish(half * (2 + 3))
    fine = swish(half * (1 + middle))
    joined = swish(third * (2 + middle + fine))
    coarse = swish(half * (3 + joined))
    found = answers(pass_on(model_of(pyramids.bifpn)), (1, 2, 3))
    np.testing.assert_allclose(found, [fine, joined, coarse], rtol=1e-5)


def test_bifpn_of_two_repeats_is_one_after_the_other():
    once = answers(pass_on(model_of(pyramids.bifpn)), (1, 2, 3))
    expected = answers(pass_on(model_of(pyramids.bifpn)), once)
    found = answers(pass_on(model_of(pyramids.bifpn, repeats=2)), (1, 2, 3))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("build", "hears"),
    [(pyramids.fpn, False), (pyramids.pan, True), (pyramids.bifpn, True)],
)
def test_whether_the_coarsest_level_hears_the_finest(build, hears):
    model = pass_on(model_of(build))
    quiet, loud = constant((1, 1, 1)), constant((2, 1, 1))
    assert np.any(model(loud)[-1] != model(quiet)[-1]) == hears
    # All hear the coarsest map at the finest level.
    loud = constant((1, 1, 2))
    assert np.all(model(loud)[0] > model(quiet)[0])


def test_equal_weights_give_the_mean():
    layer = pyramids.WeightedSum()
    maps = [np.full((1, 2, 2, 1), value, np.float32) for value in (1, 2, 6)]
    np.testing.assert_allclose(layer(maps), np.full((1, 2, 2, 1), 3.0), rtol=1e-4)
    np.testing.assert_allclose(layer.shares(), [1 / 3] * 3, rtol=1e-4)


def test_shares_of_learnt_weights():
    layer = pyramids.WeightedSum(epsilon=0.5)
    maps = [np.ones((1, 1, 1, 1), np.float32) * value for value in (1, 10, 100)]
    layer(maps)
    layer.set_weights([np.array([1.0, 2.5, -3.0])])
    # 1 + 2.5 + 0 + 0.5 = 4: the negative one is left out.
    np.testing.assert_allclose(layer.shares(), [0.25, 0.625, 0])
    np.testing.assert_allclose(layer(maps), [[[[0.25 + 6.25]]]])
    assert pyramids.WeightedSum.from_config(layer.get_config()).epsilon == 0.5
    layer.set_weights([np.array([-1.0, 0.0, -3.0])])
    np.testing.assert_array_equal(layer(maps), np.zeros((1, 1, 1, 1)))  # not NaN


def test_the_noisier_map_gets_the_smaller_share():
    # One signal in three kinds of noise. The best shares are as 1 over the variance:
    # 4 to 1 to 1 / 4.
    rng = np.random.default_rng(0)
    layer = pyramids.WeightedSum()
    signal = rng.normal(size=(1, 64, 64, 8)).astype(np.float32)
    noises = [rng.normal(0, sigma, signal.shape) for sigma in (0.5, 1, 2)]
    maps = [tf.constant(signal + noise, tf.float32) for noise in noises]
    layer(maps)
    optimizer = keras.optimizers.Adam(0.05)
    for _ in range(100):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((layer(maps) - signal) ** 2)
        weights = layer.trainable_variables
        optimizer.apply(tape.gradient(loss, weights), weights)
    np.testing.assert_allclose(layer.shares(), np.array([4, 1, 0.25]) / 5.25, atol=0.02)


@pytest.mark.parametrize("build", BUILDERS)
def test_pyramids_survive_a_file(build, tmp_path):
    model = model_of(build, (8, 4))
    for layer in model.layers:
        if isinstance(layer, pyramids.WeightedSum):
            layer.set_weights([np.array([0.5, 2.0])])
    model.save(tmp_path / "pyramid.keras")
    again = keras.models.load_model(tmp_path / "pyramid.keras")
    maps = constant((1, 2), (8, 4))
    for one, other in zip(model(maps), again(maps), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("build", BUILDERS)
def test_sizes_that_are_not_known_yet(build):
    maps = [keras.Input((None, None, 3)) for _ in range(2)]
    model = keras.Model(maps, build(maps, 2))
    shapes = [x.shape for x in model([np.ones((1, n, n, 3)) for n in (6, 3)])]
    assert shapes == [(1, 6, 6, 2), (1, 3, 3, 2)]


@pytest.mark.parametrize("build", BUILDERS)
def test_wrong_maps_are_named(build):
    with pytest.raises(ValueError, match="two maps or more, found 1"):
        model_of(build, (8,))
    with pytest.raises(ValueError, match=r"before, found 8 x 8 then 3 x 3; pad"):
        model_of(build, (8, 3))


def test_wrong_sums_and_repeats_are_named():
    with pytest.raises(ValueError, match="repeats must be 1 or more, found 0"):
        model_of(pyramids.bifpn, repeats=0)
    one, other = np.ones((1, 2, 2, 1)), np.ones((1, 4, 4, 1))
    for maps in ([one], [one, other]):
        with pytest.raises(ValueError, match="two maps or more, of one shape"):
            pyramids.WeightedSum()(maps)
