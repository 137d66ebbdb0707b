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
CHECKPOINT_TYPE = "application/vnd.tyto.checkpoint+cbor"
COSIGNATURE_TYPE = "application/vnd.tyto.cosignature+cbor"
MAX_ATTESTATION = 6144
MAX_CHECKPOINT = 256 << 10
MAX_CONTENT = 64 << 20
MAX_DEPTH = 8
U64 = (1 << 64) - 1
MAX_LOG_SIZE = 1 << 62

HEAD = ["version", "issuer", "issued_at_unix_ms", "audience", "nonce", "principal", "kind", "software_version",
        "build_digest", "log_id", "previous_checkpoint", "claim"]
MATCH = ["parameter_set", "gallery_id", "mask_epoch", "manifest_version", "blocks_root", "blocks_matched",
         "blocks_total", "ticket_id", "request_digest", "gallery_state_digest", "records_digest",
         "result_digest", "reply_bits"]
DOCUMENT_DIGESTS = {"sha-256": 32, "sha-384": 48, "sha-512": 64, "sha3-256": 32, "sha3-384": 48, "sha3-512": 64}
GALLERY_CHANGES = ("create-gallery", "delete-gallery", "provision", "enrol", "remove")
KNOWN_ALGORITHMS = {-49, *range(-70031, -70019)}
TREE_HEAD, VDS, COSIGNED_AT = -70101, -70100, -70102


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
        end = stream.tell()
        good = permitted(item) and cbor2.dumps(item, canonical=True) == data[:end]
    except (cbor2.CBORError, UnicodeDecodeError, TypeError, EOFError):
        good = False
    need(good, "cbor")
    need(end == len(data), "trailing-bytes")
    return item


def key_id(public_key):
    return sha3(b"tyto/v1/ml-dsa-65-key", public_key)


def read_sign1(data, maximum):
    need(len(data) <= maximum, "size")
    envelope = decode(data)
    need(isinstance(envelope, cbor2.CBORTag) and envelope.tag == 18)
    items = envelope.value
    need(isinstance(items, (list, tuple)) and len(items) == 4)
    protected, unprotected, payload, signature = items
    need(is_bytes(protected) and isinstance(unprotected, Mapping))
    need((payload is None or is_bytes(payload)) and is_bytes(signature))
    return protected, unprotected, payload, signature


def read_header(protected, content_type, critical=(), more=()):
    header = decode(protected)
    need(isinstance(header, Mapping) and type(header.get(1)) is int)
    if 2 in header:
        need(isinstance(header[2], (list, tuple)))
        need(all(label in critical for label in header[2]), "critical-header")
    need(tuple(header.get(2, ())) == tuple(critical) and (2 in header) == bool(critical))
    need(header.keys() == {1, 4, 16, *more, *([2] if critical else [])})
    need(is_bytes(header[4], 32) and header[16] == content_type)
    return header


def verify_attestation(data, keys):
    protected, unprotected, payload, signature = read_sign1(data, MAX_ATTESTATION)
    need(not unprotected and payload is not None)
    header = read_header(protected, CONTENT_TYPE)
    need(header[1] in KNOWN_ALGORITHMS, "algorithm")
    need(header[4] in keys, "key-id")
    need(header[1] == -49, "algorithm-of-key")
    signed = cbor2.dumps(["Signature1", protected, b"", payload], canonical=True)
    need(len(signature) == 3309 and ML_DSA_65.verify(keys[header[4]], signed, signature), "signature")
    return check_statement(decode(payload))


