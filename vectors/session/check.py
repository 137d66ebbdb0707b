"""Checks the golden files of this folder from docs/formats/session.md alone.

A second implementation: ML-KEM, AES-256-GCM and AES-256-GCM-SIV from cryptography (OpenSSL), ML-DSA-65 from dilithium-py,
SHA3 and HMAC from the standard library. It plays both sides of each transcript, recomputes every field but `kem_message`
(one that it does not know is an error), makes every record anew, and shows that its own checks can fail.
"""

import hashlib
import hmac
import json
import pathlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import mlkem
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESGCMSIV
from dilithium_py.ml_dsa import ML_DSA_65

HERE = pathlib.Path(__file__).parent
SUITES = {1: (mlkem.MLKEM768PrivateKey, 1184, 1088), 2: (mlkem.MLKEM1024PrivateKey, 1568, 1568)}
SIGNATURE_BYTES = 3309
# What is sealed in ClientFinish and in Accepted.
FINISH_BYTES, ACCEPTANCE_BYTES = 1 + 32 + SIGNATURE_BYTES + 32, 4 + 4 + 256
# By the kind of credential.
PROOF_BYTES = {0: 0, 1: 32, 2: SIGNATURE_BYTES}
DATA, END, HEAD = 0x10, 0x11, 0x12
TO_SERVER, TO_CLIENT = 0, 1


class Mismatch(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Mismatch(what)


def sha3(*parts):
    return hashlib.sha3_256(b"".join(parts)).digest()


def mac(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha3_256).digest()


def expand_label(secret, label, context):
    """RFC 8446 section 7.1 with the prefix "tyto1 "; one output of the hash (RFC 5869 section 2.3)."""
    label = b"tyto1 " + label
    info = (32).to_bytes(2, "big") + bytes([len(label)]) + label + bytes([len(context)]) + context
    return mac(secret, info, b"\x01")


def opens(what, key, nonce, sealed, aad):
    try:
        return AESGCM(key).decrypt(nonce, sealed, aad)
    except InvalidTag:
        raise Mismatch(what) from None


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        need(self.at + count <= len(self.data), "message too short")
        self.at += count
        return self.data[self.at - count:self.at]

    def uint(self, size):
        return int.from_bytes(self.take(size), "little")

    def name(self):
        raw = self.take(self.uint(1))
        text = raw.decode()
        need(0 < len(raw) < 256 and not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in text), "name")
        return text

    def suites(self):
        found = [self.uint(2) for _ in range(self.uint(1))]
        need(1 <= len(found) <= 8 and len(set(found)) == len(found), "suites")
        return found

    def begin(self, message_type):
        need(self.take(2) == bytes([1, message_type]), "version and type")
        return self

    def end(self):
        need(self.at == len(self.data), "trailing bytes")


def write_name(text):
    return bytes([len(text.encode())]) + text.encode()


def write_suites(suites):
    return bytes([len(suites)]) + b"".join(s.to_bytes(2, "little") for s in suites)


class Transcript:
    def __init__(self):
        self.said = b"tyto/v1/session-transcript"

    def add(self, item):
        self.said += len(item).to_bytes(4, "little") + item
        return sha3(self.said)


def drawn(name, number, length):
    """How the seeds of the vectors are drawn; no part of the format."""
    return sha3(name.encode(), bytes([number]))[:length]


def key_id(public):
    return sha3(b"tyto/v1/ml-dsa-65-key", public)


def check_client_hello(case, message, decapsulation_key):
    reader = Reader(message).begin(1)
    need(reader.suites() == case["suites"], "offered suites")
    need(reader.uint(2) == case["suites"][0], "suite of the key")
    need(reader.take(32) == drawn("client", 0, 32), "client nonce")
    need(reader.name() == case["audience"], "audience")
    encapsulation_key = reader.take(SUITES[case["suites"][0]][1])
    reader.end()
    need(decapsulation_key.public_key().public_bytes_raw() == encapsulation_key, "encapsulation key")


def read_server_hello(case, message, server_key):
    reader = Reader(message).begin(2)
    suite = reader.uint(2)
    need(suite == case["suites"][0], "suite")
    need(reader.take(32) == drawn("server", 0, 32), "server nonce")
    session_id = reader.take(16)
    need(session_id == drawn("server", 1, 16), "session id")
    need(session_id.hex() == case["session_id"], "session id in the file")
    need(reader.suites() == case["server_suites"], "supported suites")
    need(reader.name() == case["identity"], "identity")
    signing_key_id = reader.take(32)
    need(signing_key_id == key_id(server_key) == bytes.fromhex(case["server_key_id"]), "key id")
    ciphertext = reader.take(SUITES[suite][2])
    core = message[:reader.at]
    signature, finished = reader.take(SIGNATURE_BYTES), reader.take(32)
    reader.end()
    best = next(s for s in case["suites"] if s in case["server_suites"])
    need(suite == best, "the best suite of both")
    return suite, session_id, ciphertext, core, signature, finished


