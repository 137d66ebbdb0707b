"""Attestation files of clients, and the list of keys that clients trust."""

import re
from typing import Any

from . import cbor, cose, statement
from .algorithms import ML_DSA_65, key_id, verifies
from .errors import Rejected, require
from .evidence import ATTESTATION_TYPE, ENVELOPE, MAX_ENTRY_BYTES, PROTECTED_HEADER
from .fields import is_bytes, is_list, is_uint

PART = "attestation file"
VERSION = 1
MAX_CONTENT_BYTES = 67_108_864
MAX_TRUSTED_KEYS = 256
MAX_BYTES = 134_224_896

TrustedKeys = dict[bytes, bytes]


def read_trusted_keys(data: bytes) -> TrustedKeys:
    part = "trusted keys"
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Rejected(part, "trusted-keys", "not UTF-8") from None
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    require(lines[0] == "tyto-trusted-keys v1", part, "trusted-keys", "first line")
    keys: TrustedKeys = {}
    for line in lines[1:]:
        if not line or line.startswith("#"):
            continue
        found = re.fullmatch("ml-dsa-65 ([0-9a-f]{64}) ([0-9a-f]{3904})", line)
        require(found is not None, part, "trusted-keys", "line")
        kid, key = bytes.fromhex(found[1]), bytes.fromhex(found[2])
        require(kid == key_id(ML_DSA_65, key), part, "trusted-keys", "key id")
        require(kid not in keys, part, "trusted-keys", "twice")
        keys[kid] = key
    require(len(keys) <= MAX_TRUSTED_KEYS, part, "trusted-keys", "too many keys")
    return keys


def verify_attestation(data: bytes, keys: TrustedKeys) -> dict[str, Any]:
    envelope = cose.read_sign1(data, ENVELOPE, MAX_ENTRY_BYTES)
    require(envelope.unprotected.has_exactly([]), ENVELOPE, "field", "unprotected header")
    require(envelope.payload is not None, ENVELOPE, "field", "no payload")
    header = cose.read_header(envelope.protected, PROTECTED_HEADER, ATTESTATION_TYPE)
    cose.require_known_algorithm(header, PROTECTED_HEADER)
    require(header.kid in keys, ENVELOPE, "key-id", "not a trusted key")
    require(header.alg == ML_DSA_65, ENVELOPE, "algorithm-of-key")
    signed = cose.signed_bytes(envelope.protected, envelope.payload)
    require(verifies(ML_DSA_65, keys[header.kid], signed, envelope.signature), ENVELOPE, "signature")
    return {"statement": statement.read_statement(envelope.payload), "key_id": header.kid}


def verify_file(data: bytes, keys: TrustedKeys) -> dict[str, Any]:
    require(len(data) <= MAX_BYTES, PART, "size")
    items = cbor.decode(data, PART)
    require(type(items) is list and len(items) >= 2, PART, "field", "not an attestation file")
    require(items[0] == "tyto-attestation", PART, "field", "magic")
    require(is_uint(items[1]), PART, "field", "version")
    require(items[1] == VERSION, PART, "file-version", str(items[1]))
    require(is_list(items, 6), PART, "field", "number of items")
    attestation, salt, request, result = items[2:]
    require(is_bytes(attestation) and len(attestation) <= MAX_ENTRY_BYTES, PART, "field", "attestation")
    require(is_bytes(salt, 32), PART, "field", "salt")
    for content in (request, result):
        require(content is None or is_bytes(content) and len(content) <= MAX_CONTENT_BYTES, PART, "field", "content")
    facts = verify_attestation(attestation, keys)
    require(facts["statement"]["kind"] in statement.MATCH_KINDS, statement.PART, "field", "not about a match")
    claim = facts["statement"]["claim"]
    facts["salt"] = salt
    for name, content in (("request_digest", request), ("result_digest", result)):
        if content is not None:
            require(statement.salted_digest(name, salt, content) == claim[name], PART, "digest", name)
        facts[name + "_checked"] = content is not None
    return facts
