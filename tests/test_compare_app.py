"""The comparison in a browser: its answers, its figures, its refusals, the page."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import chromium
import compare_answers
import compare_app
import keras
import numpy as np
import pytest
import small
from matplotlib.colors import to_hex
from PIL import Image

import mrcnn_tf as mr
from mrcnn_tf import unet

ROOT = Path(__file__).parents[1]
CLASSES = ("cat", "dog")
SECONDS = 60  # to wait for anything in the browser, at most


def rectangle(y1, x1, y2, x2):
    mask = np.zeros((10, 20), bool)
    mask[y1:y2, x1:x2] = True
    return mask


@pytest.fixture
def by_hand():
    """On 10 x 20 pixels: two cats, of which one overlaps the dog that is surer."""
    masks = [rectangle(0, 0, 10, 4), rectangle(0, 8, 10, 12), rectangle(0, 2, 10, 6)]
    rles = tuple(mr.rle.encode(mask) for mask in masks)
    boxes = np.array([mr.rle.box(mask) for mask in rles])
    scores = np.array([0.9, 0.6, 0.4], np.float32)
    classes = np.array([2, 1, 1], np.int32)
    result = mr.Result(boxes, classes, scores, rles, 10, 20, CLASSES)
    class_map = rectangle(0, 0, 5, 20).astype(np.uint8)  # cat in the upper half
    image = np.full((10, 20, 3), 100, np.uint8)
    return compare_answers.Answers(image, class_map, result)


def test_counts_and_areas_by_hand(by_hand):
    cat, dog = compare_answers.summarize(by_hand, min_score=0.3)
    assert cat == {"name": "cat", "objects": 2, "semantic": 0.5, "instance": 0.3}
    assert dog == {"name": "dog", "objects": 1, "semantic": 0.0, "instance": 0.2}
    cat, dog = compare_answers.summarize(by_hand, min_score=0.5)
    assert (cat["objects"], cat["instance"]) == (1, 0.2) and cat["semantic"] == 0.5
    assert [row["objects"] for row in compare_answers.summarize(by_hand, 1)] == [0, 0]


def test_headline_says_how_many(by_hand):
    for score, words in (
        (0.3, "finds 3 objects of score 0.30 or more: cat 2, dog 1."),
        (0.7, "finds 1 object of score 0.70 or more: dog 1."),
        (1.0, "finds no objects of score 1.00 or more."),
    ):
        rows = compare_answers.summarize(by_hand, score)
        assert compare_answers.headline(rows, score) == f"Mask R-CNN {words}"


def test_table_is_the_legend():
    row = {"name": "<b>", "objects": 3, "semantic": 0.125, "instance": 1.0}
    html = compare_answers.table([row])
    assert "&lt;b&gt;</td><td>3</td>" in html and "<b>" not in html
    assert "12.5%" in html and "width:100.0%" in html
    assert html.count(to_hex(mr.visualize.color(0))) == 3  # swatch and two bars


def test_both_answers_are_drawn_in_one_palette(by_hand):
    semantic = compare_answers.draw_semantic(by_hand)
    instance = compare_answers.draw_instances(by_hand, 0.5)
    nothing = compare_answers.draw_instances(by_hand, 1)
    for drawn in (semantic, instance, nothing):
        assert drawn.shape == (450, 900, 3) and drawn.dtype == np.uint8
    assert (nothing == 100).all()
    cat, dog = (255 * mr.visualize.color(index) for index in range(2))
    # A pixel of the image is 45 drawn; looked at in the lower half, below labels.
    np.testing.assert_allclose(semantic[190, 700], 40 + 0.6 * cat, atol=1)
    np.testing.assert_array_equal(semantic[300, 700], 100)
    np.testing.assert_allclose(instance[300, 450], 60 + 0.4 * cat, atol=1)
    np.testing.assert_allclose(instance[300, 90], 60 + 0.4 * dog, atol=1)
    np.testing.assert_array_equal(instance[300, 250], 100)  # scored 0.4
    np.testing.assert_array_equal(instance[300, 180], 255)  # a line around the dog


def test_pictures_are_reduced(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "small.png")
    picture = compare_answers.read_picture(tmp_path / "small.png", "small.png", 1)
    np.testing.assert_array_equal(picture, noise)
    Image.new("L", (2000, 500)).save(tmp_path / "wide.png")
    picture = compare_answers.read_picture(tmp_path / "wide.png", "wide.png", 1)
    assert picture.shape == (333, 1333, 3) and picture.dtype == np.uint8


def test_what_is_no_picture_is_refused_by_the_name_its_owner_knows(tmp_path):
    path = tmp_path / "0123abc"
    path.write_text("hello there")
    with pytest.raises(ValueError, match=r"^my cat\.png: not an image") as error:
        compare_answers.read_picture(path, "my cat.png", 1)
    assert str(tmp_path) not in str(error.value)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"^my cat\.png: the file is empty"):
        compare_answers.read_picture(path, "my cat.png", 1)


def test_large_pictures_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    Image.new("1", (1500, 1000)).save(tmp_path / "a.png")
    assert compare_answers.read_picture(tmp_path / "a.png", "a.png", 1.5).any() == 0
    monkeypatch.setattr(mr.datasets, "read_image", lambda path: pytest.fail("decoded"))
    with pytest.raises(ValueError, match=r"b: too large, 1\.5 megapixels.* up to 1\.4"):
        compare_answers.read_picture(tmp_path / "a.png", "b", 1.4)


def save_unet(folder, classes=small.CLASSES, labels="class", size=64):
    folder.mkdir(exist_ok=True)
    keras.utils.set_random_seed(0)
    unet.build(len(classes) + 1, size, width=35).save(folder / "unet.keras")
    unet.save_labels(folder, labels, classes)
    return folder / "unet.keras"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A U-Net and a Mask R-CNN of the same classes, untrained."""
    folder = tmp_path_factory.mktemp("models")
    small.model().save(folder / "mask_rcnn.keras")
    return save_unet(folder), folder / "mask_rcnn.keras"


