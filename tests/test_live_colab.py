"""The camera through the browser: without Colab, with a stand-in, in a real page."""

import base64
import http.server
import io
import sys
import threading
import types

import chromium
import numpy as np
import pytest
from PIL import Image

from mrcnn_tf.live import colab


def jpeg(level):
    """A data URL of a grey image of 8 x 6 pixels, as a browser sends it."""
    file = io.BytesIO()
    Image.new("L", (8, 6), level).save(file, "JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


@pytest.fixture
def in_colab(monkeypatch):
    """Makes this Python look like Colab's; returns how to set its browser."""

    def start(evaluate, show=lambda script: None):
        output = types.ModuleType("google.colab.output")
        output.eval_js = evaluate
        package = types.ModuleType("google.colab")
        package.output = output
        monkeypatch.setitem(sys.modules, "google.colab", package)
        monkeypatch.setitem(sys.modules, "google.colab.output", output)
        monkeypatch.setattr(colab, "in_colab", lambda: True)
        monkeypatch.setattr("IPython.display.display", lambda js: show(js.data))

    return start


def test_elsewhere_it_says_so():
    assert not colab.in_colab()
    with pytest.raises(RuntimeError, match=r"Google Colab only; here .*open_source\(0"):
        colab.take_photo()


def test_frames_come_in_order_and_the_camera_goes_off(in_colab):
    said, shown = [], []
    pictures = iter(range(0, 250, 50))

    def evaluate(script):
        said.append(script)
        return jpeg(next(pictures)) if "take" in script else True

    in_colab(evaluate, shown.append)
    frames = list(colab.frames(3, width=320, quality=0.5))
    assert [frame.shape for frame in frames] == [(6, 8, 3)] * 3
    assert [round(frame.mean(), -1) for frame in frames] == [0, 50, 100]
    take = "mrcnnCamera.take(0.5)"
    assert said == ["mrcnnCamera.start(320)", take, take, take, "mrcnnCamera.stop()"]
    assert shown == [colab.SCRIPT]

    said.clear()
    endless = colab.frames()
    next(endless)
    endless.close()  # as a loop does that is left, or interrupted
    assert said[-1] == "mrcnnCamera.stop()" and len(said) == 3


def test_a_camera_refused_or_gone_is_a_sentence(in_colab):
    def refuses(script):
        raise Exception("NotAllowedError: Permission denied")

    in_colab(refuses)
    with pytest.raises(RuntimeError, match=r"no camera \(NotAll.* allow this"):
        colab.take_photo()
    for answer in ("", None, "data:,", 3):
        in_colab(lambda script, answer=answer: answer)
        with pytest.raises(RuntimeError, match="no picture, the browser sent"):
            colab.take_photo()
    for end in (60, 63):  # within four letters, and between them
        in_colab(lambda script, end=end: jpeg(9)[:end])
        with pytest.raises(RuntimeError, match="picture did not arrive: "):
            colab.take_photo()


@pytest.fixture
def page():
    """Address of an empty page on this machine, which may ask for the camera."""

    class Empty(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><body></body>")

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty)
    threading.Thread(target=server.serve_forever).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def browser(tmp_path):
    yield from chromium.drive(
        tmp_path, "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"
    )


@pytest.mark.slow
def test_the_script_in_a_browser_with_a_false_camera(in_colab, browser, page):
    browser.get(page)
    # Both wait for promises, as Colab's eval_js does.
    in_colab(lambda js: browser.execute_script(f"return {js}"), browser.execute_script)
    videos = []
    frames = []
    for frame in colab.frames(4, width=320):
        videos.append(len(browser.find_elements("css selector", "video")))
        frames.append(frame)
    # Chromium's false camera shows a green field with a clock that moves.
    assert {frame.shape for frame in frames} == {(240, 320, 3)}
    red, green, blue = np.median(frames[0], axis=(0, 1))
    assert green > red + 50 and green > blue + 50
    assert any((frame != frames[0]).any() for frame in frames[1:])
    assert videos == [1] * 4
    assert browser.find_elements("css selector", "video") == []
    assert browser.execute_script("return mrcnnCamera.stream.active") is False
    assert browser.execute_script("return mrcnnCamera.take(0.8)") == ""
