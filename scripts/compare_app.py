#!/usr/bin/env python
"""Opens a page in the browser: one picture, a semantic answer beside an instance one.

The U-Net gives each pixel a class, Mask R-CNN finds each object. The page counts the
objects and measures the area of each class; sliders set the least score and the mask
threshold. Both networks must tell the same classes apart.

Examples:
    scripts/compare_app.py --unet runs/unet/last.keras \\
        --mask-rcnn runs/animals/last.keras
    scripts/compare_app.py ... --examples ~/photos
    scripts/compare_app.py ... --share     on Colab: prints a public link
"""

import argparse
import dataclasses
import importlib.util
import sys
import tempfile
import warnings
from html import escape
from pathlib import Path

from compare_answers import (
    answer,
    draw_instances,
    draw_semantic,
    headline,
    load_models,
    read_picture,
    summarize,
    table,
)
from PIL import Image

import mrcnn_tf as mr
from mrcnn_tf.datasets.images import image_suffixes

EXAMPLES = 8  # pictures to try, at most
FONT = ("system-ui", "sans-serif")  # in bold, Gradio's own mixes two typefaces
CSS = """
.gradio-container, .gradio-container main { width: 100%; }
.gradio-container { max-width: 1280px !important; margin: auto; }
.problem { border-left: 4px solid #D55E00; padding: 8px 14px; }
#table { padding: 0; }
#table table { width: 100%; table-layout: fixed; border-collapse: collapse; }
#table table, #table tr { border: 0 !important; }
#table th, #table td { border: 0 !important; padding: 7px 10px;
  border-bottom: 1px solid var(--border-color-primary) !important;
  color: var(--body-text-color); font-variant-numeric: tabular-nums; }
#table td div { float: right; width: calc(100% - 4.5em); }
#table i { display: inline-block; height: 0.8em; border-radius: 2px; }
#table .swatch { width: 0.8em; margin-right: 0.6em; }
"""


def parse(arguments):
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--unet",
        required=True,
        type=Path,
        metavar="FILE",
        help="a .keras file of train_unet.py --labels class, in the folder of its run",
    )
    parser.add_argument(
        "--mask-rcnn", required=True, type=Path, metavar="FILE", help="a .keras file"
    )
    parser.add_argument(
        "--examples",
        type=Path,
        metavar="FOLDER",
        help=f"offers the first {EXAMPLES} images there; cartoon animals otherwise",
    )
    parser.add_argument(
        "--max-megapixels",
        type=float,
        default=50,
        metavar="N",
        help="refuses larger pictures (default 50)",
    )
    parser.add_argument("--port", type=int, help="the first free from 7860 otherwise")
    parser.add_argument(
        "--share", action="store_true", help="makes a public link too, for a week"
    )
    options = parser.parse_args(arguments)
    if not options.max_megapixels > 0:
        parser.error(
            f"--max-megapixels must be above 0, found {options.max_megapixels:g}"
        )
    return options


def find_examples(folder):
    """Returns the first images of a folder, a list of Path.

    Raises:
        ValueError: if there are none.
    """
    suffixes = image_suffixes()
    images = [
        file
        for file in (sorted(folder.iterdir()) if folder.is_dir() else ())
        if file.suffix.lower() in suffixes and not file.name.startswith(".")
    ]
    if not images:
        raise ValueError(f"--examples {folder}: expected a folder with images in it")
    return images[:EXAMPLES]


def draw_examples(folder):
    """Draws scenes of cartoon animals into a folder; returns a list of Path."""
    # Of this seed, many of one class that touch.
    scenes = mr.datasets.Animals(EXAMPLES, seed=6, size=256)
    paths = [folder / f"animals_{index + 1}.png" for index in range(EXAMPLES)]
    for index, path in enumerate(paths):
        Image.fromarray(scenes[index].image).save(path)
    return paths


