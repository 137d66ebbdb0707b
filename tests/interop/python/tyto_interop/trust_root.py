"""Trust roots: whose word is taken, and how one list follows another."""

from dataclasses import dataclass
from typing import Any

from . import cbor
from .algorithms import ALGORITHMS, DECISION, FAMILIES_OF_PURPOSE, LOG, key_id, verifies
from .cose import ALG, KID, TYP
from .errors import require
from .fields import is_bytes, is_hash, is_int, is_line, is_list, is_uint

PART = "trust root"
SIGN_TAG = 98
MAX_BYTES = 4 << 20
MAX_KEYS = 1024
FORMAT = 1
TYPE = "application/vnd.tyto.trust-root+cbor"
REASONS = ("unspecified", "key-compromise", "superseded", "cessation-of-operation")


@dataclass
class Key:
    algorithm: int
    public_key: bytes
    purpose: int
    log_id: bytes | None
    name: str
    valid_from: int
    valid_until: int | None
    revoked_at: int | None

    def id(self) -> bytes:
        return key_id(self.algorithm, self.public_key)


@dataclass
class TrustRoot:
    version: int
    issued_at: int
    name: str
    root_key: tuple[int, bytes]
    replaced_key: tuple[int, bytes] | None
    keys: dict[bytes, Key]

    def root_key_id(self) -> bytes:
        return key_id(*self.root_key)


def read_public_key(algorithm: Any, public_key: Any, families: tuple[str, ...]) -> None:
    require(is_int(algorithm), PART, "field", "algorithm")
    require(algorithm in ALGORITHMS, PART, "algorithm", str(algorithm))
    known = ALGORITHMS[algorithm]
    require(known.family in families, PART, "field", "algorithm for another purpose")
    require(is_bytes(public_key, known.public_key_bytes), PART, "field", "public key")


def read_root_key(item: Any) -> tuple[int, bytes]:
    require(is_list(item, 2), PART, "field", "root key")
    read_public_key(item[0], item[1], ("slh-dsa",))
    return item[0], item[1]


def read_revocation(item: Any) -> int | None:
    if item is None:
        return None
    require(is_list(item, 2) and is_uint(item[0]), PART, "field", "revocation")
    require(type(item[1]) is str and item[1] in REASONS, PART, "field", "reason")
    return item[0]


def read_key(item: Any) -> Key:
    require(type(item) is cbor.Map and item.has_exactly(list(range(1, 9))), PART, "field", "key")
    algorithm, public_key, purpose, log_id, name, valid_from, valid_until, revocation = (
        item.get(label) for label in range(1, 9)
    )
    require(is_uint(purpose) and purpose in FAMILIES_OF_PURPOSE, PART, "field", "purpose")
    read_public_key(algorithm, public_key, FAMILIES_OF_PURPOSE[purpose])
    require(is_hash(log_id) if purpose == LOG else log_id is None, PART, "field", "log id")
    require(is_line(name), PART, "field", "name")
    require(is_uint(valid_from), PART, "field", "valid_from")
    if valid_until is not None:
        require(is_uint(valid_until) and valid_until > valid_from, PART, "field", "valid_until")
    return Key(
        algorithm, public_key, purpose, log_id, name, valid_from, valid_until, read_revocation(revocation)
    )


def read_keys(items: Any) -> dict[bytes, Key]:
    require(type(items) is list and len(items) <= MAX_KEYS, PART, "field", "keys")
    keys: dict[bytes, Key] = {}
    last = b""
    for item in items:
        key = read_key(item)
        require(key.id() > last, PART, "field", "order of the keys")
        last = key.id()
        keys[last] = key
    return keys


