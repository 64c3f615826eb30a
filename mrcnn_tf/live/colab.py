"""The camera of whoever looks at a Colab notebook, through their browser.

The notebook's Python runs on a machine far from the camera. A few lines of JavaScript
in the cell's output ask for the camera, and send each frame as a JPEG.
"""

import base64
import importlib.util
import json

from mrcnn_tf.datasets.images import decode_image

# Of every cell anew: each cell's output is a page of its own.
SCRIPT = """
window.mrcnnCamera = {
  async start(width) {
    const video = document.createElement('video');
    video.playsInline = true;
    video.muted = true;
    video.style.maxWidth = '320px';
    this.stream = await navigator.mediaDevices.getUserMedia(
      {video: {width: {ideal: width}}, audio: false});
    document.body.appendChild(video);
    video.srcObject = this.stream;
    await video.play();
    this.video = video;
    return [video.videoWidth, video.videoHeight];
  },
  take(quality) {
    if (!this.stream || !this.stream.active) return '';
    const canvas = document.createElement('canvas');
    canvas.width = this.video.videoWidth;
    canvas.height = this.video.videoHeight;
    canvas.getContext('2d').drawImage(this.video, 0, 0);
    return canvas.toDataURL('image/jpeg', quality);
  },
  stop() {
    if (this.stream) this.stream.getTracks().forEach(track => track.stop());
    if (this.video) this.video.remove();
    return true;
  },
};
"""
_JPEG = "data:image/jpeg;base64,"


def in_colab():
    """Returns whether this runs in Google Colab."""
    try:
        return importlib.util.find_spec("google.colab") is not None
    except ModuleNotFoundError:  # not even a package "google"
        return False


def frames(count=None, width=640, quality=0.8):
    """Yields what the camera sees; the browser asks its owner first.

    The camera goes off when the loop ends, however it does.

    Args:
        count: how many frames, None until one stops.
        width: of a frame in pixels, as near as the camera can.
        quality: of the JPEGs on their way, 0 to 1.
    Yields:
        uint8 RGB [H, W, 3].
    Raises:
        RuntimeError: outside Colab; or if the browser gives no camera, with why.
    """
    if not in_colab():
        raise RuntimeError(
            "the browser's camera is reached in Google Colab only; here use "
            "mrcnn_tf.live.open_source(0), a camera of this machine, or a video"
        )
    from google.colab import output
    from IPython.display import Javascript, display

    display(Javascript(SCRIPT))
    try:
        output.eval_js(f"mrcnnCamera.start({int(width)})")
    except Exception as error:  # Colab's own kind, with what the browser said
        raise RuntimeError(
            f"the browser gives no camera ({error}); allow this page its use, beside "
            "the address, and run the cell again"
        ) from error
    try:
        taken = 0
        while count is None or taken < count:
            yield decode_frame(output.eval_js(f"mrcnnCamera.take({quality:g})"))
            taken += 1
    finally:
        output.eval_js("mrcnnCamera.stop()")


def take_photo(width=640, quality=0.9):
    """Takes one photograph; see `frames`."""
    (photo,) = frames(1, width, quality)
    return photo


def decode_frame(address):
    """Turns a JPEG in a data URL into uint8 RGB [H, W, 3].

    Raises:
        RuntimeError: if there is no JPEG in it, as when the camera was unplugged.
    """
    if not isinstance(address, str) or not address.startswith(_JPEG):
        raise RuntimeError(
            "the camera gave no picture, the browser sent "
            f"{json.dumps(address)[:40]}; was it unplugged?"
        )
    try:
        data = base64.b64decode(address[len(_JPEG) :])
        return decode_image(data, "it")
    except ValueError as error:
        raise RuntimeError(f"the camera's picture did not arrive: {error}") from error