def check_statement(entries):
    need(isinstance(entries, Mapping) and is_uint(entries.get(1)))
    need(entries[1] == 2, "statement-version")
    need(entries.keys() == set(range(1, 13)))
    s = {name: entries[key] for key, name in enumerate(HEAD, 1)}
    need(all(is_line(s[name]) for name in ("issuer", "audience", "software_version")))
    need(all(s[name] is None or is_line(s[name]) for name in ("principal", "build_digest")))
    need(all(s[name] is None or is_bytes(s[name], 32) for name in ("nonce", "log_id")))
    need(is_uint(s["issued_at_unix_ms"]) and type(s["kind"]) is str)
    previous = s["previous_checkpoint"]
    need(previous is None or s["log_id"] is not None and isinstance(previous, (list, tuple))
         and len(previous) == 2 and is_uint(previous[0]) and is_bytes(previous[1], 32))
    return s | check_claim(s["kind"], s["claim"])


def claim_of(names, claim):
    need(isinstance(claim, Mapping) and claim.keys() == set(range(1, len(names) + 1)))
    return {name: claim[key] for key, name in enumerate(names, 1)}


def check_claim(kind, claim):
    if kind in ("verify", "identify"):
        s = claim_of(MATCH, claim)
        need(is_bytes(s["gallery_id"], 16) and (s["ticket_id"] is None or is_bytes(s["ticket_id"], 16)))
        need(all(is_bytes(s[name], 32) for name in MATCH if name.endswith("_digest") or name == "blocks_root"))
        need(is_uint(s["parameter_set"], 0xFFFF) and is_uint(s["mask_epoch"], 0xFFFF_FFFF))
        need(is_uint(s["reply_bits"], 0xFF))
        need(all(is_uint(s[n]) for n in ("manifest_version", "blocks_matched", "blocks_total")))
        need(s["blocks_matched"] <= s["blocks_total"])
    elif kind == "document":
        s = claim_of(["algorithm", "digest", "label"], claim)
        need(s["algorithm"] in DOCUMENT_DIGESTS and is_bytes(s["digest"], DOCUMENT_DIGESTS[s["algorithm"]]))
        need(s["label"] is None or is_line(s["label"]))
    elif kind in GALLERY_CHANGES:
        s = claim_of(["gallery_id", "manifest_version", "items", "request_digest", "gallery_state_digest"], claim)
        need(is_bytes(s["gallery_id"], 16) and is_uint(s["manifest_version"]) and is_uint(s["items"]))
        need(is_bytes(s["request_digest"], 32) and is_bytes(s["gallery_state_digest"], 32))
    elif kind == "key-change":
        s = claim_of(["operation", "key_id", "roots_version"], claim)
        need(s["operation"] in ("activate", "retire", "revoke") and is_bytes(s["key_id"], 32))
        need(s["roots_version"] is None or is_uint(s["roots_version"]))
    elif kind == "audit-anchor":
        s = claim_of(["chain_id", "records", "head"], claim)
        need(is_bytes(s["chain_id"], 32) and is_uint(s["records"]) and is_bytes(s["head"], 32))
    else:
        need(False)
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


def merkle_root(leaves, leaf=b"\x02", node=b"\x03"):
    if not leaves:
        return sha3(node)
    if len(leaves) == 1:
        return sha3(leaf, leaves[0])
    k = split(len(leaves))
    return sha3(node, merkle_root(leaves[:k], leaf, node), merkle_root(leaves[k:], leaf, node))


def split(n):
    """k of RFC 9162 section 2.1.1."""
    return 1 << (n - 1).bit_length() - 1


def log_root(entries):
    return merkle_root(entries, b"\x00", b"\x01")


def inclusion_path(m, entries):
    """PATH(m, D[n]) of RFC 9162 section 2.1.3.1."""
    if len(entries) == 1:
        return []
    k = split(len(entries))
    if m < k:
        return inclusion_path(m, entries[:k]) + [log_root(entries[k:])]
    return inclusion_path(m - k, entries[k:]) + [log_root(entries[:k])]


def root_from_inclusion(leaf, index, size, path):
    """RFC 9162 section 2.1.3.2, by recursion over the shape of the tree; no length fits by accident."""
    need(size <= MAX_LOG_SIZE and index < size, "leaf-index")
    turns = []
    while size > 1:
        k = split(size)
        turns.append(index < k)
        index, size = (index, k) if index < k else (index - k, size - k)
    need(len(path) == len(turns), "proof-length")
    for sibling, left in zip(path, reversed(turns)):
        leaf = sha3(b"\x01", leaf, sibling) if left else sha3(b"\x01", sibling, leaf)
    return leaf