def page(semantic, instance, examples, max_megapixels):
    """Builds the page.

    Args:
        semantic: the U-Net.
        instance: the `MaskRCNN`, of the same classes.
        examples: list of Path, images to try; the first is there from the start.
        max_megapixels: larger pictures are refused.
    Returns:
        gradio.Blocks.
    """
    import gradio as gr  # an extra, which only the page needs

    def look(upload, mask_threshold):
        """Asks both networks; `upload` is a dict, as Gradio would fail to open it."""
        if upload is None:  # removed, by its owner or by the refusal below
            return gr.skip(), None, None, gr.skip()
        name = upload["orig_name"] or Path(upload["path"]).name
        try:
            image = read_picture(upload["path"], name, max_megapixels)
        except (ValueError, OSError) as error:
            problem = f"<p class='problem' role='alert'>{escape(str(error))}.</p>"
            return None, None, None, gr.HTML(problem, visible=True)
        answers = answer(image, semantic, instance, mask_threshold)
        return gr.skip(), answers, draw_semantic(answers), gr.HTML("", visible=False)

    def paste_again(answers, mask_threshold):
        if answers is None:
            return None
        result = instance.detect(answers.image, mask_threshold)
        return dataclasses.replace(answers, result=result)

    def show(answers, min_score):
        if answers is None:
            return None, "", ""
        rows = summarize(answers, min_score)
        sentence = headline(rows, min_score)
        return draw_instances(answers, min_score), sentence, table(rows)

    detection = instance.config.detection
    with gr.Blocks(
        title="Semantic beside instance",
        analytics_enabled=False,
        delete_cache=(3600, 3600),  # seconds; what strangers upload does not stay
    ) as blocks:
        gr.Markdown(
            "# Semantic beside instance\n"
            "Two networks look at one picture. **U-Net** gives each pixel a class. "
            "**Mask R-CNN** finds each object and outlines it: it can count those of "
            "one class that touch."
        )
        answers = gr.State()
        with gr.Row():
            with gr.Column(scale=1, min_width=290):
                picture = gr.Image(
                    label="Your picture", height=300, buttons=[], elem_id="picture"
                )
                min_score = gr.Slider(
                    detection.min_score,
                    1,
                    max(0.5, detection.min_score),
                    step=0.01,
                    label="Least score",
                    info="Mask R-CNN's less certain objects are left out.",
                    elem_id="min_score",
                )
                mask_threshold = gr.Slider(
                    0.05,
                    0.95,
                    detection.mask_threshold,
                    step=0.05,
                    label="Mask threshold",
                    info="How probable a pixel of an object must be.",
                    elem_id="mask_threshold",
                )
            with gr.Column(scale=3):
                message = gr.HTML(visible=False, elem_id="message")
                with gr.Row():
                    shown = {"show_label": False, "interactive": False, "buttons": []}
                    with gr.Column(min_width=240):
                        gr.Markdown("### Semantic: U-Net")
                        left = gr.Image(**shown, elem_id="semantic")
                    with gr.Column(min_width=240):
                        gr.Markdown("### Instance: Mask R-CNN")
                        right = gr.Image(**shown, elem_id="instance")
                sentence = gr.Markdown(elem_id="headline")
                figures = gr.HTML(elem_id="table")
        gr.Examples([[str(path)] for path in examples], picture, label="To try")

        # The sliders' values are read after the networks have answered.
        showing = {
            "fn": show,
            "inputs": [answers, min_score],
            "outputs": [right, sentence, figures],
            "show_progress": "hidden",
        }
        picture.change(
            look,
            [picture, mask_threshold],
            [picture, answers, left, message],
            preprocess=False,
            show_progress_on=left,
        ).then(**showing)
        mask_threshold.change(
            paste_again,
            [answers, mask_threshold],
            answers,
            trigger_mode="always_last",
        ).then(**showing)
        min_score.change(**showing, trigger_mode="always_last")
        blocks.load(lambda: str(examples[0]), None, picture)
    return blocks


def run(options):
    """Opens the page, until Ctrl-C."""
    import gradio as gr

    chosen = find_examples(options.examples) if options.examples else None
    models = load_models(options.unet, options.mask_rcnn)
    with tempfile.TemporaryDirectory() as folder:
        examples = chosen or draw_examples(Path(folder))
        page(*models, examples, options.max_megapixels).launch(
            share=options.share,
            server_port=options.port,
            theme=gr.themes.Default(
                primary_hue="slate", font=FONT, font_mono=("monospace",)
            ),
            css=CSS,
            footer_links=[],
            # Bytes: four a pixel are more than a picture of that size has.
            max_file_size=int(4e6 * options.max_megapixels),
            allowed_paths=[str(path) for path in examples],
        )


def main(arguments=None):
    """Runs the command; returns its exit status."""
    options = parse(arguments)
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # a limit is set
    try:
        if importlib.util.find_spec("gradio") is None:
            raise ValueError("Gradio is missing: .venv/bin/pip install -e '.[app]'")
        run(options)
    except (ValueError, OSError) as error:
        print(f"compare_app: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