def check_credential(case, inner):
    """Returns the credential's id as it is written, and a check of the proof."""
    credential = dict(case["credential"])
    kind = credential.pop("kind")
    if kind == "none":
        written, check = b"\x00", lambda _hash, proof: need(proof == b"", "proof")
    elif kind == "mac":
        mac_key = expand_label(bytes.fromhex(credential.pop("api_key")), b"client mac", b"")
        need(mac_key.hex() == credential.pop("mac_key"), "MAC key")
        written = b"\x01" + write_name(credential.pop("id"))

        def check(at, proof):
            need(proof == mac(mac_key, b"tyto/v1/session-client-mac\0", at), "client MAC")
    else:
        need(kind == "signature", "kind of credential")
        public, _ = ML_DSA_65.key_derive(bytes.fromhex(credential.pop("key_seed")))
        need(key_id(public).hex() == credential.pop("key_id"), "client key id")
        written = b"\x02" + key_id(public)

        def check(at, proof):
            message = b"tyto/v1/session-client-signature\0" + at
            need(ML_DSA_65.verify(public, message, proof), "client signature")
    need(not credential, f"unknown fields {list(credential)}")
    need(inner.startswith(written), "credential")
    return written, check


def check_handshake(case):
    schedule = case["schedule"]
    hashes = schedule["hashes"]
    suite = case["suites"][0]
    private = SUITES[suite][0].from_seed_bytes(bytes.fromhex(case["kem_seed"]))
    server_key, _ = ML_DSA_65.key_derive(bytes.fromhex(case["server_key_seed"]))
    client_hello, server_hello = (bytes.fromhex(case[n]) for n in ("client_hello", "server_hello"))

    check_client_hello(case, client_hello, private)
    suite, session_id, ciphertext, core, signature, finished = read_server_hello(case, server_hello, server_key)
    shared = private.decapsulate(ciphertext)
    secret = mac(bytes(32), shared)
    transcript = Transcript()
    transcript.add(client_hello)
    at_hello = transcript.add(core)
    client, server, master = (expand_label(secret, label, at_hello) for label in (b"c hs", b"s hs", b"master"))
    need(ML_DSA_65.verify(server_key, b"tyto/v1/session-server-signature\0" + at_hello, signature), "server signature")
    at_signature = transcript.add(signature)
    need(finished == mac(expand_label(server, b"finished", b""), at_signature), "server's Finished")
    at_server_finished = transcript.add(finished)

    finish = bytes.fromhex(case["client_finish"])
    need(finish[:18] == bytes([1, 3]) + session_id, "header of ClientFinish")
    finish_key = expand_label(client, b"c finish", at_server_finished)
    inner = opens("ClientFinish", finish_key, bytes(12), finish[18:], finish[:18])
    written, check_proof = check_credential(case, inner)
    need(len(inner) == FINISH_BYTES, "length of ClientFinish")
    at = len(written) + PROOF_BYTES[written[0]]
    proof, client_finished, padding = inner[len(written):at], inner[at:at + 32], inner[at + 32:]
    need(not any(padding), "padding of ClientFinish")
    at_credential = transcript.add(written)
    check_proof(at_credential, proof)
    at_proof = transcript.add(proof)
    need(client_finished == mac(expand_label(client, b"finished", b""), at_proof), "client's Finished")
    at_client_finished = transcript.add(client_finished)

    accepted = bytes.fromhex(case["accepted"])
    need(accepted[:18] == bytes([1, 4]) + session_id, "header of Accepted")
    accepted_key = expand_label(master, b"accepted", at_client_finished)
    inner = opens("Accepted", accepted_key, bytes(12), accepted[18:], accepted[:18])
    fields = (case["lifetime_s"].to_bytes(4, "little") + case["max_rpcs"].to_bytes(4, "little")
              + write_name(case["principal"]))
    need(inner == fields.ljust(ACCEPTANCE_BYTES, b"\0"), "Accepted")

    to_server = expand_label(master, b"c2s", at_client_finished)
    to_client = expand_label(master, b"s2c", at_client_finished)
    found = {
        "shared_secret": shared, "client_handshake_secret": client, "server_handshake_secret": server,
        "master_secret": master, "client_finish_key": finish_key, "accepted_key": accepted_key,
        "client_to_server_secret": to_server, "server_to_client_secret": to_client,
    }
    need({n: v.hex() for n, v in found.items()} | {"hashes": hashes} == schedule, "key schedule")
    found = {
        "server_hello": at_hello, "signature": at_signature, "server_finished": at_server_finished,
        "credential": at_credential, "proof": at_proof, "client_finished": at_client_finished,
    }
    need({n: v.hex() for n, v in found.items()} == hashes, "transcript hashes")
    return suite, session_id, to_server, to_client, written


