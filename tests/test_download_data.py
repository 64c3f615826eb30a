"""The download helper against a server on this machine that does all it should not."""

import hashlib
import importlib
import io
import os
import re
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    module = importlib.import_module("download_data")
    module.Archive = importlib.import_module("data_sources").Archive
    monkeypatch.setattr(module, "_WAITS", (0, 0))
    return module


@pytest.fixture
def server():
    """Serves `files`, badly in the ways that its attributes say."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.requests.append(self.headers.get("Range"))
            if server.codes:
                self.send_error(server.codes.pop(0))
                return
            body = server.files.get(self.path)
            if body is None:
                self.send_error(404)
                return
            wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(wanted[1]) if wanted and server.knows_ranges else 0
            if start and start >= len(body):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                first = start + server.shift
                whole = f"{len(body) - 1}/{len(body)}"
                self.send_header("Content-Range", f"bytes {first}-{whole}")
            if server.extra_length is not None:
                length = len(body) - start + server.extra_length
                self.send_header("Content-Length", str(length))
            self.end_headers()
            body = body[start:]
            if server.drop_after:
                body = body[: server.drop_after.pop(0)]
            for first in range(0, len(body), 1000):
                server.sent += len(body[first : first + 1000])
                try:
                    self.wfile.write(body[first : first + 1000])
                except OSError:  # the other side was killed
                    break
                time.sleep(server.pause)
            self.close_connection = True

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.files, server.requests, server.codes, server.drop_after = {}, [], [], []
    server.knows_ranges, server.extra_length, server.sent = True, 0, 0
    server.pause, server.shift = 0, 0
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def zip_of(files):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def tar_of(files):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


NOISE = np.random.default_rng(0).bytes(50_000)
FILES = {"val2017/a.jpg": NOISE, "annotations/b.json": b"{}"}


@pytest.fixture
def offer(script, server, monkeypatch):
    """Returns a function that puts one archive in the table and on the server."""

    def put(body, name="data.zip", **changes):
        server.files[f"/{name}"] = body
        values = {
            "url": f"{server.url}/{name}",
            "size": len(body),
            "md5": hashlib.md5(body).hexdigest(),
            "unpacked": 2 * len(body),
        }
        item = script.Archive(**{**values, **changes})
        monkeypatch.setitem(script.DATASETS, "pets", (item,))
        return item

    return put


def run(script, folder):
    return script.main(["pets", "--folder", str(folder)])


def check_unpacked(folder):
    found = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    marks = {name for name in found if name.endswith(".unpacked")}
    assert {name: found[name] for name in found.keys() - marks} == FILES
    assert len(marks) == 1


@pytest.mark.parametrize("make, name", [(zip_of, "data.zip"), (tar_of, "d.tar.gz")])
def test_it_comes_is_unpacked_and_not_asked_for_again(
    script, server, offer, tmp_path, capsys, make, name
):
    offer(make(FILES), name)
    assert run(script, tmp_path / "new" / "pets") == 0
    check_unpacked(tmp_path / "new" / "pets")
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("pets: downloading 0 MB in 1 archives (0 MB are here)")
    assert "complete" in said[-1]
    assert run(script, tmp_path / "new" / "pets") == 0
    assert "nothing to do" in capsys.readouterr().out
    assert len(server.requests) == 1


def test_dropped_connections(script, server, offer, tmp_path):
    """Each brings some; the rest is asked for, and no byte comes twice."""
    body = zip_of(FILES)
    offer(body)
    server.drop_after = [7000, 1, 20_000, 5000]
    assert run(script, tmp_path) == 0
    check_unpacked(tmp_path)
    starts = [None, "bytes=7000-", "bytes=7001-", "bytes=27001-", "bytes=32001-"]
    assert server.requests == starts
    assert server.sent == len(body)


def test_a_server_that_knows_no_ranges_starts_over(script, server, offer, tmp_path):
    offer(zip_of(FILES))
    server.knows_ranges = False
    server.drop_after = [7000, 20_000]
    assert run(script, tmp_path) == 0
    check_unpacked(tmp_path)
    assert server.requests == [None, "bytes=7000-", "bytes=20000-"]


def test_a_server_that_only_drops_is_given_up(script, server, offer, tmp_path, capsys):
    body = zip_of(FILES)
    offer(body)
    server.drop_after = [7000] + [0] * 10
    assert run(script, tmp_path) == 1
    said = capsys.readouterr().err
    assert "3 times without a byte" in said and "run it again later" in said
    assert (tmp_path / "data.zip.part").read_bytes() == body[:7000]
    server.drop_after = []
    assert run(script, tmp_path) == 0
    check_unpacked(tmp_path)
    assert server.sent == len(body)


def test_no_server_at_all(script, offer, tmp_path, capsys):
    offer(zip_of(FILES), url="http://127.0.0.1:9/data.zip")
    assert run(script, tmp_path) == 1
    assert "without a byte" in capsys.readouterr().err


@pytest.mark.parametrize("extra", [-1000, 1000])
def test_a_server_that_lies_about_the_length(
    script, server, offer, tmp_path, capsys, extra
):
    offer(zip_of(FILES))
    server.extra_length = extra
    assert run(script, tmp_path) == 1
    assert "the server has another file than of" in capsys.readouterr().err


def test_a_new_version_that_is_shorter_than_what_is_here(
    script, server, offer, tmp_path, capsys
):
    """It answers 416; then, asked from the beginning, another length."""
    offer(zip_of(FILES))
    (tmp_path / "data.zip.part").write_bytes(bytes(40_000))
    server.files["/data.zip"] = bytes(30_000)
    assert run(script, tmp_path) == 1
    assert "offers 30000 from byte 0" in capsys.readouterr().err
    assert server.requests == ["bytes=40000-", None]


def test_another_version_of_another_length(script, server, offer, tmp_path, capsys):
    offer(zip_of(FILES))
    (tmp_path / "data.zip.part").write_bytes(bytes(10_000))
    server.files["/data.zip"] = bytes(30_000)
    assert run(script, tmp_path) == 1
    assert "range 'bytes 10000-29999/30000'" in capsys.readouterr().err


def test_another_range_than_was_asked_for(script, server, offer, tmp_path, capsys):
    offer(zip_of(FILES))
    server.drop_after, server.shift = [7000], 1
    assert run(script, tmp_path) == 1
    assert "range 'bytes 7001-" in capsys.readouterr().err


def test_a_server_that_sends_without_end(script, server, offer, tmp_path):
    """No more is taken than there should be."""
    item = offer(zip_of(FILES))
    server.files["/data.zip"] += bytes(100_000)
    server.extra_length = None  # it does not say how much
    assert run(script, tmp_path) == 0
    check_unpacked(tmp_path)
    assert item.size < 60_000


@pytest.mark.parametrize("code", [404, 403, 416])
def test_an_answer_that_will_not_change(script, server, offer, tmp_path, capsys, code):
    offer(zip_of(FILES))
    server.codes = [code] * 5
    assert run(script, tmp_path) == 1
    assert f"the server answers {code}" in capsys.readouterr().err
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", [500, 503, 429])
def test_an_answer_that_may_change(script, server, offer, tmp_path, code):
    offer(zip_of(FILES))
    server.codes = [code] * 2
    assert run(script, tmp_path) == 0
    check_unpacked(tmp_path)


def test_what_was_here_is_of_another_file(script, server, offer, tmp_path, capsys):
    """The sum of both has the right size; the checksum tells, and it starts over."""
    offer(zip_of(FILES))
    (tmp_path / "data.zip.part").write_bytes(bytes(10_000))
    assert run(script, tmp_path) == 0
    check_unpacked(tmp_path)
    assert server.requests == ["bytes=10000-", None]
    assert "checksum is wrong, starting over" in capsys.readouterr().err


def test_a_part_that_is_too_long_starts_over(script, server, offer, tmp_path):
    body = zip_of(FILES)
    offer(body)
    (tmp_path / "data.zip.part").write_bytes(body + b"more")
    assert run(script, tmp_path) == 0
    assert server.requests == [None]


def test_a_file_that_is_altered_on_its_way(script, server, offer, tmp_path, capsys):
    body = bytearray(zip_of(FILES))
    item = offer(bytes(body))
    body[1000] ^= 1
    server.files["/data.zip"] = bytes(body)
    assert run(script, tmp_path) == 1
    found = hashlib.md5(body).hexdigest()
    said = capsys.readouterr().err
    assert f"twice its MD5 was not {item.md5} but, the last time, {found}" in said
    assert list(tmp_path.iterdir()) == []


def test_too_little_space_is_said_before_anything_comes(
    script, server, offer, tmp_path, capsys, monkeypatch
):
    body = zip_of(FILES)
    offer(body)
    usage = namedtuple("usage", "total used free")
    free = 3 * len(body)  # the archive, and twice as much unpacked
    monkeypatch.setattr(
        script.shutil, "disk_usage", lambda _: usage(0, 0, free - 1000 * shortage)
    )
    shortage = 1
    assert run(script, tmp_path) == 1
    assert "are needed" in capsys.readouterr().err and not server.requests
    # What is here already takes no more.
    (tmp_path / "data.zip.part").write_bytes(body[:1000])
    assert run(script, tmp_path) == 0


def test_space_for_one_archive_after_another(script, tmp_path, monkeypatch):
    """Each is deleted once unpacked: 100 + 10, 10 + 50 + 60, 10 + 60 + 5 + 5."""
    items = [
        script.Archive(f"x/{name}", size, "", unpacked)
        for name, size, unpacked in (("a", 100, 10), ("b", 50, 60), ("c", 5, 5))
    ]
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(script.shutil, "disk_usage", lambda _: usage(120))
    script._check_space(items, tmp_path)
    monkeypatch.setattr(script.shutil, "disk_usage", lambda _: usage(119))
    with pytest.raises(OSError, match="MB are needed"):
        script._check_space(items, tmp_path)


def test_a_disk_that_fills_up_on_the_way(script, offer, tmp_path, capsys, monkeypatch):
    offer(zip_of(FILES))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(script, "_receive", full)
    assert run(script, tmp_path) == 1
    assert "No space left on device" in capsys.readouterr().err


@pytest.mark.parametrize("outside", ["../evil.txt", "/tmp/evil.txt", "a/../../evil"])
@pytest.mark.parametrize("make, name", [(zip_of, "data.zip"), (tar_of, "d.tar.gz")])
def test_a_file_outside_the_folder_is_refused(
    script, offer, tmp_path, capsys, make, name, outside
):
    offer(make({"fine.txt": b"1", outside: b"2"}), name)
    folder = tmp_path / "deep" / "folder"
    status = run(script, folder)
    outsiders = [path for path in tmp_path.rglob("*evil*")]
    assert all(path.is_relative_to(folder) for path in outsiders)
    assert not Path("/tmp/evil.txt").exists()
    if status == 1:
        assert "outside" in capsys.readouterr().err
    else:  # tarfile's own filter reads /tmp/evil.txt as tmp/evil.txt in the folder
        assert make is tar_of and (folder / outside[1:]).exists()


@pytest.mark.parametrize("name", ["data.zip", "data.tar.gz"])
def test_an_archive_that_is_none(script, offer, tmp_path, capsys, name):
    offer(NOISE, name)
    assert run(script, tmp_path) == 1
    assert f"{name}: " in capsys.readouterr().err


def test_killed_and_started_again(script, server, offer, tmp_path):
    """SIGKILL in the middle; the second run asks for the rest alone."""
    body = zip_of({"val2017/a.jpg": NOISE * 40, "annotations/b.json": b"{}"})
    item = offer(body)
    program = (
        "import sys, download_data as d; from data_sources import Archive; "
        f"d.DATASETS['pets'] = (Archive{(item.url, item.size, item.md5, 9)},); "
        f"d._CHUNK = 1000; sys.exit(d.main(['pets', '--folder', {str(tmp_path)!r}]))"
    )
    command = [sys.executable, "-c", program]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    server.pause = 0.001
    part = tmp_path / "data.zip.part"
    with subprocess.Popen(command, env=environment) as process:
        while not part.exists() or part.stat().st_size < 100_000:
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    here = part.stat().st_size
    assert 100_000 <= here < len(body)
    server.pause = 0
    assert subprocess.run(command, env=environment).returncode == 0
    assert server.requests == [None, f"bytes={here}-"]
    assert (tmp_path / "val2017" / "a.jpg").read_bytes() == NOISE * 40


def test_killed_before_it_was_unpacked(script, server, offer, tmp_path):
    offer(zip_of(FILES))
    (tmp_path / "data.zip").write_bytes(zip_of(FILES))
    assert run(script, tmp_path) == 0
    check_unpacked(tmp_path)
    assert not server.requests


def test_stopped_by_hand(script, offer, tmp_path, capsys, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    offer(zip_of(FILES))
    monkeypatch.setattr(script, "fetch", interrupt)
    assert run(script, tmp_path) == 130
    assert "goes on from here" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written(script, offer, tmp_path, capsys):
    offer(zip_of(FILES))
    (tmp_path / "file").write_text("")
    assert run(script, tmp_path / "file" / "pets") == 1
    assert "file" in capsys.readouterr().err


def test_the_table(script):
    for items in script.DATASETS.values():
        for item in items:
            assert item.url.startswith("https://")
            assert re.fullmatch("[0-9a-f]{32}", item.md5)
            assert item.name.endswith((".zip", ".tar.gz")) and item.size < 2**35
            assert item.unpacked > item.size
        assert len({item.name for item in items}) == len(items)


def test_help_has_examples(script, capsys):
    with pytest.raises(SystemExit) as stopped:
        script.main(["--help"])
    assert stopped.value.code == 0
    assert "scripts/download_data.py coco2017" in capsys.readouterr().out
