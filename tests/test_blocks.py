"""The blocks, by hand: values, gradients, numbers of weights."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from mrcnn_tf import blocks

RNG = np.random.default_rng(0)


def model_of(build, shape, **kwargs):
    """A model of one block, with maps of a known size."""
    x = keras.Input(shape)
    return keras.Model(x, build(x, **kwargs))


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_is_that_of_keras(training):
    layer = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
    x = RNG.normal(3.0, 2.0, (4, 5, 6, 3)).astype(np.float32)
    layer.build(x.shape)
    weights = [RNG.uniform(0.5, 2.0, 3).astype(np.float32) for _ in range(4)]
    layer.set_weights(weights)  # gamma, beta, mean, variance
    y, mean, variance = blocks.batch_norm(x, *weights, training, 0.9, 1e-5)
    np.testing.assert_allclose(y, layer(x, training=training), atol=1e-5)
    np.testing.assert_allclose(mean, layer.moving_mean, atol=1e-5)
    np.testing.assert_allclose(variance, layer.moving_variance, atol=1e-5)


def test_batch_norm_by_hand():
    x = tf.constant([[1.0], [3.0]])  # mean 2, variance 1
    y, mean, variance = blocks.batch_norm(x, 3.0, 5.0, 0.0, 1.0, True, 0.9, 0.0)
    np.testing.assert_allclose(y, [[2.0], [8.0]], atol=1e-5)  # 3 * -1 + 5, 3 * 1 + 5
    np.testing.assert_allclose([mean[0], variance[0]], [0.2, 1.0], atol=1e-6)
    y, *_ = blocks.batch_norm(x, 3.0, 5.0, 1.0, 4.0, False, 0.9, 0.0)
    np.testing.assert_allclose(y, [[5.0], [8.0]], atol=1e-5)


@pytest.mark.parametrize(
    ("activation", "values"),
    [
        (blocks.leaky_relu, {-2.0: -0.2, 0.0: 0.0, 3.0: 3.0}),
        # At 1: 1 / (1 + 1 / e). Far out, 0 and the identity.
        (blocks.swish, {0.0: 0.0, 1.0: 1 / (1 + math.exp(-1)), -50.0: 0.0, 50.0: 50.0}),
        # tanh(log(1 + e)) = ((1 + e)^2 - 1) / ((1 + e)^2 + 1); at -1 with 1 / e.
        (
            blocks.mish,
            {
                0.0: 0.0,
                1.0: ((1 + math.e) ** 2 - 1) / ((1 + math.e) ** 2 + 1),
                -1.0: -((1 + 1 / math.e) ** 2 - 1) / ((1 + 1 / math.e) ** 2 + 1),
                -50.0: 0.0,
                50.0: 50.0,
            },
        ),
    ],
)
def test_activations_by_hand(activation, values):
    x = tf.constant(list(values))
    np.testing.assert_allclose(activation(x), list(values.values()), atol=1e-6)


@pytest.mark.parametrize(
    "activation",
    [blocks.leaky_relu, blocks.swish, blocks.mish],
    ids=lambda f: f.__name__,
)
def test_gradients_of_activations_by_finite_differences(activation):
    x = tf.constant(np.linspace(-6.05, 6.05, 122))  # float64, without the corner at 0
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = activation(x)
    step = 1e-6
    slope = (activation(x + step) - activation(x - step)) / (2 * step)
    np.testing.assert_allclose(tape.gradient(y, x), slope, atol=1e-8)
    for far in (-1e4, 1e4):
        x = tf.constant(far)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = activation(x)
        assert np.isfinite([y, tape.gradient(y, x)]).all()


def test_a_residual_block_without_its_convolutions_is_the_identity():
    model = model_of(blocks.residual_block, (4, 4, 6), hidden=3)
    x = RNG.normal(size=(1, 4, 4, 6)).astype(np.float32)
    assert np.abs(model(x) - x).max() > 0.01
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D):
            layer.set_weights([np.zeros_like(layer.kernel)])
    np.testing.assert_allclose(model(x), x)  # mish(0) is 0


def test_parameters_and_multiplications_by_hand():
    # C = 8, two blocks on a map of 4 x 6. Batch norm has 4 numbers a channel.
    whole = model_of(blocks.residual_stage, (4, 6, 8), depth=2)
    kernels = 2 * (8 * 4 + 9 * 4 * 8)
    assert whole.count_params() == kernels + 2 * 4 * (4 + 8)
    assert blocks.multiplications(whole) == 4 * 6 * kernels
    half = model_of(blocks.csp_stage, (4, 6, 8), depth=2)
    kernels = 2 * (4 * 4 + 9 * 4 * 4) + 4 * 4 + 8 * 8
    assert half.count_params() == kernels + 2 * 4 * (4 + 4) + 4 * 4 + 4 * 8
    assert blocks.multiplications(half) == 4 * 6 * kernels
    # 9 weights for each of 8 channels at each place, then 8 x 5.
    separable = model_of(layers.SeparableConv2D(5, 3, padding="same"), (4, 6, 8))
    assert blocks.multiplications(separable) == 4 * 6 * (9 * 8 + 8 * 5)


def test_half_of_a_csp_stage_goes_round():
    model = model_of(blocks.csp_stage, (4, 4, 6), depth=1)
    concatenate = next(x for x in model.layers if isinstance(x, layers.Concatenate))
    joined = keras.Model(model.input, concatenate.output)
    x = RNG.normal(size=(1, 4, 4, 6)).astype(np.float32)
    np.testing.assert_allclose(joined(x)[..., :3], x[..., :3])
    moved = joined(x + np.float32([1, 1, 1, 0, 0, 0])) - joined(x)
    np.testing.assert_allclose(moved[..., :3], 1, atol=1e-6)
    np.testing.assert_allclose(moved[..., 3:], 0, atol=1e-6)  # of the other half alone


def test_spp_of_a_single_cell():
    x = np.zeros((1, 15, 15, 1), np.float32)
    x[0, 7, 7] = 2.0
    y = model_of(blocks.spp, (15, 15, 1))(x).numpy()
    assert y.shape == (1, 15, 15, 4)
    for channel, size in enumerate((1, 5, 9, 13)):
        lit = np.zeros((15, 15))
        reach = size // 2
        lit[7 - reach : 8 + reach, 7 - reach : 8 + reach] = 2.0
        np.testing.assert_array_equal(y[0, ..., channel], lit)


def test_spp_takes_no_zeros_from_outside():
    # The largest of negative numbers stays negative at the edge.
    y = model_of(blocks.spp, (6, 6, 2), sizes=(5,))(-np.ones((1, 6, 6, 2), np.float32))
    np.testing.assert_array_equal(y, -np.ones((1, 6, 6, 4)))


def test_blocks_survive_a_file(tmp_path):
    x = keras.Input((8, 8, 4))
    y = blocks.conv_unit(x, 8, 3, blocks.leaky_relu)
    y = blocks.spp(blocks.csp_stage(y, 1, blocks.swish), (3,))
    model = keras.Model(x, blocks.residual_block(y, 4))
    model.save(tmp_path / "blocks.keras")
    image = RNG.normal(size=(2, 8, 8, 4)).astype(np.float32)
    again = keras.models.load_model(tmp_path / "blocks.keras")
    np.testing.assert_array_equal(again(image), model(image))


def test_wrong_input_is_named():
    for stage in (blocks.residual_stage, blocks.csp_stage):
        with pytest.raises(ValueError, match="even number to be halved, found 5"):
            model_of(stage, (4, 4, 5), depth=1)
    with pytest.raises(ValueError, match="must be odd, found 4"):
        model_of(blocks.spp, (4, 4, 5), sizes=(3, 4))
    with pytest.raises(ValueError, match=r"give keras\.Input a height and width"):
        blocks.multiplications(model_of(layers.Conv2D(2, 3), (None, None, 3)))