def check_records(records, key, first_head, direction, suite, session_id, rpc_id, method):
    """Records of one direction: an AEAD per record, from here alone, in both ways."""
    over = False
    for counter, record in enumerate(records):
        need(not over, "a record after the end")
        need(set(record) == {"kind", "plaintext", "record"}, "fields of a record")
        kind = {"data": DATA, "end": END, "head": HEAD}[record["kind"]]
        over = kind == END
        head = bytes([1, kind]) + (first_head if counter == 0 else b"")
        aad = (bytes([1]) + suite.to_bytes(2, "little") + bytes([direction, kind]) + session_id + rpc_id
               + counter.to_bytes(8, "little") + method.encode())
        nonce = bytes(4) + counter.to_bytes(8, "big")
        plaintext = bytes.fromhex(record["plaintext"])
        expected = head + AESGCM(key).encrypt(nonce, plaintext, aad)
        need(expected.hex() == record["record"], f"record {counter} of direction {direction}")
    need(over, "no end")


def check_rpc(case, suite, session_id, to_server, to_client, _credential):
    rpc = case["rpc"]
    need(set(rpc) == {"method", "rpc_id", "node_random", "requests", "answers"}, "fields of the RPC")
    rpc_id, node = bytes.fromhex(rpc["rpc_id"]), bytes.fromhex(rpc["node_random"])
    need((rpc_id, node) == (drawn("rpc", 0, 16), drawn("node", 0, 16)), "ids")
    request_key = expand_label(to_server, b"c2s rpc", rpc_id)
    answer_key = expand_label(expand_label(to_client, b"s2c rpc", rpc_id), b"node", node)
    check_records(rpc["requests"], request_key, session_id + rpc_id, TO_SERVER, suite, session_id, rpc_id,
                  rpc["method"])
    check_records(rpc["answers"], answer_key, node, TO_CLIENT, suite, session_id, rpc_id, rpc["method"])


def check_state(case, suite, session_id, to_server, to_client, credential):
    state = case["state"]
    need(set(state) == {"key", "sealed", "opened_at_ms", "expires_at_ms", "epoch"}, "fields of the state")
    need(state["expires_at_ms"] - state["opened_at_ms"] == 1000 * case["lifetime_s"], "lifetime")
    sealed = bytes.fromhex(state["sealed"])
    aead = AESGCMSIV(bytes.fromhex(state["key"]))
    try:
        plain = aead.decrypt(sealed[:12], sealed[12:], b"tyto/v1/session-state" + session_id + write_name(case["audience"]))
    except InvalidTag:
        raise Mismatch("state") from None
    expected = (bytes([1, 5]) + suite.to_bytes(2, "little") + to_server + to_client
                + state["opened_at_ms"].to_bytes(8, "little") + state["expires_at_ms"].to_bytes(8, "little")
                + bytes.fromhex(state["epoch"]) + credential + write_name(case["principal"]))
    need(plain == expected, "state")


FIELDS = {"suites", "server_suites", "audience", "identity", "principal", "lifetime_s", "max_rpcs", "kem_seed", "kem_message",
          "server_key_seed", "server_key_id", "session_id", "credential", "client_hello", "server_hello",
          "client_finish", "accepted", "schedule", "rpc", "state"}


def check(case):
    need(set(case) == FIELDS, f"fields {set(case) ^ FIELDS}")
    session = check_handshake(case)
    check_rpc(case, *session)
    check_state(case, *session)


def check_that_it_can_fail(case):
    """One bit of each message, in its middle and at its end."""
    checked = 0
    for name in ("client_hello", "server_hello", "client_finish", "accepted"):
        for at in (len(case[name]) // 2, len(case[name]) - 1):
            digits = list(case[name])
            digits[at] = f"{int(digits[at], 16) ^ 1:x}"
            try:
                check(case | {name: "".join(digits)})
            except Mismatch:
                checked += 1
            else:
                raise SystemExit(f"a changed {name} went unseen")
    return checked


def main():
    files = sorted(HERE.glob("*.json"))
    if not files:
        raise SystemExit("no transcripts")
    changed = 0
    for file in files:
        case = json.loads(file.read_text())
        try:
            check(case)
        except Mismatch as mismatch:
            raise SystemExit(f"{file.name}: {mismatch}") from None
        changed += check_that_it_can_fail(case)
    print(f"session: {len(files)} transcripts agree, {changed} changed messages are refused")


if __name__ == "__main__":
    main()
