"""Checks the golden files of this folder from docs/formats/attestation.md alone.

A second implementation: CBOR from cbor2, ML-DSA-65 from dilithium-py, SHA3 from the standard library.
"""

import hashlib
import io
import json
import pathlib
import sys
import unicodedata
from collections.abc import Mapping

import cbor2
from dilithium_py.ml_dsa import ML_DSA_65

HERE = pathlib.Path(__file__).parent
CONTENT_TYPE = "application/vnd.tyto.attestation+cbor"
MAX_ATTESTATION = 6144
MAX_CONTENT = 64 << 20
MAX_DEPTH = 4
U64 = (1 << 64) - 1

FIELDS = [
    "version", "issuer", "issued_at_unix_ms", "audience", "nonce", "principal", "operation",
    "parameter_set", "gallery_id", "mask_epoch", "manifest_version", "blocks_root", "blocks_matched",
    "blocks_total", "ticket_id", "request_digest", "gallery_state_digest", "records_digest",
    "result_digest", "reply_bits", "software_version", "build_digest", "log_id", "previous_checkpoint",
]


class Rejected(Exception):
    """Carries the name of the check that failed."""


def need(condition, check="field"):
    if not condition:
        raise Rejected(check)


def sha3(*parts):
    return hashlib.sha3_256(b"".join(parts)).digest()


def is_bytes(value, length=None):
    return type(value) is bytes and length in (None, len(value))


def is_uint(value, maximum=U64):
    return type(value) is int and 0 <= value <= maximum


def is_line(value):
    return (type(value) is str and len(value.encode()) <= 256
            and not any(unicodedata.category(c) == "Cc" for c in value))


def permitted(item, depth=0):
    """The kinds of item that attestations have, nested no deeper than permitted."""
    if isinstance(item, (list, tuple)):
        inner = list(item)
    elif isinstance(item, Mapping):
        inner = [*item.keys(), *item.values()]
    elif isinstance(item, cbor2.CBORTag):
        inner = [item.value]
    else:
        return item is None or type(item) in (bool, int, bytes, str)
    return depth < MAX_DEPTH and all(permitted(i, depth + 1) for i in inner)


def decode(data):
    """One deterministically encoded item: it must encode back to the same bytes."""
    stream = io.BytesIO(data)
    try:
        item = cbor2.load(stream)
        good = not stream.read(1) and permitted(item) and cbor2.dumps(item, canonical=True) == data
    except (cbor2.CBORError, UnicodeDecodeError, TypeError, EOFError):
        good = False
    need(good, "cbor")
    return item


def key_id(public_key):
    return sha3(b"tyto/v1/ml-dsa-65-key", public_key)


def verify_attestation(data, keys):
    need(len(data) <= MAX_ATTESTATION, "size")
    envelope = decode(data)
    need(isinstance(envelope, cbor2.CBORTag) and envelope.tag == 18)
    items = envelope.value
    need(isinstance(items, (list, tuple)) and len(items) == 4)
    protected, unprotected, payload, signature = items
    need(is_bytes(protected) and isinstance(unprotected, Mapping) and not unprotected)
    need(is_bytes(payload) and is_bytes(signature))

    header = decode(protected)
    need(isinstance(header, Mapping) and type(header.get(1)) is int)
    need(header[1] == -49, "algorithm")
    need(header.keys() == {1, 4, 16} and is_bytes(header[4], 32) and header[16] == CONTENT_TYPE)
    need(header[4] in keys, "key-id")
    signed = cbor2.dumps(["Signature1", protected, b"", payload], canonical=True)
    need(len(signature) == 3309 and ML_DSA_65.verify(keys[header[4]], signed, signature), "signature")
    return check_statement(decode(payload))


def check_statement(entries):
    need(isinstance(entries, Mapping) and is_uint(entries.get(1)))
    need(entries[1] == 1, "statement-version")
    need(entries.keys() == set(range(1, 25)))
    s = {name: entries[key] for key, name in enumerate(FIELDS, 1)}
    need(all(is_line(s[name]) for name in ("issuer", "audience", "software_version")))
    need(all(s[name] is None or is_line(s[name]) for name in ("principal", "build_digest")))
    need(is_bytes(s["nonce"], 32) and is_bytes(s["gallery_id"], 16))
    need(s["ticket_id"] is None or is_bytes(s["ticket_id"], 16))
    need(all(is_bytes(s[name], 32) for name in FIELDS if name.endswith("_digest") and name != "build_digest"))
    need(is_bytes(s["blocks_root"], 32) and s["operation"] in ("verify", "identify"))
    need(is_uint(s["parameter_set"], 0xFFFF) and is_uint(s["mask_epoch"], 0xFFFF_FFFF))
    need(is_uint(s["reply_bits"], 0xFF))
    need(all(is_uint(s[n]) for n in ("issued_at_unix_ms", "manifest_version", "blocks_matched", "blocks_total")))
    need(s["blocks_matched"] <= s["blocks_total"])
    need(s["log_id"] is None and s["previous_checkpoint"] is None)
    return s


