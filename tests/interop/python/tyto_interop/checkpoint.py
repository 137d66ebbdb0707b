"""Checkpoints, receipts of inclusion and of consistency, and co-signatures: their form."""

from dataclasses import dataclass, field
from typing import Any

from . import cbor
from .cose import Header, Sign1, read_header, read_sign1, require_known_algorithm, signed_bytes
from .errors import require
from .fields import is_bytes, is_hash, is_list, is_uint

MAX_BYTES = 262_144
MAX_LOG_ENTRIES = 1 << 62
MAX_PROOF_HASHES = 128
MAX_COSIGNATURES = 16
CHECKPOINT, RECEIPT, COSIGNATURE = "checkpoint", "receipt", "co-signature"

CHECKPOINT_TYPE = "application/vnd.tyto.checkpoint+cbor"
COSIGNATURE_TYPE = "application/vnd.tyto.cosignature+cbor"
COUNTERSIGNATURES, VDS, VDP = 11, 395, 396
TREE, TREE_HEAD, COSIGNED_AT = -70100, -70101, -70102
INCLUSION, CONSISTENCY = -1, -2
HEAD_VERSION = 1


@dataclass
class Head:
    log_id: bytes
    size: int
    root: bytes
    time: int


@dataclass
class Cosignature:
    protected: bytes
    signature: bytes
    header: Header
    time: int


@dataclass
class Proof:
    """Of inclusion of the leaf `start`, or of consistency with the tree of size `start`."""

    start: int
    size: int
    path: list[bytes]


@dataclass
class Checkpoint:
    envelope: Sign1
    header: Header
    head: Head
    proof: Proof | None = None
    cosignatures: list[Cosignature] = field(default_factory=list)

    def signed(self) -> bytes:
        return signed_bytes(self.envelope.protected, self.head.root)

    def cosigned(self, cosignature: Cosignature) -> bytes:
        context = ["CounterSignatureV2", self.envelope.protected, cosignature.protected, b"", self.head.root]
        return cbor.encode([*context, [self.envelope.signature]])


def read_head(item: Any) -> Head:
    require(type(item) is list and item and is_uint(item[0]), CHECKPOINT, "field", "tree head")
    require(item[0] == HEAD_VERSION, CHECKPOINT, "version", str(item[0]))
    require(len(item) == 5, CHECKPOINT, "field", "items of the tree head")
    _, log_id, size, root, time = item
    require(is_hash(log_id), CHECKPOINT, "field", "log id")
    require(is_uint(size) and size <= MAX_LOG_ENTRIES, CHECKPOINT, "field", "tree size")
    require(is_hash(root), CHECKPOINT, "field", "root")
    require(is_uint(time), CHECKPOINT, "field", "time")
    return Head(log_id, size, root, time)


def read_cosignature(item: Any) -> Cosignature:
    require(is_list(item, 3), COSIGNATURE, "field", "not three items")
    protected, unprotected, signature = item
    require(is_bytes(protected) and is_bytes(signature), COSIGNATURE, "field")
    require(type(unprotected) is cbor.Map and unprotected.has_exactly([]), COSIGNATURE, "field", "unprotected header")
    header = read_header(protected, COSIGNATURE, COSIGNATURE_TYPE, (COSIGNED_AT,), (COSIGNED_AT,))
    time = header.map.get(COSIGNED_AT)
    require(is_uint(time), COSIGNATURE, "field", "time")
    return Cosignature(protected, signature, header, time)


def read_proof(item: Any, kind: int) -> Proof:
    require(type(item) is cbor.Map and item.has_exactly([kind]), RECEIPT, "field", "proofs")
    proofs = item.get(kind)
    require(is_list(proofs, 1) and is_bytes(proofs[0]), RECEIPT, "field", "proofs")
    proof = cbor.decode(proofs[0], RECEIPT)
    require(is_list(proof, 3) and is_uint(proof[0]) and is_uint(proof[1]), RECEIPT, "field", "proof")
    path = proof[2]
    require(type(path) is list and len(path) <= MAX_PROOF_HASHES, RECEIPT, "field", "hashes of the proof")
    require(all(is_hash(each) for each in path), RECEIPT, "field", "hashes of the proof")
    if kind == INCLUSION:
        return Proof(start=proof[1], size=proof[0], path=path)
    return Proof(start=proof[0], size=proof[1], path=path)


def read_checkpoint(data: bytes, kind: int | None = None) -> Checkpoint:
    """A bare checkpoint, or the receipt of `kind`."""
    part = CHECKPOINT if kind is None else RECEIPT
    envelope = read_sign1(data, part, MAX_BYTES)
    labels = ([COUNTERSIGNATURES] if envelope.unprotected.has(COUNTERSIGNATURES) else []) + ([VDP] if kind else [])
    require(envelope.unprotected.has_exactly(labels), part, "field", "unprotected header")
    require((envelope.payload is None) == (kind is not None), part, "field", "payload")
    cosignatures = []
    if COUNTERSIGNATURES in labels:
        items = envelope.unprotected.get(COUNTERSIGNATURES)
        require(type(items) is list and 1 <= len(items) <= MAX_COSIGNATURES, CHECKPOINT, "field", "co-signatures")
        cosignatures = [read_cosignature(item) for item in items]
    proof = read_proof(envelope.unprotected.get(VDP), kind) if kind else None
    header = read_header(envelope.protected, CHECKPOINT, CHECKPOINT_TYPE, (TREE_HEAD,), (VDS, TREE_HEAD))
    require_known_algorithm(header, CHECKPOINT)
    vds = header.map.get(VDS)
    require(type(vds) is int and vds == TREE, CHECKPOINT, "field", "verifiable data structure")
    head = read_head(header.map.get(TREE_HEAD))
    if kind is None:
        require(envelope.payload == head.root, CHECKPOINT, "field", "payload is not the root")
    if proof is not None:
        require(proof.size == head.size, RECEIPT, "tree-size")
    return Checkpoint(envelope, header, head, proof, cosignatures)
