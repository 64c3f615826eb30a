"""What surrounds the code: versions, requirements, scripts and their messages."""

import ast
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import mrcnn_tf

ROOT = Path(__file__).parents[1]
SCRIPTS = [
    *sorted((ROOT / "scripts").glob("*.sh")),
    ROOT / ".ci" / "run",
    ROOT / ".ci" / "colab",
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# What setup.sh needs of a machine, besides Python.
TOOLS = "awk bash cat cksum dirname grep mktemp rm uname".split()


def test_one_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\nversion: {mrcnn_tf.__version__}\n" in citation
    assert f"## [{mrcnn_tf.__version__}]" in changes
    # pyproject.toml takes it from the package.
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {
        "attr": "mrcnn_tf.__version__"
    }


def test_requirements_are_those_of_the_package():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    listed = {line for line in lines if line and not line.startswith("#")}
    project = PROJECT["project"]
    notebooks = project["optional-dependencies"]["notebooks"]
    assert listed == {*project["dependencies"], *notebooks}
    assert all(re.fullmatch(r"[a-z-]+>=[0-9.]+", line) for line in listed)


def test_public_methods_have_docstrings():
    keras_names = {"build", "call", "compute_output_spec", "get_config"}
    bare = []
    for path in sorted((ROOT / "mrcnn_tf").rglob("*.py")):
        for owner in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(owner, ast.ClassDef) or owner.name.startswith("_"):
                continue
            bare += [
                f"{path.name}: {owner.name}.{method.name}"
                for method in owner.body
                if isinstance(method, ast.FunctionDef)
                and not method.name.startswith("_")
                and method.name not in keras_names
                and not ast.get_docstring(method)
            ]
    assert bare == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_run(path):
    assert path.stat().st_mode & stat.S_IXUSR
    subprocess.run(["bash", "-n", path], check=True)


@pytest.fixture
def machine(tmp_path):
    """A copy of what setup.sh needs, on a machine with neither Python nor GPU."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "clone" / "scripts").mkdir(parents=True)
    for tool in [*TOOLS, "df"]:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    for name in ("scripts/setup.sh", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / "clone" / name)
    return tmp_path


def command(machine, name, text):
    """Puts a small shell program on the machine's PATH."""
    path = machine / "bin" / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def setup(machine, **environment):
    """Runs setup.sh there; returns its exit status and what it said."""
    done = subprocess.run(
        [machine / "bin" / "bash", machine / "clone" / "scripts" / "setup.sh"],
        env={"PATH": str(machine / "bin"), "HOME": str(machine), **environment},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def test_setup_without_python(machine):
    status, said = setup(machine)
    assert status == 1 and "setup: no working Python found. Install Python" in said


def test_setup_passes_over_a_shim_that_does_not_run(machine):
    command(machine, "python3", "echo 'pyenv: python3: command not found'; exit 127")
    command(machine, "python3.12", "echo 3.9")  # also not what it is called
    status, said = setup(machine)
    assert status == 1 and "Python 3.9 is too old, 3.11 to 3.13 will do" in said


@pytest.mark.parametrize(
    ("version", "words"), [("2.7", "old"), ("3.10", "old"), ("3.14", "new")]
)
def test_setup_with_another_python(machine, version, words):
    command(machine, "python3", f"echo {version}")
    status, said = setup(machine)
    assert status == 1 and f"setup: Python {version} is too {words}" in said


def test_setup_with_a_python_named_that_is_not_there(machine):
    status, said = setup(machine, PYTHON="/no/python3")
    assert status == 1 and "PYTHON=/no/python3 does not run" in said


def test_setup_without_the_venv_module(machine):
    command(machine, "python3", 'case "$2" in *venv*) exit 1 ;; esac; echo 3.11')
    status, said = setup(machine)
    assert status == 1 and "sudo apt install python3.11-venv" in said


def test_setup_on_a_full_disk(machine):
    command(machine, "python3", "echo 3.11")
    command(machine, "df", "echo Filesystem; echo /dev/a 9 9 1048576 99% /")
    status, said = setup(machine)
    assert status == 1 and re.search(r"no disk space: .* 1024 MB free", said)


def test_setup_without_network(machine):
    closed = "http://127.0.0.1:9/simple"  # nobody listens there
    status, said = setup(
        machine, PYTHON=sys.executable, PIP_INDEX_URL=closed, PIP_CONFIG_FILE=os.devnull
    )
    assert status == 1 and "setup: no network: pip cannot reach" in said


def test_setup_finds_what_is_installed(machine):
    """A second run needs neither pip nor network; an interrupted one starts anew."""
    venv = machine / "clone" / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "activate").write_text(f"VIRTUAL_ENV={venv}\n")
    python = venv / "bin" / "python"
    python.write_text("#!/bin/sh\necho 3.12\n")
    python.chmod(0o755)
    files = [
        machine / "clone" / name for name in ("requirements.txt", "pyproject.toml")
    ]
    text = b"".join(file.read_bytes() for file in files)
    checksum = subprocess.run(
        ["cksum"], input=text, capture_output=True
    ).stdout.decode()
    state = venv / "mrcnn_tf-setup"
    state.write_text(f"notebooks,app,rcnn,export,dev {checksum}")
    assert setup(machine) == (0, f"setup: reusing {venv}\n")

    state.write_text("incomplete\n")
    assert "no working Python found" in setup(machine)[1]
    state.write_text(f"notebooks,app,rcnn,export,dev {checksum}")
    python.unlink()  # the Python it was made from was removed
    assert "no working Python found" in setup(machine)[1]