def read_list(data: bytes) -> TrustRoot:
    item = cbor.decode(data, PART)
    require(type(item) is cbor.Map and item.first_is(1) and is_uint(item.get(1)), PART, "field", "format")
    require(item.get(1) == FORMAT, PART, "version", str(item.get(1)))
    require(item.has_exactly(list(range(1, 8))), PART, "field", "entries of the list")
    version, issued_at, name, root_key, replaced, keys = (item.get(label) for label in range(2, 8))
    require(is_uint(version) and version >= 1, PART, "field", "version")
    require(is_uint(issued_at), PART, "field", "issued_at")
    require(is_line(name), PART, "field", "name")
    root_key = read_root_key(root_key)
    replaced = None if replaced is None else read_root_key(replaced)
    return TrustRoot(version, issued_at, name, root_key, replaced, read_keys(keys))


def check_signature(item: Any, protected: bytes, payload: bytes, key: tuple[int, bytes]) -> None:
    header = cbor.decode(item[0], PART)
    require(type(header) is cbor.Map and header.has_exactly([ALG, KID]), PART, "field", "header of a signature")
    alg, kid = header.get(ALG), header.get(KID)
    require(is_int(alg), PART, "field", "alg")
    require(is_hash(kid), PART, "field", "kid")
    require(alg in ALGORITHMS, PART, "algorithm", str(alg))
    require(kid == key_id(*key), PART, "key-id", "signed by a key that the list does not name")
    require(alg == key[0], PART, "algorithm-of-key")
    signed = cbor.encode(["Signature", protected, item[0], b"", payload])
    require(verifies(*key, signed, item[2]), PART, "signature")


def open_trust_root(data: bytes, pinned: bytes | None = None) -> TrustRoot:
    require(len(data) <= MAX_BYTES, PART, "size")
    item = cbor.decode(data, PART)
    require(type(item) is cbor.Tag and item.number == SIGN_TAG, PART, "field", "not tagged as COSE_Sign")
    require(is_list(item.content, 4), PART, "field", "not four items")
    protected, unprotected, payload, signatures = item.content
    require(is_bytes(protected) and is_bytes(payload), PART, "field", "header or payload")
    require(type(unprotected) is cbor.Map and unprotected.has_exactly([]), PART, "field", "unprotected header")
    header = cbor.decode(protected, PART)
    require(type(header) is cbor.Map and header.has_exactly([TYP]), PART, "field", "protected header")
    require(header.get(TYP) == TYPE, PART, "field", "typ")
    require(type(signatures) is list and 1 <= len(signatures) <= 2, PART, "field", "signatures")
    for each in signatures:
        require(is_list(each, 3) and is_bytes(each[0]) and is_bytes(each[2]), PART, "field", "signature")
        require(type(each[1]) is cbor.Map and each[1].has_exactly([]), PART, "field", "unprotected header")

    trust_root = read_list(payload)
    signers = [trust_root.root_key] + ([trust_root.replaced_key] if trust_root.replaced_key else [])
    require(len(signatures) == len(signers), PART, "field", "number of signatures")
    for each, signer in zip(signatures, signers):
        check_signature(each, protected, payload, signer)
    if pinned is not None:
        require(pinned in [key_id(*signer) for signer in signers], PART, "key-id", "not the pinned root key")
    return trust_root


def update_trust_root(old: TrustRoot, data: bytes) -> TrustRoot:
    new = open_trust_root(data, old.root_key_id())
    require(new.version > old.version, PART, "root-version")
    require(new.name == old.name and new.issued_at >= old.issued_at, PART, "root-regression", "name or issued_at")
    for kid, before in old.keys.items():
        after = new.keys.get(kid)
        require(after is not None, PART, "root-regression", "a key is missing")
        require(
            (after.purpose, after.log_id, after.valid_from) == (before.purpose, before.log_id, before.valid_from),
            PART,
            "root-regression",
            "purpose, log or valid_from",
        )
        require(before.purpose != DECISION or after.name == before.name, PART, "root-regression", "tenant")
        require(not_later(after.valid_until, before.valid_until), PART, "root-regression", "valid_until")
        require(not_later(after.revoked_at, before.revoked_at), PART, "root-regression", "revocation")
    return new


def not_later(after: int | None, before: int | None) -> bool:
    """None is never."""
    return before is None or (after is not None and after <= before)
