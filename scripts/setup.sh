#!/usr/bin/env bash
# Makes .venv with everything the lessons and the tests need. quickstart.sh and
# test.sh call it; a second run finds nothing to do and needs no network.
#
#   scripts/setup.sh
#   PYTHON=/path/to/python3.12 scripts/setup.sh     with a Python of your choice
#
# Written for the bash 3.2 of macOS too.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

# Holds what is installed, or "incomplete" from the first change to the last: an
# interrupted pip leaves packages that look installed and are not.
state_file=.venv/mrcnn_tf-setup
log=.venv/mrcnn_tf-setup.log

trap 'fail "interrupted; run this again for the rest."' INT TERM

say() { printf 'setup: %s\n' "$*"; }

fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

# Prints "3.12" when the command runs at all: a pyenv shim may exist and not run.
version_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

is_supported() {
    case "$1" in
        3.11 | 3.12 | 3.13) return 0 ;;
        *) return 1 ;;
    esac
}

# Sets `python` to the first command that is a supported Python and can make a venv.
find_python() {
    local how="Install Python 3.12 (Debian 12 and later: sudo apt install python3 \
python3-venv; macOS: brew install python@3.12; or python.org), or name one with \
PYTHON=/path/to/python3.12."
    local candidate version unsupported="" without_venv=""
    if [ -n "${PYTHON:-}" ]; then
        version_of "$PYTHON" >/dev/null || fail "PYTHON=$PYTHON does not run. $how"
        set -- "$PYTHON"
    else
        set -- python3 python3.13 python3.12 python3.11
    fi
    for candidate in "$@"; do
        version=$(version_of "$candidate") || continue
        if ! is_supported "$version"; then
            unsupported=${unsupported:-$version}
        elif ! "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
            without_venv=${without_venv:-$version}
        else
            python=$candidate
            return
        fi
    done
    if [ -n "$without_venv" ]; then
        fail "Python $without_venv is here without its venv module;" \
            "run: sudo apt install python$without_venv-venv"
    fi
    case "$unsupported" in
        "") fail "no working Python found. $how" ;;
        2.* | 3.[0-9] | 3.10) fail "Python $unsupported is too old, 3.11 to 3.13 will do. $how" ;;
        *) fail "Python $unsupported is too new for TensorFlow, 3.11 to 3.13 will do. $how" ;;
    esac
}

# A venv works only where it was made, with the Python it was made from.
venv_works() {
    local version
    version=$(version_of .venv/bin/python) || return 1
    is_supported "$version" || return 1
    grep -qF "$root/.venv" .venv/bin/activate || return 1
    [ -z "${PYTHON:-}" ] || [ "$(version_of "$PYTHON")" = "$version" ]
}

check_disk() {
    local free
    free=$(df -Pk "$root" | awk 'NR == 2 { print int($4 / 1024) }')
    if [ "$free" -lt "$1" ]; then
        fail "no disk space: $root has $free MB free, the installation needs $1 MB."
    fi
}

# Asks pip itself, so that its own settings (a mirror, a proxy) are honoured.
check_network() {
    local folder works=yes
    folder=$(mktemp -d)
    .venv/bin/python -m pip --quiet --retries 1 --timeout 15 download \
        --no-deps --dest "$folder" tqdm >/dev/null 2>&1 || works=no
    rm -rf "$folder"
    if [ "$works" = no ]; then
        fail "no network: pip cannot reach the package index;" \
            "check the connection (and the proxy, if there is one), then run this again."
    fi
}

explain_pip_failure() {
    if grep -q "No space left on device" "$log"; then
        fail "no disk space left in $root or in ${TMPDIR:-/tmp}" \
            "(TMPDIR=/somewhere/else moves the second); free $needed MB."
    fi
    check_network
    fail "pip could not install the packages; its last lines above say why," \
        "and $log has the rest."
}

# The CUDA libraries come with TensorFlow's own extra; the driver must be there.
# `needed` is MB while installing: downloads lie in pip's cache and in TMPDIR too.
if [ "$(uname -s)" = Linux ] && nvidia-smi -L >/dev/null 2>&1; then
    extras=cuda,notebooks,app,rcnn,export,dev needed=14000 size="4 GB to download, 7 GB on disk"
else
    extras=notebooks,app,rcnn,export,dev needed=5000 size="1 GB to download, 3 GB on disk"
fi
wanted="$extras $(cat requirements.txt pyproject.toml | cksum)"
found=$(cat "$state_file" 2>/dev/null || true)

if [ "$found" = "$wanted" ] && venv_works; then
    say "reusing $root/.venv"
    exit 0
fi

if [ "$found" = incomplete ] || ! venv_works; then
    find_python
    if [ "$(uname -s)" = Darwin ] &&
        [ "$("$python" -c 'import platform; print(platform.machine())')" = x86_64 ]; then
        fail "TensorFlow is no longer built for Intel Macs (nor for an Intel Python" \
            "on Apple silicon); open the lessons in Google Colab instead."
    fi
    check_disk "$needed"
    say "making $root/.venv with Python $(version_of "$python")"
    "$python" -m venv --clear .venv ||
        fail "$python cannot make a virtual environment; the lines above say why."
fi

check_network
say "installing TensorFlow, Jupyter and the rest: $size, 2 to 5 minutes"
echo incomplete >"$state_file"
.venv/bin/python -m pip --disable-pip-version-check --log "$log" install \
    --prefer-binary -r requirements.txt -e ".[$extras]" || explain_pip_failure
.venv/bin/python -c 'import tensorflow, pycocotools.mask, jupyterlab, mrcnn_tf' \
    2>>"$log" || fail "all is installed but does not load; the end of $log says why."
rm -f "$log"
echo "$wanted" >"$state_file"
say "done"
