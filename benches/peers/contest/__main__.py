"""The driver: prepares the data, starts the contestants, has them verified and timed, and writes the report."""

import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import sys
import time
from typing import Any

import numpy as np

from . import DIMENSION, PROBES, data, machine, report
from .turns import Contestant, Worker, take

TOOLS = pathlib.Path("target/tools/peers")
RESULT = pathlib.Path("docs/performance/peers.json")
SCORED_BY_TYTO = 8


@dataclasses.dataclass
class Scale:
    """How many templates each kind of contestant gets, and how many rounds there are."""

    large: int = 1 << 21
    """Tyto and faiss: 1.3 GiB and 1 GiB."""
    many: int = 1 << 16
    """The fastest encrypted peers."""
    more: int = 1 << 13
    """Slower ones."""
    few: int = 1 << 9
    """Those that take a ciphertext and milliseconds per template."""
    rounds: int = 15
    """Most rounds of each group."""
    seconds: float = 100
    """After which a group's rounds end."""

    def sizes(self) -> list[int]:
        return [self.large, self.many, self.more, self.few]


SMOKE = Scale(1 << 14, 1 << 13, 1 << 12, 8, 2, 1)


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def check_tyto(scores: pathlib.Path, templates: np.ndarray, probes: np.ndarray) -> None:
    """That every score that the tenant decrypted is the exact inner product."""
    decrypted = np.fromfile(scores, dtype="<i2").reshape(SCORED_BY_TYTO, len(templates))
    if not (decrypted == data.scores(templates, probes[:SCORED_BY_TYTO])).all():
        sys.exit("contest: a score of Tyto is wrong")
    scores.unlink()


def measure(scale: Scale, core: int) -> dict[str, Any]:
    described = machine.describe(core)
    say(f"{scale.large} templates of {DIMENSION} coordinates, {PROBES} probes")
    templates, probes = data.make(TOOLS, scale.large)
    scores = TOOLS / "scores.i16"
    files, python = [str(templates), str(probes)], [str(TOOLS / "peers/bin/python"), "-m"]
    say("Tyto encrypts them, and decrypts the scores of a first pass")
    tyto = Worker(["target/release/tyto-peers", *files, str(scores), *map(str, scale.sizes())])
    workers = {"tyto": tyto}
    versions: dict[str, Any] = {"tyto": tyto.answer()}
    check_tyto(scores, data.read(templates), data.read(probes))
    commands = {
        "faiss": [*python, "contest.peer_faiss", *files],
        "tenseal": [*python, "contest.peer_tenseal", *files, str(scale.few), str(scale.more)],
        "openfhe": [
            str(TOOLS / "openfhe/bin/python"), "-m", "contest.peer_openfhe", *files,
            str(scale.more), str(scale.many),
        ],
    }  # fmt: skip
    jobs: dict[str, dict[str, Any]] = {}
    for name, command in commands.items():
        say(f"{name} prepares")
        workers[name] = Worker(command)
        answer = workers[name].answer()
        versions[name] = answer["version"]
        jobs |= {f"{name}/{job['id']}": {**job, "peer": name} for job in answer["jobs"]}
    for worker in workers.values():
        worker.pin(core)
    for id, job in jobs.items():
        say(f"verifying {id}")
        job["max_error"] = workers[job["peer"]].ask(f"verify {job['id']}")["max_error"]

    def ours(what: str, count: int, size: int) -> Contestant:
        return Contestant(f"tyto/{what}-{count}", tyto, f"{what} {count} {size}", count, size)

    def theirs(size: int) -> list[Contestant]:
        return [
            Contestant(id, workers[job["peer"]], f"run {job['id']}", job["probes"], job["templates"])
            for id, job in jobs.items()
            if job["templates"] == size
        ]

    passes = [ours(what, count, scale.large) for count in (1, 8) for what in ("engine", "kernel", "request")]
    # Each of ours stands beside one of theirs, so that a disturbance seldom hits one side alone.
    large = [ours("read", 1, scale.large)]
    beside = theirs(scale.large)
    while passes or beside:
        large += passes[:1] + beside[:1]
        del passes[:1], beside[:1]
    groups = [(scale.large, large)]
    for size in (scale.many, scale.more, scale.few):
        groups.append((size, [ours("engine", 1, size), *theirs(size)]))
    measured = []
    for size, contestants in groups:
        say(f"{len(contestants)} contestants in turn, {size} templates")
        take([each for each in contestants if each.worker is tyto], rounds=1, seconds=0)
        measured.append(
            {
                "templates": size,
                "comparisons": {each.id: each.comparisons for each in contestants},
                "rounds": take(contestants, scale.rounds, scale.seconds),
            }
        )
    for worker in workers.values():
        worker.end()
    templates.unlink()
    described["load_after"] = os.getloadavg()[0]
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "revision": machine.revision(),
        "machine": described,
        "versions": versions,
        "jobs": jobs,
        "groups": measured,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="benches/peers/run", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="tiny galleries, no document is changed")
    parser.add_argument("--render", action="store_true", help="only make tables and plot again")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="the core to run on")
    arguments = parser.parse_args()
    started = time.monotonic()
    if arguments.smoke:
        result = measure(SMOKE, arguments.core)
        (TOOLS / "smoke.json").write_text(json.dumps(result, indent=1))
        (TOOLS / "smoke.svg").write_text(report.plot(result))
        print(report.section(result))
    else:
        if not arguments.render:
            RESULT.parent.mkdir(parents=True, exist_ok=True)
            RESULT.write_text(json.dumps(measure(Scale(), arguments.core), indent=1) + "\n")
        report.write(json.loads(RESULT.read_text()))
    say(f"done in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
