"""Mixed precision: half the bits for what costs most.

Convolutions and dense layers compute in 16 bits and keep their weights in 32, where
small steps of the optimiser still count. The layers that answer, and all that comes
after them, boxes, scores and losses, stay in 32. bfloat16 has the range of float32, and
needs no more than that; float16 has not, so its loss is scaled up for the gradient and
the gradient down again (`keras.optimizers.LossScaleOptimizer`).
"""

import keras

# A 1x1 convolution with a stride and fewer channels than this: in bfloat16 on a
# processor, its gradient writes beyond its memory (oneDNN of TensorFlow 2.21).
FEWEST_CHANNELS = 16

# The last layers of the RPN and the heads, and those that only reshape what they say.
ANSWERS = (
    "objectness",
    "logits_by_anchor",
    "deltas",
    "deltas_by_anchor",
    "class_logits",
    "box_deltas",
    "deltas_by_class",
    "mask_logits",
)


def with_precision(model, precision):
    """Makes a functional model anew that computes in another precision.

    Args:
        model: a keras.Model of Keras's own layers, without trained weights.
        precision: "float32", "bfloat16" or "float16".
    Returns:
        keras.Model with new weights of the same names and shapes, all float32; for
        "float32" the model itself.
    Raises:
        ValueError: if a convolution is too narrow to be trained in 16 bits.
    Source: Micikevicius et al. 2018.
    """
    if precision == "float32":
        return model

    def remade(layer):
        _check_width(layer)
        config = layer.get_config()
        answers = layer.name in ANSWERS
        config["dtype"] = "float32" if answers else f"mixed_{precision}"
        return type(layer).from_config(config)

    return keras.models.clone_model(model, clone_function=remade)


def _check_width(layer):
    if not isinstance(layer, keras.layers.Conv2D) or layer.kernel_size != (1, 1):
        return
    channels = layer.kernel.shape[2]
    if max(layer.strides) > 1 and channels < FEWEST_CHANNELS:
        raise ValueError(
            f"{layer.name} has {channels} channels, too few for 16 bits: expected "
            f"{FEWEST_CHANNELS}; raise backbone.width, or leave train.precision at "
            "float32"
        )
