#!/usr/bin/env python3
"""Has `tyto` make evidence and trust roots that never existed before, as cases. See tests/interop/README.md."""

import argparse
import json
import os
import shutil
import struct
import subprocess
import time
from pathlib import Path
from typing import Any

from tyto_interop.trust_root import open_trust_root

SECONDS_PER_COMMAND = 60
LOG = "log"
TENANT = "Tenant of this run"
ROOT_ALGORITHMS = [f"slh-dsa-shake-{size}" for size in ("128s", "128f", "192s", "192f", "256s", "256f")]
# SubjectPublicKeyInfo up to the key, for SLH-DSA-SHAKE-128s (RFC 9909).
SPKI = bytes.fromhex("3030300b060960864801650304031a032100")


def embeddings(rows: list[list[float]]) -> bytes:
    """A NumPy file of 32-bit floats."""
    shape = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({len(rows)}, {len(rows[0])}), }}"
    header = shape.ljust(128 - 10 - 1) + "\n"
    values = (struct.pack("<f", value) for row in rows for value in row)
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + b"".join(values)


class Server:
    """A `tytod` of its own, with fresh keys and a fresh log."""

    def __init__(self, binary: Path, data: Path):
        self.command = [binary, "serve", "--data-dir", data, "--listen", "127.0.0.1:0"]
        self.log = data.with_suffix(".log")

    def __enter__(self) -> str:
        """Where it listens."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=log, text=True)
        # An end of its output is its end.
        for line in self.process.stdout:
            if line.startswith("tytod listens on "):
                return "http://" + line.removeprefix("tytod listens on ").strip()
        raise SystemExit(f"tytod did not start: {self.log.read_text()}")

    def __exit__(self, *_: Any) -> None:
        self.process.terminate()
        self.process.wait(timeout=SECONDS_PER_COMMAND)


class Maker:
    def __init__(self, binary: Path, vectors: Path, out: Path):
        self.binary, self.vectors, self.out = binary.resolve(), vectors.resolve(), out.resolve()
        self.roots = self.out / "roots.cbor"
        self.versions: list[str] = []
        self.cases: list[dict[str, Any]] = []

    def tyto(self, *arguments: Any) -> str:
        names = ("TYTO_PASSPHRASE", *(f"TYTO_{key}_PASSPHRASE" for key in ("NEW", "ROOT", "DECISION")))
        secrets = dict.fromkeys(names, "everyone knows")
        command = [self.binary, *map(str, arguments)]
        answer = subprocess.run(
            command, cwd=self.out, env=os.environ | secrets, timeout=SECONDS_PER_COMMAND, capture_output=True, text=True
        )
        if answer.returncode != 0:
            raise SystemExit(f"tyto {' '.join(map(str, arguments))}: {answer.stderr}")
        return answer.stdout

    def root(self, command: str, *arguments: Any) -> None:
        """Makes a version of the trust root and keeps a copy of it; from the one before there is an update to it."""
        self.tyto("root", command, self.roots, *arguments)
        version = f"roots-{len(self.versions) + 1}.cbor"
        shutil.copy(self.roots, self.out / version)
        if self.versions:
            self.case("trust-root", version, roots=self.versions[-1])
        self.versions.append(version)

    def case(self, form: str, file: str, verdict: str = "accepted", **more: Any) -> None:
        case = {"name": f"fresh-{len(self.cases) + 1}", "form": form, "file": file, "verdict": verdict}
        self.cases.append(case | {"at_unix_ms": None} | more)

    def evidence(self, file: str, roots: str, at: int | None, rejected: tuple[str, str] | None = None) -> None:
        more: dict[str, Any] = {"roots": roots, "at_unix_ms": at}
        if rejected is not None:
            more |= {"verdict": "rejected", "part": rejected[0], "check": rejected[1]}
        self.case("evidence", file, **more)

    def trust_roots(self) -> None:
        golden = open_trust_root((self.vectors / "roots/main.cbor").read_bytes())
        log = next(key for key in golden.keys.values() if key.log_id is not None)
        (self.out / "log.der").write_bytes(SPKI + log.public_key)
        self.root("init", "--name", "trust root of this run")
        since = ["--valid-from", "2026-01-01"]
        self.root("add", self.vectors / "trusted-keys.txt", "--purpose", "attestation", *since)
        self.root("add", "log.der", "--purpose", LOG, "--log-id", log.log_id.hex(), *since)
        self.tyto("attest", "decision", "init", "tenant.key", "--public-out", "tenant.der")
        self.root("add", "tenant.der", "--purpose", "decision", "--name", TENANT, *since)

    def roots_of_all_sets(self) -> None:
        for algorithm in ROOT_ALGORITHMS:
            file = f"{algorithm}.cbor"
            answer = self.tyto("root", "init", file, "--name", algorithm, "--algorithm", algorithm, "--json")
            self.case("trust-root", file, pinned=json.loads(answer)["root_key"])

    def decide(self, evidence: str, out: str) -> None:
        self.tyto(
            "attest", "decision", "issue", self.vectors / "evidence" / evidence, "--key", "tenant.key", "--tenant", TENANT,
            "--outcome", "match", "--threshold-score", 481, "--pseudonym", "5a" * 16, "--audience", "door",
            "--roots", self.roots, "--out", out,
        )  # fmt: skip

    def served(self) -> None:
        """A server attests documents and a match: with a signature, and a document by the receipt alone."""
        (self.out / "document.txt").write_text("nothing that anyone has seen before: " + os.urandom(16).hex())
        (self.out / "faces.npy").write_bytes(embeddings([[0.6, 0.8, 0.0, 0.0], [0.0, 0.0, 0.8, 0.6]]))
        (self.out / "faces.csv").write_text("subject\nada\ngrace\n")
        with Server(self.binary.with_name("tytod"), self.out / "server") as endpoint:
            at = ["--endpoint", endpoint, "--keyring", "keyring"]
            document = ["attest", "document", "document.txt", *at]
            self.tyto(*document, "--out", "signed.cbor")
            self.tyto(*document, "--out", "receipt-only.cbor", "--receipt-only")
            self.tyto("keyring", "init", *at)
            self.tyto("gallery", "create", "faces", "--dimension", 4, *at)
            enrolled = ["--embeddings", "faces.npy", "--labels", "faces.csv"]
            self.tyto("gallery", "enrol", "faces", *enrolled, *at)
            probe = ["--embeddings", "faces.npy", "--row", 1, "--threshold", 0.5]
            self.tyto("verify", "faces", "--subject", "grace", *probe, "--attestation-out", "match", *at)
            self.tyto("attest", "receipt", "match", "--out", "match.cbor", *at)
        unknown = {"signed.cbor": "envelope", "receipt-only.cbor": "checkpoint", "match.cbor": "envelope"}
        for bundle, part in unknown.items():
            self.evidence(bundle, self.versions[-1], None, (part, "key-id"))
        for purpose in ("attestation", LOG):
            self.root("add", "signed.cbor", "--purpose", purpose, "--valid-from", "2026-01-01")
        for bundle in unknown:
            self.evidence(bundle, self.versions[-1], None)
            self.evidence(bundle, self.versions[-1], int(time.time() * 1000))

    def make(self) -> None:
        self.roots_of_all_sets()
        self.trust_roots()
        for golden in ("default.cbor", "receipt-only.cbor", "without-receipt.cbor"):
            bundle = f"decided-{golden}"
            self.decide(golden, bundle)
        now = int(time.time() * 1000)
        trusting = self.versions[-1]
        for golden in ("default.cbor", "receipt-only.cbor", "without-receipt.cbor"):
            self.evidence(f"decided-{golden}", trusting, now)
            self.evidence(f"decided-{golden}", trusting, None)
            self.evidence(f"decided-{golden}", trusting, now - 3_600_000, ("decision", "time-order"))
            self.evidence(f"decided-{golden}", self.versions[-2], now, ("decision", "key-id"))
        self.root("rotate")
        decision_key = next(k for k in open_trust_root(self.roots.read_bytes()).keys.values() if k.name == TENANT)
        self.root("revoke", decision_key.id().hex(), "--at", "2026-06-01", "--reason", "key-compromise")
        self.evidence("decided-default.cbor", self.versions[-1], now, ("decision", "revoked"))
        self.served()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    shutil.rmtree(given.out, ignore_errors=True)
    given.out.mkdir(parents=True)
    maker = Maker(given.binary, given.vectors, given.out)
    maker.make()
    (given.out / "index.json").write_text(json.dumps({"cases": maker.cases}))
    print(f"{len(maker.cases)} fresh cases from tyto")


if __name__ == "__main__":
    main()