@pytest.fixture(scope="module")
def models(files):
    return compare_answers.load_models(*files)


def test_both_networks_answer_in_pixels_of_the_picture(models):
    image = mr.datasets.Shapes(1, size=96)[0].image[:70]
    answers = compare_answers.answer(image, *models)
    np.testing.assert_array_equal(answers.class_map, unet.predict(models[0], image)[0])
    assert len(answers.result) > 0
    np.testing.assert_array_equal(answers.result.masks, models[1].detect(image).masks)
    wide = compare_answers.answer(image, *models, mask_threshold=0.2)
    assert wide.result.masks.sum() > answers.result.masks.sum()


def test_missing_networks_come_with_the_command_that_makes_them(files, tmp_path):
    nowhere = tmp_path / "nowhere.keras"
    with pytest.raises(FileNotFoundError, match=r"nowhere.*scripts/train_unet\.py"):
        compare_answers.load_models(nowhere, files[1])
    with pytest.raises(FileNotFoundError, match=r"nowhere.*scripts/train\.py"):
        compare_answers.load_models(files[0], nowhere)


def test_networks_that_do_not_fit_are_refused(files, tmp_path):
    path = save_unet(tmp_path / "animals", CLASSES)
    with pytest.raises(ValueError, match="'class' of cat, dog, expected 'class' of sq"):
        compare_answers.load_models(path, files[1])


def test_examples(tmp_path):
    drawn = compare_app.draw_examples(tmp_path)
    assert len(drawn) == compare_app.EXAMPLES
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "zebra.jpg").write_text("one too many")
    assert compare_app.find_examples(tmp_path) == drawn
    with pytest.raises(ValueError, match=r"notes\.txt: expected a folder with images"):
        compare_app.find_examples(tmp_path / "notes.txt")