def consistency_path(m, entries, whole=True):
    """SUBPROOF(m, D[n], b) of RFC 9162 section 2.1.4.1."""
    if m == len(entries):
        return [] if whole else [log_root(entries)]
    k = split(len(entries))
    if m <= k:
        return consistency_path(m, entries[:k], whole) + [log_root(entries[k:])]
    return consistency_path(m - k, entries[k:], False) + [log_root(entries[:k])]


def roots_from_consistency(old_root, old_size, size, path):
    """Both roots to which a consistency proof leads, by recursion over SUBPROOF."""
    need(old_size <= size <= MAX_LOG_SIZE and old_size > 0, "leaf-index")
    turns, start, end = [], 0, size
    while end != old_size:
        k = start + split(end - start)
        turns.append(old_size <= k)
        start, end = (start, k) if old_size <= k else (k, end)
    need(len(path) == len(turns) + (start > 0), "proof-length")
    path = list(path)
    old = new = path.pop(0) if start else old_root
    for sibling, left in zip(path, reversed(turns)):
        if not left:
            old = sha3(b"\x01", sibling, old)
        new = sha3(b"\x01", new, sibling) if left else sha3(b"\x01", sibling, new)
    return old, new


def read_tree_head(protected):
    header = read_header(protected, CHECKPOINT_TYPE, (TREE_HEAD,), (395, TREE_HEAD))
    need(header[1] in KNOWN_ALGORITHMS, "algorithm")
    need(header[395] == VDS)
    head = header[TREE_HEAD]
    need(isinstance(head, (list, tuple)) and len(head) > 0 and is_uint(head[0]))
    need(head[0] == 1, "version")
    need(len(head) == 5 and is_bytes(head[1], 32) and is_uint(head[2], MAX_LOG_SIZE))
    need(is_bytes(head[3], 32) and is_uint(head[4]))
    return dict(zip(("log_id", "size", "root", "time"), head[1:]))


def read_cosignature(items):
    """The form of a co-signature: all that is checked if its key is unknown."""
    need(isinstance(items, (list, tuple)) and len(items) == 3)
    protected, unprotected, signature = items
    need(is_bytes(protected) and isinstance(unprotected, Mapping) and not unprotected and is_bytes(signature))
    need(is_uint(read_header(protected, COSIGNATURE_TYPE, (COSIGNED_AT,), (COSIGNED_AT,))[COSIGNED_AT]))


def read_receipt(data, proof_type):
    protected, unprotected, payload, _ = read_sign1(data, MAX_CHECKPOINT)
    need(unprotected.keys() - {11} == {396} and payload is None)
    if 11 in unprotected:
        need(isinstance(unprotected[11], (list, tuple)) and 1 <= len(unprotected[11]) <= 16)
        for cosignature in unprotected[11]:
            read_cosignature(cosignature)
    proofs = unprotected[396]
    need(isinstance(proofs, Mapping) and proofs.keys() == {proof_type} and len(proofs[proof_type]) == 1)
    proof = decode(proofs[proof_type][0])
    need(isinstance(proof, (list, tuple)) and len(proof) == 3 and is_uint(proof[0]) and is_uint(proof[1]))
    need(len(proof[2]) <= 128 and all(is_bytes(h, 32) for h in proof[2]))
    return read_tree_head(protected), proof


def check_merkle_part(data):
    """The receipt of a bundle: all that needs no SLH-DSA."""
    bundle = decode(data)
    need(isinstance(bundle, (list, tuple)) and len(bundle) == 7 and bundle[0] == "tyto-bundle")
    head, (size, index, path) = read_receipt(bundle[4], -1)
    need(size == head["size"], "tree-size")
    need(root_from_inclusion(sha3(b"\x00", bundle[3]), index, size, path) == head["root"], "root")


