"""Decisions: what a tenant made of a score."""

from typing import Any

from . import cbor, cose
from .errors import require
from .fields import is_bytes, is_hash, is_int, is_line, is_uint
from .statement import read_entries

PART = "decision"
TYPE = "application/vnd.tyto.decision+cbor"
VERSION = 1
VERDICTS = ("match", "non-match")

DECISION = {
    1: ("version", is_uint),
    2: ("tenant", is_line),
    3: ("audience", is_line),
    4: ("decided_at", is_uint),
    5: ("subject", lambda item: item is None or is_bytes(item, 16)),
    6: ("verdict", lambda item: type(item) is str and item in VERDICTS),
    7: ("threshold", is_int),
    8: ("rests_on", is_hash),
}


def read_envelope(data: bytes, max_bytes: int) -> tuple[cose.Sign1, cose.Header]:
    envelope = cose.read_sign1(data, PART, max_bytes)
    require(envelope.unprotected.has_exactly([]), PART, "field", "unprotected header")
    require(envelope.payload is not None, PART, "field", "no payload")
    header = cose.read_header(envelope.protected, PART, TYPE)
    cose.require_known_algorithm(header, PART)
    return envelope, header


def read_decision(payload: bytes) -> dict[str, Any]:
    item = cbor.decode(payload, PART)
    require(type(item) is cbor.Map and item.first_is(1) and is_uint(item.get(1)), PART, "field", "version")
    require(item.get(1) == VERSION, PART, "version", str(item.get(1)))
    decision = read_entries(item, DECISION, PART)
    require(decision["verdict"] != "match" or decision["subject"] is not None, PART, "field", "a match of nobody")
    return decision
