"""COSE_Sign1 envelopes and their protected headers."""

from dataclasses import dataclass
from typing import Any

from . import cbor
from .algorithms import ALGORITHMS, verifies
from .errors import require
from .fields import is_bytes, is_hash, is_int, is_list

SIGN1_TAG = 18
ALG, CRIT, KID, TYP = 1, 2, 4, 16


@dataclass
class Sign1:
    protected: bytes
    unprotected: cbor.Map
    payload: bytes | None
    signature: bytes


@dataclass
class Header:
    alg: int
    kid: bytes
    map: cbor.Map


def read_sign1(data: bytes, part: str, max_bytes: int) -> Sign1:
    require(len(data) <= max_bytes, part, "size")
    item = cbor.decode(data, part)
    require(type(item) is cbor.Tag and item.number == SIGN1_TAG, part, "field", "not tagged as COSE_Sign1")
    require(is_list(item.content, 4), part, "field", "not four items")
    protected, unprotected, payload, signature = item.content
    require(is_bytes(protected), part, "field", "protected header")
    require(type(unprotected) is cbor.Map, part, "field", "unprotected header")
    require(payload is None or is_bytes(payload), part, "field", "payload")
    require(is_bytes(signature), part, "field", "signature")
    return Sign1(protected, unprotected, payload, signature)


def read_header(
    protected: bytes, part: str, typ: str, critical: tuple[int, ...] = (), others: tuple[int, ...] = ()
) -> Header:
    """The header whose `crit` is exactly `critical` and that has the entries `others` besides those of each."""
    header = cbor.decode(protected, part)
    require(type(header) is cbor.Map, part, "field", "header is not a map")
    alg = header.get(ALG)
    require(is_int(alg), part, "field", "alg")
    crit = header.get(CRIT)
    for label in crit if type(crit) is list else []:
        require(is_int(label) or type(label) is str, part, "field", "label in crit")
        require(label in critical, part, "critical-header", repr(label))
    if critical:
        require(crit == list(critical), part, "field", "crit")
    labels = [ALG, KID, TYP, *others] + ([CRIT] if critical else [])
    require(header.has_exactly(labels), part, "field", "header entries")
    kid = header.get(KID)
    require(is_hash(kid), part, "field", "kid")
    require(header.get(TYP) == typ, part, "field", "typ")
    return Header(alg, kid, header)


def require_known_algorithm(header: Header, part: str) -> None:
    require(header.alg in ALGORITHMS, part, "algorithm", str(header.alg))


def signed_bytes(protected: bytes, payload: bytes) -> bytes:
    return cbor.encode(["Signature1", protected, b"", payload])


def looks_like_sign1(data: bytes) -> bool:
    return data[:1] == bytes([0xC0 | SIGN1_TAG])


def typ_of(data: bytes) -> Any:
    """The `typ` of something that begins as COSE_Sign1 does, or None. Nothing behind it is looked at."""
    envelope = cbor.Reader(data)
    try:
        (tag, number), (array, _), (string, length) = envelope.head(), envelope.head(), envelope.head()
        if (tag, array, string) != (6, 4, 2) or number != SIGN1_TAG:
            return None
        header = cbor.Reader(envelope.take(length))
        major, entries = header.head()
        for _ in range(header.count(entries) if major == 5 else 0):
            key, value = header.item(), header.item()
            if type(key) is int and key == TYP:
                return value
    except cbor.Malformed:
        pass
    return None


def signature_holds(algorithm: int, public_key: bytes, envelope: Sign1, payload: bytes) -> bool:
    return verifies(algorithm, public_key, signed_bytes(envelope.protected, payload), envelope.signature)
