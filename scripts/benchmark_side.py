"""A side of the benchmark: a worker process that runs when it is told to.

Nothing here but Python's own library: the other side may live in an environment that
has neither TensorFlow nor this package.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path


class Side:
    """A worker, as the process sees it that asks.

    Args:
        name: of the side, for errors.
        command: list of strings, the program and its arguments.
        job: dict, what the worker is to prepare.

    Attributes:
        about: dict, what the worker said of what it prepared.

    Raises:
        ValueError: if there is no such program, or it cannot do the job.
    """

    def __init__(self, name, command, job):
        self.name = name
        try:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        except OSError as error:
            raise ValueError(
                f"{name}: cannot start {command[0]}: {error.strerror}"
            ) from error
        try:
            self.about = self.ask(job)
        except BaseException:
            self.close()
            raise

    def ask(self, message):
        """Sends a dict and returns the dict that comes back.

        Raises:
            ValueError: if the worker reports an error, or has ended.
        """
        line = ""
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            pass
        if not line:
            raise ValueError(
                f"{self.name}: its process ended with status {self._process.wait()}; "
                "what it said stands above"
            )
        answer = json.loads(line)
        if "error" in answer:
            raise ValueError(f"{self.name}: {answer['error']}")
        return answer

    def do(self, action):
        """Has the worker do one of its actions; returns its answer."""
        return self.ask({"do": action})

    def close(self):
        """Ends the process."""
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def serve(prepare):
    """Runs a worker until its standard input ends.

    Args:
        prepare: callable (job) -> (about, actions): a dict of what was prepared, and
            a dict from names to callables. "run" is what is timed, and its answer is
            left out; another's is a dict, sent as it is.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not come between the answers
    actions = {}

    def answer(message):
        nonlocal actions
        if "do" not in message:
            about, actions = prepare(message)
            return about
        if message["do"] == "memory":
            return {"peak_mb": peak_memory()}
        if message["do"] != "run":
            return actions[message["do"]]()
        start = time.perf_counter()
        actions["run"]()
        return {"seconds": time.perf_counter() - start}

    for line in sys.stdin:
        try:
            said = answer(json.loads(line))
        except (ValueError, OSError, ImportError, MemoryError) as error:
            said = {"error": str(error)}
        answers.write(json.dumps(said) + "\n")
        answers.flush()


def peak_memory():
    """Returns the largest memory of this process so far, in MB, libraries included."""
    return _status("VmHWM")


def resident():
    """Returns the memory of this process that is in use now, in MB."""
    return _status("VmRSS")


def _status(field):
    """A line of /proc/self/status in MB.

    `getrusage` is not asked: its maximum survives from the process that started this
    one.
    """
    path = Path("/proc/self/status")
    if not path.exists():
        raise ValueError("memory is read from /proc, which only Linux has")
    (line,) = [each for each in path.read_text().splitlines() if field + ":" in each]
    return int(line.split()[1]) / 1024


def cores():
    """Returns the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def alternate(sides, runs, warm_up):
    """Runs the sides in turn, so that all see the same machine.

    Args:
        sides: dict from names to `Side`.
        runs: how often each runs and is timed.
        warm_up: how often each runs before.
    Returns:
        dict from the same names to a list of `runs` times in seconds.
    """
    times = {name: [] for name in sides}
    for _ in range(warm_up + runs):
        for name, side in sides.items():
            times[name].append(side.do("run")["seconds"])
    return {name: seconds[warm_up:] for name, seconds in times.items()}


def summary(seconds):
    """Returns a dict of the times, their median and their quartiles."""
    first, median, third = seconds[0], seconds[0], seconds[0]
    if len(seconds) > 1:
        first, median, third = statistics.quantiles(seconds, n=4, method="inclusive")
    return {
        "seconds": seconds,
        "median": median,
        "first_quartile": first,
        "third_quartile": third,
    }
