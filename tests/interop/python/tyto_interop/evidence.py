"""Bundles, and bare attestations, decisions and checkpoints: the order of checks of the format description.

The numbers in comments are the rows of its table of checks.
"""

from dataclasses import dataclass
from typing import Any

from . import cbor, cose, decision, merkle, statement
from .algorithms import ALGORITHMS, ATTESTATION, DECISION, LOG, WITNESS, key_id, verifies
from .checkpoint import (
    CHECKPOINT,
    CHECKPOINT_TYPE,
    CONSISTENCY,
    COSIGNATURE,
    INCLUSION,
    MAX_BYTES,
    Checkpoint,
    read_checkpoint,
)
from .errors import Rejected, require
from .fields import is_bytes, is_int, is_list, is_uint
from .times import check_key_times, check_order, earliest, in_order
from .trust_root import Key, TrustRoot

MAX_BUNDLE_BYTES = 327_680
MAX_ENTRY_BYTES = 6_144
BUNDLE_VERSION = 1
WITH_ATTESTATION, BARE_STATEMENT = 1, 2
ENVELOPE, PROTECTED_HEADER = "envelope", "protected header"
ATTESTATION_TYPE = "application/vnd.tyto.attestation+cbor"

Facts = dict[str, Any]


@dataclass
class KeyEntry:
    algorithm: int
    purpose: int
    public_key: bytes


@dataclass
class Bundle:
    mode: int
    entry: bytes
    receipt: bytes | None
    keys: list[KeyEntry]
    decision: bytes | None


def read_key_entry(item: Any) -> KeyEntry:
    part = "bundle"
    require(is_list(item, 3) and is_int(item[0]), part, "field", "key")
    algorithm, purpose, public_key = item
    require(algorithm in ALGORITHMS, part, "algorithm", str(algorithm))
    require(is_uint(purpose) and purpose in (ATTESTATION, LOG, WITNESS, DECISION), part, "field", "purpose")
    require(is_bytes(public_key, ALGORITHMS[algorithm].public_key_bytes), part, "field", "public key")
    return KeyEntry(algorithm, purpose, public_key)


def read_bundle(data: bytes) -> Bundle:
    part = "bundle"
    require(len(data) <= MAX_BUNDLE_BYTES, part, "size")
    items = cbor.decode(data, part)
    require(type(items) is list and len(items) >= 2, part, "field", "not a bundle")
    require(items[0] == "tyto-bundle", part, "field", "magic")
    require(is_uint(items[1]), part, "field", "version")
    require(items[1] == BUNDLE_VERSION, part, "version", str(items[1]))
    require(len(items) == 7, part, "field", "number of items")
    mode, entry, receipt, keys, decided = items[2:]
    require(is_uint(mode) and mode in (WITH_ATTESTATION, BARE_STATEMENT), part, "field", "mode")
    require(is_bytes(entry) and len(entry) <= MAX_ENTRY_BYTES, part, "field", "entry")
    require(receipt is None or is_bytes(receipt) and len(receipt) <= MAX_BYTES, part, "field", "receipt")
    require(receipt is not None or mode == WITH_ATTESTATION, part, "field", "a statement without a receipt")
    require(decided is None or is_bytes(decided) and len(decided) <= MAX_ENTRY_BYTES, part, "field", "decision")
    require(type(keys) is list and len(keys) <= 3, part, "field", "keys")
    entries = [read_key_entry(key) for key in keys]
    signers = (mode == WITH_ATTESTATION) + (receipt is not None) + (decided is not None)
    require(len(entries) == signers, part, "field", "number of keys")
    return Bundle(mode, entry, receipt, entries, decided)