def test_the_command_says_in_a_sentence_what_is_wrong(files, capsys, monkeypatch):
    arguments = ["--unet", "no.keras", "--mask-rcnn", str(files[1])]
    assert compare_app.main(arguments) == 1
    assert "compare_app: no.keras: no such file" in capsys.readouterr().err
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert compare_app.main(arguments) == 1
    assert "Gradio is missing: .venv/bin/pip install" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        compare_app.parse([*arguments, "--max-megapixels", "0"])
    assert "must be above 0, found 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("apt_get", "words"),
    [
        (None, "no apt-get here; put chromium and chromedriver on the PATH"),
        ("exit 100", "apt-get update failed"),
        ('[ "$2" = update ]', "apt-get could not install chromium"),
    ],
)
def test_ci_says_why_it_has_no_browser(tmp_path, apt_get, words):
    for tool in ("bash", "dirname", "id"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    for name, text in (("apt-get", apt_get), ("sudo", '"$@"')):
        if text:
            (tmp_path / name).write_text(f"#!{shutil.which('sh')}\n{text}\n")
            (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        [tmp_path / "bash", ROOT / ".ci" / "run"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and f"ci: {words}" in done.stderr


# From here on in a browser.


@pytest.fixture
def address(files, tmp_path):
    """Runs the command; returns the address of its page."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "log.txt"
    with log.open("w") as output:
        app = subprocess.Popen(
            [
                *(sys.executable, ROOT / "scripts" / "compare_app.py"),
                *("--unet", files[0], "--mask-rcnn", files[1]),
                *("--port", str(port), "--max-megapixels", "0.5"),
            ],
            env={**os.environ, "GRADIO_TEMP_DIR": str(tmp_path / "uploads")},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        for _ in range(4 * SECONDS):
            assert app.poll() is None, log.read_text()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=5).close()
                break
            except OSError:
                time.sleep(0.5)
        else:
            pytest.fail(f"the page did not open: {log.read_text()}")
        yield f"http://127.0.0.1:{port}"
    finally:
        app.terminate()
        app.wait(10)


@pytest.fixture
def browser(tmp_path):
    yield from chromium.drive(tmp_path)


class Page:
    """What a person does on the page, and sees."""

    def __init__(self, driver):
        self.driver = driver

    def find(self, selector):
        return self.driver.find_elements("css selector", selector)

    def wait(self, condition, what):
        from selenium.common.exceptions import StaleElementReferenceException
        from selenium.webdriver.support.ui import WebDriverWait

        ignored = [StaleElementReferenceException]  # drawn anew in the meantime
        wait = WebDriverWait(self.driver, SECONDS, 0.2, ignored)
        return wait.until(lambda driver: condition(), what)

    def upload(self, path):
        (field,) = self.wait(lambda: self.find("#picture input[type=file]"), "field")
        field.send_keys(str(path))

    def sources(self):
        """Addresses of the two answers, None where there is none."""
        images = [self.find(f"#{name} img") for name in ("semantic", "instance")]
        return [image[0].get_attribute("src") if image else None for image in images]

    def text(self, name):
        return "\n".join(element.text for element in self.find(f"#{name}")).strip()

    def rows(self):
        cells = [row.find_elements("css selector", "td") for row in self.find("tr")]
        return [[cell.text.strip() for cell in row] for row in cells if row]

    def press(self, slider, key):
        (handle,) = self.find(f"#{slider} input[type=range]")
        handle.send_keys(key)


def expected(models, image, min_score, mask_threshold):
    """What the page should say: its headline, and the rows of its table."""
    answers = compare_answers.answer(image, *models, mask_threshold)
    rows = compare_answers.summarize(answers, min_score)
    cells = []
    for row in rows:
        shares = [f"{row[answer]:.1%}" for answer in ("semantic", "instance")]
        cells.append([row["name"], str(row["objects"]), *shares])
    return compare_answers.headline(rows, min_score), cells


@pytest.mark.slow
def test_the_page_in_a_browser(browser, address, models, tmp_path):
    from selenium.webdriver.common.keys import Keys

    image = mr.datasets.Shapes(1, seed=3, size=96)[0].image
    Image.fromarray(image).save(tmp_path / "scene.png")
    (tmp_path / "notes.png").write_text("a text, and no picture")
    Image.new("RGB", (1000, 1000)).save(tmp_path / "huge.png")
    page = Page(browser)
    browser.get(address)
    page.wait(lambda: all(page.sources()) and page.rows(), "answers to an example")
    examples, first = page.rows(), page.sources()

    page.upload(tmp_path / "scene.png")
    words, rows = expected(models, image, 0.5, 0.5)
    assert rows != examples
    page.wait(lambda: page.rows() == rows, f"the figures {rows}")
    assert page.text("headline") == words
    assert not {*page.sources()} & {*first}

    page.press("min_score", Keys.HOME)  # from 0.5 to the least
    fewer, (words, rows) = rows, expected(models, image, 0.05, 0.5)
    assert [row[1] for row in rows] != [row[1] for row in fewer]  # their counts
    page.wait(lambda: page.rows() == rows, f"the figures {rows}")
    assert page.text("headline") == words

    page.press("mask_threshold", Keys.END)
    _, smaller = expected(models, image, 0.05, 0.95)
    assert smaller != rows
    page.wait(lambda: page.rows() == smaller, f"the figures {smaller}")

    for name, sentence in (
        ("notes.png", "notes.png: not an image"),
        ("huge.png", "huge.png: too large, 1.0 megapixels; this page takes up to 0.5"),
    ):
        page.upload(tmp_path / name)
        page.wait(lambda s=sentence: s in page.text("message"), sentence)
        page.wait(lambda: page.sources() == [None, None], "no answers")
        assert page.rows() == [] and "Traceback" not in browser.page_source

    page.upload(tmp_path / "scene.png")  # and all is well again
    page.wait(lambda: page.rows() == smaller, f"the figures {smaller}")
    page.wait(lambda: not page.text("message"), "no message")

    hosts = browser.execute_script(
        "return performance.getEntriesByType('resource').map(e => new URL(e.name).host)"
    )
    assert {*hosts} == {address.removeprefix("http://")}  # nothing from elsewhere