def check_consistency(data, old):
    protected, _, payload, _ = read_sign1(old, MAX_CHECKPOINT)
    old_head = read_tree_head(protected)
    need(payload == old_head["root"])
    head, (old_size, size, path) = read_receipt(data, -2)
    need(size == head["size"], "tree-size")
    need(head["log_id"] == old_head["log_id"], "log-id")
    need(old_size == old_head["size"], "tree-size")
    old_root, root = roots_from_consistency(old_head["root"], old_size, size, path)
    need(old_root == old_head["root"], "old-root")
    need(root == head["root"], "root")


def check_definitions():
    """Proofs made by the definitions lead to the roots of the definitions."""
    entries = [bytes([i]) * (i % 5) for i in range(20)]
    for n in range(1, len(entries) + 1):
        root = log_root(entries[:n])
        for m in range(n):
            leaf = sha3(b"\x00", entries[m])
            assert root_from_inclusion(leaf, m, n, inclusion_path(m, entries[:n])) == root
        for m in range(1, n + 1):
            old = log_root(entries[:m])
            assert roots_from_consistency(old, m, n, consistency_path(m, entries[:n])) == (old, root)


# The checks of receipts that need no SLH-DSA: what fails one of them must fail it here too.
MERKLE_CHECKS = {"proof-length", "leaf-index", "tree-size", "root", "old-root"}


def check_evidence(cases):
    counts = {"accepted": 0, "rejected": 0}
    for case in cases:
        if case.get("part") == "bundle":
            continue
        data = (HERE / case["file"]).read_bytes()
        if case["form"] == "consistency":
            check = lambda: check_consistency(data, (HERE / case["old"]).read_bytes())
        elif case["form"] == "evidence" and (case.get("check") in MERKLE_CHECKS or has_receipt(data)):
            check = lambda: check_merkle_part(data)
        else:
            continue
        of_receipt = case.get("part") in ("receipt", "checkpoint", "co-signature") and case["check"] in (
            MERKLE_CHECKS | {"critical-header", "field", "version", "algorithm", "trailing-bytes", "cbor"})
        try:
            check()
            found = None
        except Rejected as rejected:
            found = str(rejected)
        expected = case["check"] if of_receipt else None
        assert found == expected, f"{case['name']}: rejected by {found}, expected {expected}"
        counts["rejected" if of_receipt else "accepted"] += 1
    return counts


def has_receipt(data):
    try:
        bundle = decode(data)
    except Rejected:
        return False
    return isinstance(bundle, (list, tuple)) and len(bundle) == 7 and is_bytes(bundle[4])


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

    cases = json.loads((HERE / "index.json").read_text())["cases"]
    broken = [case for case in cases if case["form"] in ("attestation", "file") and case["verdict"] == "rejected"]
    assert {case["file"] for case in broken} == {f"rejected/{p.name}" for p in (HERE / "rejected").glob("*.hex")}
    for case in broken:
        verify = {"attestation": verify_attestation, "file": verify_file}[case["form"]]
        try:
            verify(read_hex(case["file"]), keys)
        except Rejected as rejected:
            assert str(rejected) == case["check"], f"{case['name']}: {rejected}, expected {case['check']}"
        else:
            sys.exit(f"{case['name']}: accepted")
    for name in ("document", "enrol", "key-change", "audit-anchor"):
        check_statement(decode(read_hex(f"{name}.statement.hex")))

    check_definitions()
    counts = check_evidence(cases)
    assert counts["accepted"] > 20 and counts["rejected"] > 20, counts
    print(f"2 attestations and 2 files accepted, {len(broken)} broken ones rejected for their reason; the Merkle part of "
          f"{counts['accepted']} receipts holds, of {counts['rejected']} broken ones not, for their reason")


if __name__ == "__main__":
    main()