def verify_file(data, keys):
    need(len(data) <= 2 * MAX_CONTENT + MAX_ATTESTATION + 1024, "size")
    items = decode(data)
    need(isinstance(items, (list, tuple)) and len(items) >= 2)
    need(items[0] == "tyto-attestation" and is_uint(items[1]))
    need(items[1] == 1, "file-version")
    need(len(items) == 6 and is_bytes(items[2]) and len(items[2]) <= MAX_ATTESTATION)
    need(is_bytes(items[3], 32))
    need(all(c is None or is_bytes(c) and len(c) <= MAX_CONTENT for c in items[4:]))
    statement = verify_attestation(items[2], keys)
    for kind, content in zip(("request", "result"), items[4:]):
        if content is not None:
            need(salted(kind, items[3], content) == statement[kind + "_digest"], "digest")
    return items


def salted(kind, salt, content):
    domain = ("tyto/v1/attest-" + kind.replace("_", "-")).encode()
    return sha3(bytes([len(domain)]), domain, salt, content)


def merkle_root(leaves):
    if not leaves:
        return sha3(b"\x03")
    if len(leaves) == 1:
        return sha3(b"\x02", leaves[0])
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return sha3(b"\x03", merkle_root(leaves[:k]), merkle_root(leaves[k:]))


def read_keys(text):
    header, *lines = text.splitlines()
    assert header == "tyto-trusted-keys v1"
    keys = {}
    for line in lines:
        algorithm, identifier, key = line.split(" ")
        key = bytes.fromhex(key)
        assert algorithm == "ml-dsa-65" and bytes.fromhex(identifier) == key_id(key)
        keys[key_id(key)] = key
    return keys


def read_hex(name):
    return bytes.fromhex((HERE / name).read_text().strip())


def check_accepted(name, expected, keys):
    payload = read_hex(f"{name}.statement.hex")
    attestation = read_hex(f"{name}.attestation.hex")
    statement = verify_attestation(attestation, keys)
    assert cbor2.loads(attestation).value[2] == payload

    shown = {k: v.hex() if isinstance(v, bytes) else v for k, v in statement.items()}
    for field, value in expected[name]["statement"].items():
        assert shown[field] == value, (name, field)
    leaves = [bytes.fromhex(i) + v.to_bytes(8, "big") for i, v in expected[name]["blocks"]]
    assert statement["blocks_root"] == merkle_root(leaves), name
    salt = bytes.fromhex(expected["salt"])
    contents = {kind: bytes.fromhex(c) for kind, c in expected["contents"].items()}
    for kind, content in contents.items():
        assert statement[kind + "_digest"] == salted(kind, salt, content), (name, kind)

    whole = [contents["request"], contents["result"]] if name == "full" else [None, None]
    file = verify_file(read_hex(f"{name}.file.hex"), keys)
    assert list(file) == ["tyto-attestation", 1, attestation, salt, *whole], name


def main():
    expected = json.loads((HERE / "expected.json").read_text())
    keys = read_keys((HERE / "trusted-keys.txt").read_text())
    public_key, _ = ML_DSA_65.key_derive(bytes.fromhex(expected["seed"]))
    assert list(keys.values()) == [public_key]

    for name in ("full", "sparse"):
        check_accepted(name, expected, keys)

    lines = (HERE / "rejected/checks.tsv").read_text().splitlines()
    listed = {line.split("\t")[0] for line in lines}
    assert listed == {p.stem for p in (HERE / "rejected").glob("*.hex")} and listed
    for name, form, check in (line.split("\t") for line in lines):
        verify = {"attestation": verify_attestation, "file": verify_file}[form]
        try:
            verify(read_hex(f"rejected/{name}.hex"), keys)
        except Rejected as rejected:
            assert str(rejected) == check, f"{name}: rejected by {rejected}, expected {check}"
        else:
            sys.exit(f"{name}: accepted")
    print(f"2 attestations and 2 files accepted, {len(lines)} broken ones rejected for their reason")


if __name__ == "__main__":
    main()
