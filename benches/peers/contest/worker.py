"""The side of a peer: a process that says what it is and then runs one job at a time on request.

One line in, one line out. `verify ID` runs a job once, which warms it up, and compares what comes out with the exact
inner products; `run ID` runs it and says how long it took.
"""

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np


@dataclasses.dataclass
class Job:
    """One contestant: what it does in a round, and what the report says of it."""

    id: str
    name: str
    probes: int
    templates: int
    run: Callable[[], Any]
    """The timed part."""
    errors: Callable[[Any], np.ndarray]
    """Differences of what came out from the exact scores, decrypted where need be."""
    exact: bool
    """Whether no difference is allowed; else it must round to the right integer."""
    template_bytes: float
    """Memory per template."""
    answer_bytes: float | None
    """Bytes of answer per template and probe, as serialised; nothing for a list of candidates."""
    parameters: str


def serve(version: str, jobs: list[Job]) -> None:
    """Says what the jobs are and runs them until the input ends."""
    # Libraries may print; only this module writes to the driver.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    by_id = {job.id: job for job in jobs}
    hidden = ("run", "errors")
    fields = [field.name for field in dataclasses.fields(Job) if field.name not in hidden]
    described = [{name: getattr(job, name) for name in fields} for job in jobs]
    print(json.dumps({"version": version, "jobs": described}), file=answers)
    for line in sys.stdin:
        action, name = line.split()
        job = by_id[name]
        started = time.perf_counter()
        result = job.run()
        seconds = time.perf_counter() - started
        answer: dict[str, float] = {"seconds": seconds}
        if action == "verify":
            answer = {"max_error": check(job, result)}
        del result
        print(json.dumps(answer), file=answers)


def check(job: Job, result: Any) -> float:
    """The largest difference from an exact score, if it is allowed."""
    worst = float(np.abs(job.errors(result)).max())
    if worst > 0 if job.exact else worst >= 0.5:
        raise ValueError(f"{job.name}: a score is off by {worst}")
    return worst