@dataclass
class Verifier:
    """One verification: against which trust root, and at what time if there is a clock."""

    roots: TrustRoot
    at: int | None

    def signer(
        self, part: str, kid: bytes, alg: int, purpose: int, entry: KeyEntry | None
    ) -> Key:
        """Row 4, up to the signature."""
        if entry is not None:
            named = key_id(entry.algorithm, entry.public_key)
            require(named == kid and entry.purpose == purpose, part, "key-entry")
        key = self.roots.keys.get(kid)
        require(key is not None, part, "key-id", "not in the trust root")
        require(alg == key.algorithm, part, "algorithm-of-key")
        require(key.purpose == purpose, part, "purpose")
        return key

    def attestation(self, data: bytes, entry: KeyEntry | None) -> tuple[Facts, Key]:
        """Rows 2 to 5."""
        envelope = cose.read_sign1(data, ENVELOPE, MAX_ENTRY_BYTES)
        require(envelope.unprotected.has_exactly([]), ENVELOPE, "field", "unprotected header")
        require(envelope.payload is not None, ENVELOPE, "field", "no payload")
        header = cose.read_header(envelope.protected, PROTECTED_HEADER, ATTESTATION_TYPE)
        cose.require_known_algorithm(header, PROTECTED_HEADER)
        key = self.signer(ENVELOPE, header.kid, header.alg, ATTESTATION, entry)
        holds = cose.signature_holds(key.algorithm, key.public_key, envelope, envelope.payload)
        require(holds, ENVELOPE, "signature")
        return statement.read_statement(envelope.payload), key

    def checkpoint(self, checkpoint: Checkpoint, entry: KeyEntry | None) -> Facts:
        """Rows 9 to 12."""
        header, head = checkpoint.header, checkpoint.head
        key = self.signer(CHECKPOINT, header.kid, header.alg, LOG, entry)
        signature = checkpoint.envelope.signature
        require(verifies(key.algorithm, key.public_key, checkpoint.signed(), signature), CHECKPOINT, "signature")
        require(key.log_id == head.log_id, "trust root", "log-id")
        cosignatures = [self.cosignature(checkpoint, index) for index in range(len(checkpoint.cosignatures))]
        seen = earliest(self.at, *(each["time"] for each in cosignatures if each["verdict"] == "counts"))
        check_key_times(CHECKPOINT, key, head.time, seen, outlives_key=True)
        check_order(CHECKPOINT, head.time, self.at)
        return {
            "log_id": head.log_id,
            "size": head.size,
            "root": head.root,
            "time": head.time,
            "key_id": header.kid,
            "algorithm": ALGORITHMS[header.alg].name,
            "cosignatures": cosignatures,
            "seen": seen,
        }

    def cosignature(self, checkpoint: Checkpoint, index: int) -> Facts:
        cosignature = checkpoint.cosignatures[index]
        header = cosignature.header
        facts = {"key_id": header.kid, "time": cosignature.time}
        if header.kid not in self.roots.keys:
            return facts | {"verdict": "unknown-key"}
        key = self.roots.keys[header.kid]
        require(key.purpose == WITNESS, COSIGNATURE, "purpose")
        require(header.alg == key.algorithm, COSIGNATURE, "algorithm-of-key")
        cosigned = checkpoint.cosigned(cosignature)
        require(verifies(key.algorithm, key.public_key, cosigned, cosignature.signature), COSIGNATURE, "signature")
        ordered = in_order(checkpoint.head.time, cosignature.time) and in_order(cosignature.time, self.at)
        try:
            check_key_times(COSIGNATURE, key, cosignature.time, self.at, outlives_key=True)
        except Rejected:
            ordered = False
        return facts | {"verdict": "counts" if ordered else "not-believed"}

    def decision(self, data: bytes, entry: KeyEntry | None) -> Facts:
        """Row 15 as far as it goes for a bare decision."""
        part = decision.PART
        envelope, header = decision.read_envelope(data, MAX_ENTRY_BYTES)
        key = self.signer(part, header.kid, header.alg, DECISION, entry)
        holds = cose.signature_holds(key.algorithm, key.public_key, envelope, envelope.payload)
        require(holds, part, "signature")
        facts = decision.read_decision(envelope.payload)
        require(key.name == facts["tenant"], part, "tenant")
        check_order(part, facts["decided_at"], self.at)
        check_key_times(part, key, facts["decided_at"], self.at, outlives_key=False)
        return facts | {"key_id": header.kid, "seen": self.at}

    def decision_about(self, data: bytes, entry: KeyEntry, leaf: bytes, claimed: Facts) -> Facts:
        """Row 15."""
        part = decision.PART
        facts = self.decision(data, entry)
        require(facts["rests_on"] == leaf, part, "decision-digest")
        require(claimed["kind"] in statement.MATCH_KINDS, part, "decision-kind")
        check_order(part, claimed["issued_at"], facts["decided_at"])
        return facts

    def bundle(self, data: bytes) -> Facts:
        bundle = read_bundle(data)
        keys = iter(bundle.keys)
        facts: Facts = {"object": "bundle", "mode": bundle.mode}
        key = None
        if bundle.mode == WITH_ATTESTATION:
            facts["statement"], key = self.attestation(bundle.entry, next(keys))
        else:
            facts["statement"] = statement.read_statement(bundle.entry)
        if bundle.receipt is not None:
            receipt = read_checkpoint(bundle.receipt, INCLUSION)
            leaf = merkle.leaf_hash(bundle.entry)
            proof, head = receipt.proof, receipt.head
            root = merkle.root_of_inclusion(leaf, proof.start, head.size, proof.path)
            require(root == head.root, "receipt", "root")
            facts["checkpoint"] = self.checkpoint(receipt, next(keys))
            facts["index"] = proof.start
        self.statement_in_its_log(facts)
        if key is not None:
            facts["key_id"] = key.id()
            seen = self.statement_seen(facts)
            check_key_times(statement.PART, key, facts["statement"]["issued_at"], seen, outlives_key=False)
        facts["seen"] = self.statement_seen(facts)
        if bundle.decision is not None:
            leaf = merkle.leaf_hash(bundle.entry)
            try:
                facts["decision"] = self.decision_about(bundle.decision, next(keys), leaf, facts["statement"])
            except Rejected as rejected:
                rejected.without_decision = facts
                raise
        return facts

    def statement_seen(self, facts: Facts) -> int | None:
        return earliest(self.at, facts["checkpoint"]["time"] if "checkpoint" in facts else None)

    def statement_in_its_log(self, facts: Facts) -> None:
        """Row 13."""
        claimed = facts["statement"]
        if "checkpoint" in facts:
            if claimed["log_id"] is not None:
                require(claimed["log_id"] == facts["checkpoint"]["log_id"], statement.PART, "log-id")
            if claimed["previous_checkpoint"] is not None:
                require(claimed["previous_checkpoint"][0] <= facts["index"], statement.PART, "previous-checkpoint")
        check_order(statement.PART, claimed["issued_at"], self.statement_seen(facts))

    def bare_attestation(self, data: bytes) -> Facts:
        claimed, key = self.attestation(data, None)
        facts: Facts = {"object": "attestation", "statement": claimed, "key_id": key.id(), "seen": self.at}
        self.statement_in_its_log(facts)
        check_key_times(statement.PART, key, claimed["issued_at"], self.at, outlives_key=False)
        return facts

    def evidence(self, data: bytes) -> Facts:
        if not cose.looks_like_sign1(data):
            return self.bundle(data)
        match cose.typ_of(data):
            case str(typ) if typ == CHECKPOINT_TYPE:
                return {"object": "checkpoint", "checkpoint": self.checkpoint(read_checkpoint(data), None)}
            case str(typ) if typ == decision.TYPE:
                return {"object": "decision", "decision": self.decision(data, None)}
            case _:
                return self.bare_attestation(data)

    def consistency(self, data: bytes, old_checkpoint: bytes) -> Facts:
        """A receipt of consistency against an earlier checkpoint, whose tree head counts as verified."""
        old = read_checkpoint(old_checkpoint).head
        receipt = read_checkpoint(data, CONSISTENCY)
        proof, head = receipt.proof, receipt.head
        require(old.log_id == head.log_id, "receipt", "log-id")
        require(old.size == proof.start, "receipt", "tree-size")
        merkle.check_consistency(old.size, old.root, head.size, head.root, proof.path)
        facts = {"object": "consistency", "old_size": old.size}
        return facts | {"checkpoint": self.checkpoint(receipt, None)}
