#!/usr/bin/env python3
"""Asks `tyto attest verify` about the same evidence, and compares. See tests/interop/README.md."""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SECONDS_PER_FILE = 30
# Names of `tyto` and of the format description.
SAME = {"gallery": "gallery_id", "ticket": "ticket_id", "operation": "kind", "signing_key": "key_id", "key": "key_id",
        "status": "verdict", "outcome": "verdict", "attestation_digest": "rests_on"}  # fmt: skip


def ask(binary: Path, folder: Path, case: dict[str, Any]) -> dict[str, Any]:
    at = "none" if case["at_unix_ms"] is None else str(case["at_unix_ms"])
    command = [binary, "attest", "verify", folder / case["file"], "--roots", folder / case["roots"], "--at", at, "--json"]
    answer = subprocess.run(command, capture_output=True, timeout=SECONDS_PER_FILE, text=True, check=False)
    if not answer.stdout:
        return {"verified": False, "rejection": {"check": f"no verdict: {answer.stderr.strip()}"}}
    return json.loads(answer.stdout)


def said(verdict: dict[str, Any]) -> tuple[Any, ...]:
    """The verdict, as both say it."""
    if "verified" in verdict:
        reason = verdict["rejection"] or {}
        return ("accepted" if verdict["verified"] else "rejected", reason.get("part"), reason.get("check"))
    return verdict["verdict"], verdict.get("part"), verdict.get("check")


def other_facts(theirs: Any, ours: Any, path: str) -> list[str]:
    """Where what `tyto` says of accepted evidence is missing here or is something else."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        differences = []
        for name, value in theirs.items():
            name = name.removesuffix("_unix_ms")
            name = name if name in ours else SAME.get(name, name)
            if name in ours:
                differences += other_facts(value, ours[name], f"{path}.{name}")
            elif value is not None:
                differences.append(f"{path}.{name} is only in the answer of tyto")
        return differences
    if isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        return [each for pair in zip(theirs, ours) for each in other_facts(*pair, path)]
    if isinstance(theirs, dict) and isinstance(ours, list):
        theirs = list(theirs.values())
    return [] if theirs == ours else [f"{path}: tyto says {theirs!r}, the verifiers {ours!r}"]


def proved(theirs: dict[str, Any], facts: dict[str, Any]) -> list[str]:
    statement = facts.get("statement")
    ours = {"signing_key": facts.get("key_id")}
    ours["statement"] = statement and statement | statement["claim"]
    ours["log"] = facts.get("checkpoint") and facts["checkpoint"] | {"index": facts.get("index")}
    if "decision" in theirs:
        ours["decision"] = facts.get("decision")
    return other_facts({name: theirs[name] for name in ours}, ours, "")


def differences_between(answer: dict[str, Any], found: dict[str, Any]) -> list[str]:
    if said(answer) != said(found):
        return [f"tyto says {said(answer)}, the verifiers {said(found)}"]
    if answer["verified"]:
        return proved(answer, found["facts"])
    theirs, ours = answer.get("without_decision"), found.get("without_decision")
    if theirs is None or ours is None:
        return [] if theirs is ours else ["only one says what holds without the decision"]
    return proved(theirs, ours)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--cases", type=Path, required=True, help="folder with an index.json")
    parser.add_argument("--report", type=Path, required=True, help="what a verifier said about these cases")
    given = parser.parse_args()
    index = json.loads((given.cases / "index.json").read_text())["cases"]
    found = [json.loads(line) for line in given.report.read_text().removesuffix("\n").split("\n")]
    compared = accepted = failures = 0
    for case, ours in zip(index, found, strict=True):
        if case["form"] != "evidence":
            continue
        answer = ask(given.binary, given.cases, case)
        differences = differences_between(answer, ours)
        accepted += answer["verified"]
        for difference in differences:
            print(f"FAILED {case['name']} ({case['file']}): {difference}")
        failures += bool(differences)
        compared += 1
    print(f"tyto: {compared} cases, {accepted} accepted; {failures} judged or read otherwise than by the verifiers")
    return 1 if failures or not compared else 0


if __name__ == "__main__":
    sys.exit(main())
