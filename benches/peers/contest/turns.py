"""Contestants in processes of their own, and rounds in which each has its turn."""

import json
import os
import pathlib
import subprocess
import sys
import time
from typing import Any

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


class Worker:
    """A process that answers one line with one line."""

    def __init__(self, command: list[str]) -> None:
        self.command = command
        environment = {**os.environ, **ONE_THREAD}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"contest: {self.command[0]} ended with code {self.process.wait()}: see above")
        return json.loads(line)

    def ask(self, line: str) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.answer()

    def pin(self, core: int) -> None:
        """Binds every thread to one core."""
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {core})

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


class Contestant:
    """One job of one worker."""

    def __init__(self, id: str, worker: Worker, line: str, probes: int, templates: int) -> None:
        self.id, self.worker, self.line = id, worker, line
        self.comparisons = probes * templates

    def seconds(self) -> float:
        return self.worker.ask(self.line)["seconds"]


def take(contestants: list[Contestant], rounds: int, seconds: float) -> list[dict[str, float]]:
    """Seconds of each contestant in each round, all in turn.

    Ends early after so many seconds in all, but not before the third round.
    """
    started = time.monotonic()
    taken: list[dict[str, float]] = []
    while len(taken) < rounds and (len(taken) < 3 or time.monotonic() - started < seconds):
        taken.append({each.id: each.seconds() for each in contestants})
    return taken
