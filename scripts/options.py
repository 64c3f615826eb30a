"""What several commands ask for in the same words."""


def add_data(parser):
    """Adds --data and --compose, which `mrcnn_tf.datasets.load` takes."""
    parser.add_argument(
        "--data", required=True, help="shapes, animals, oxford_iiit_pet, or a folder"
    )
    parser.add_argument(
        "--compose",
        type=int,
        default=0,
        metavar="N",
        help="compose scenes of 1 to N objects from the images",
    )
