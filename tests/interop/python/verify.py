#!/usr/bin/env python3
"""Verifies Tyto's evidence from the format description alone. See tests/interop/README.md."""

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any, Callable

from tyto_interop import attestation_file as files
from tyto_interop import merkle, statement
from tyto_interop.errors import Rejected
from tyto_interop.evidence import Verifier
from tyto_interop.trust_root import TrustRoot, open_trust_root, update_trust_root

Facts = dict[str, Any]


def report(value: Any) -> str:
    """One line of JSON, the same from every implementation."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=bytes.hex)


def verdict(verify: Callable[[], Facts]) -> Facts:
    try:
        return {"verdict": "accepted", "facts": verify()}
    except Rejected as reason:
        found = {"verdict": "rejected", "part": reason.part, "check": reason.check, "detail": reason.detail}
        return found | ({"without_decision": reason.without_decision} if reason.without_decision else {})


def facts_of_root(opened: TrustRoot) -> Facts:
    keys = {
        kid.hex(): {
            "name": key.name,
            "purpose": key.purpose,
            "log_id": key.log_id,
            "valid_from": key.valid_from,
            "valid_until": key.valid_until,
            "revoked_at": key.revoked_at,
        }
        for kid, key in opened.keys.items()
    }
    facts = {"object": "trust-root", "version": opened.version, "issued_at": opened.issued_at, "name": opened.name}
    return facts | {"root_key_id": opened.root_key_id(), "keys": keys}


def read(path: Path) -> bytes:
    data = path.read_bytes()
    return bytes.fromhex(data.decode().strip()) if path.suffix == ".hex" else data


def verify_case(folder: Path, case: Facts) -> Facts:
    data, at = read(folder / case["file"]), case.get("at_unix_ms")
    match case["form"]:
        case "attestation":
            keys = files.read_trusted_keys((folder / case["keys"]).read_bytes())
            return files.verify_attestation(data, keys)
        case "file":
            keys = files.read_trusted_keys((folder / case["keys"]).read_bytes())
            return files.verify_file(data, keys)
        case "evidence":
            return Verifier(open_trust_root(read(folder / case["roots"])), at).evidence(data)
        case "consistency":
            verifier = Verifier(open_trust_root(read(folder / case["roots"])), at)
            return verifier.consistency(data, read(folder / case["old"]))
        case "trust-root" if "pinned" in case:
            return facts_of_root(open_trust_root(data, bytes.fromhex(case["pinned"])))
        case "trust-root":
            return facts_of_root(update_trust_root(open_trust_root(read(folder / case["roots"])), data))
        case form:
            raise SystemExit(f"unknown form {form} of case {case['name']}")


def differs(case: Facts, found: Facts) -> str | None:
    for name in ("verdict", "part", "check") if "verdict" in case else ():
        if case.get(name) != found.get(name):
            return f"{name} should be {case.get(name)}, is {found.get(name)} ({found.get('detail')})"
    return None


def run_vectors(folder: Path, report_path: Path | None) -> int:
    cases = json.loads((folder / "index.json").read_text())["cases"]
    lines, failures = [], []
    for case in cases:
        found = verdict(lambda case=case: verify_case(folder, case))
        problem = differs(case, found)
        if problem is not None:
            failures.append(f"{case['name']}: {problem}")
        found.pop("detail", None)
        lines.append(report({"case": case["name"]} | found))
    if (folder / "expected.json").exists():
        failures += check_written_facts(folder)
    if report_path is not None:
        report_path.write_text("".join(line + "\n" for line in lines))
    for failure in failures:
        print("FAILED", failure)
    accepted = sum('"verdict":"accepted"' in line for line in lines)
    print(f"python: {len(cases)} cases, {accepted} accepted, {len(cases) - accepted} rejected;", end=" ")
    print(f"{len(failures)} not as {folder.name} says")
    return len(failures) + (len(cases) == 0)


def check_written_facts(folder: Path) -> list[str]:
    """Statements, digests and roots against `expected.json`, which was written by hand."""
    expected = json.loads((folder / "expected.json").read_text())
    salt = bytes.fromhex(expected["salt"])
    keys = files.read_trusted_keys((folder / "trusted-keys.txt").read_bytes())
    failures = []
    for name in ("full", "sparse"):
        found = files.verify_file(read(folder / f"{name}.file.hex"), keys)["statement"]
        claim = found.pop("claim")
        said = found | claim
        said["issued_at_unix_ms"] = said.pop("issued_at")
        for field, value in expected[name]["statement"].items():
            if json.loads(report(said[field])) != value:
                failures.append(f"{name}: {field} should be {value}, is {report(said[field])}")
        blocks = [(bytes.fromhex(block), version) for block, version in expected[name]["blocks"]]
        if claim["blocks_root"] != merkle.blocks_root(blocks):
            failures.append(f"{name}: blocks_root")
        for content, value in expected["contents"].items():
            digest = statement.salted_digest(f"{content}_digest", salt, bytes.fromhex(value))
            if claim[f"{content}_digest"] != digest:
                failures.append(f"{name}: {content}_digest")
    return failures


def run_flips(bundle: Path, roots: Path, at: int, count: int, seed: str) -> int:
    """Flips single bits at places that follow from the seed, the same in every implementation."""
    data, verifier = read(bundle), Verifier(open_trust_root(read(roots)), at)
    verifier.evidence(data)
    places = hashlib.shake_256(seed.encode()).digest(4 * count)
    survivors = []
    for index in range(count):
        bit = int.from_bytes(places[4 * index : 4 * index + 4], "big") % (8 * len(data))
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        if verdict(lambda flipped=flipped: verifier.evidence(bytes(flipped)))["verdict"] == "accepted":
            survivors.append(bit)
    print(f"python: {count} single-bit flips of {bundle.name}, seed {seed!r}: {count - len(survivors)} rejected")
    for bit in survivors:
        print(f"FAILED: bit {bit} makes no difference")
    return len(survivors) + (count == 0)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, help="bundle, attestation, decision or checkpoint to verify")
    parser.add_argument("--roots", type=Path, help="trust root to verify it against")
    parser.add_argument("--at", help="milliseconds since 1970 at which it is known to exist, or 'none'; default: now")
    parser.add_argument("--old", type=Path, help="earlier checkpoint: then --bundle is a receipt of consistency")
    parser.add_argument("--pin", help="id of the root key that must have signed the trust root")
    parser.add_argument("--flips", type=int, help="flip this many single bits of --bundle instead")
    parser.add_argument("--seed", default="tyto interop", help="where the flips are")
    parser.add_argument("--vectors", type=Path, help="folder with golden files and their index.json")
    parser.add_argument("--report", type=Path, help="where to write what was found in each golden file")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    if given.vectors is not None:
        return min(run_vectors(given.vectors, given.report), 1)
    if given.bundle is None or given.roots is None:
        raise SystemExit("give --vectors, or --bundle and --roots")
    at = None if given.at == "none" else int(given.at or time.time() * 1000)
    if given.flips is not None:
        return min(run_flips(given.bundle, given.roots, at, given.flips, given.seed), 1)

    def verify() -> Facts:
        pinned = None if given.pin is None else bytes.fromhex(given.pin)
        verifier = Verifier(open_trust_root(read(given.roots), pinned), at)
        if given.old is not None:
            return verifier.consistency(read(given.bundle), read(given.old))
        return verifier.evidence(read(given.bundle))

    found = verdict(verify)
    print(report(found))
    return 0 if found["verdict"] == "accepted" else 1


if __name__ == "__main__":
    sys.exit(main())
