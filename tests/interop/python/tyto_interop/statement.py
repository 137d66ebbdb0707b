"""Statements: what an issuer claims."""

import hashlib
from typing import Any, Callable

from . import cbor
from .errors import require
from .fields import is_bytes, is_hash, is_line, is_uint

PART = "statement"
VERSION = 2
DIGEST_BYTES = {"sha-256": 32, "sha-384": 48, "sha-512": 64, "sha3-256": 32, "sha3-384": 48, "sha3-512": 64}
KEY_ACTIONS = ("activate", "retire", "revoke")

# The four salted digests: name in the claim, domain, name of the content.
DIGESTS = {
    "request_digest": "tyto/v1/attest-request",
    "gallery_state_digest": "tyto/v1/attest-gallery-state",
    "records_digest": "tyto/v1/attest-records",
    "result_digest": "tyto/v1/attest-result",
}


def or_null(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda item: item is None or check(item)


def is_id(item: Any) -> bool:
    return is_bytes(item, 16)


def is_head(item: Any) -> bool:
    return type(item) is list and len(item) == 2 and is_uint(item[0]) and is_hash(item[1])


STATEMENT = {
    1: ("version", is_uint),
    2: ("issuer", is_line),
    3: ("issued_at", is_uint),
    4: ("audience", is_line),
    5: ("nonce", or_null(is_hash)),
    6: ("principal", or_null(is_line)),
    7: ("kind", lambda item: type(item) is str),
    8: ("software_version", is_line),
    9: ("build_digest", or_null(is_line)),
    10: ("log_id", or_null(is_hash)),
    11: ("previous_checkpoint", or_null(is_head)),
    12: ("claim", lambda item: type(item) is cbor.Map),
}
MATCH = {
    1: ("parameter_set", lambda item: is_uint(item, 16)),
    2: ("gallery_id", is_id),
    3: ("mask_epoch", lambda item: is_uint(item, 32)),
    4: ("manifest_version", is_uint),
    5: ("blocks_root", is_hash),
    6: ("blocks_matched", is_uint),
    7: ("blocks_total", is_uint),
    8: ("ticket_id", or_null(is_id)),
    9: ("request_digest", is_hash),
    10: ("gallery_state_digest", is_hash),
    11: ("records_digest", is_hash),
    12: ("result_digest", is_hash),
    13: ("reply_bits", lambda item: is_uint(item, 8)),
}
DOCUMENT = {
    1: ("algorithm", lambda item: type(item) is str and item in DIGEST_BYTES),
    2: ("digest", is_bytes),
    3: ("label", or_null(is_line)),
}
GALLERY_CHANGE = {
    1: ("gallery_id", is_id),
    2: ("manifest_version", is_uint),
    3: ("items", is_uint),
    4: ("request_digest", is_hash),
    5: ("gallery_state_digest", is_hash),
}
KEY_CHANGE = {
    1: ("action", lambda item: type(item) is str and item in KEY_ACTIONS),
    2: ("key_id", is_hash),
    3: ("roots_version", or_null(is_uint)),
}
AUDIT_ANCHOR = {
    1: ("chain_id", is_hash),
    2: ("records", is_uint),
    3: ("head", is_hash),
}
MATCH_KINDS = ("verify", "identify")
CLAIMS = {
    **{kind: MATCH for kind in MATCH_KINDS},
    "document": DOCUMENT,
    **{kind: GALLERY_CHANGE for kind in ("create-gallery", "delete-gallery", "provision", "enrol", "remove")},
    "key-change": KEY_CHANGE,
    "audit-anchor": AUDIT_ANCHOR,
}

Layout = dict[int, tuple[str, Callable[[Any], bool]]]


def read_entries(item: cbor.Map, layout: Layout, part: str) -> dict[str, Any]:
    require(item.has_exactly(list(layout)), part, "field", "entries of the map")
    entries = {}
    for label, (name, holds) in layout.items():
        value = item.get(label)
        require(holds(value), part, "field", name)
        entries[name] = value
    return entries


def read_statement(data: bytes) -> dict[str, Any]:
    item = cbor.decode(data, PART)
    require(type(item) is cbor.Map, PART, "field", "not a map")
    require(item.first_is(1) and is_uint(item.get(1)), PART, "field", "version")
    require(item.get(1) == VERSION, PART, "statement-version", str(item.get(1)))
    statement = read_entries(item, STATEMENT, PART)
    if statement["log_id"] is None:
        require(statement["previous_checkpoint"] is None, PART, "field", "previous checkpoint of no log")
    require(statement["kind"] in CLAIMS, PART, "field", "kind")
    claim = read_entries(statement["claim"], CLAIMS[statement["kind"]], PART)
    if statement["kind"] in MATCH_KINDS:
        require(claim["blocks_matched"] <= claim["blocks_total"], PART, "field", "blocks matched")
    if statement["kind"] == "document":
        require(len(claim["digest"]) == DIGEST_BYTES[claim["algorithm"]], PART, "field", "length of the digest")
    statement["claim"] = claim
    return statement


def salted_digest(name: str, salt: bytes, content: bytes) -> bytes:
    domain = DIGESTS[name].encode()
    return hashlib.sha3_256(bytes([len(domain)]) + domain + salt + content).digest()
