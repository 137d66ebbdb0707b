"""Checks the golden files of this folder from docs/formats/keystore.md alone.

A second implementation: Argon2id from argon2-cffi, AES-256-GCM from cryptography, KMAC256 from pycryptodome, ML-DSA-65
from dilithium-py, SHA3 from the standard library.
"""

import hashlib
import json
import pathlib

from argon2.low_level import Type, hash_secret_raw
from Crypto.Hash import KMAC256
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from dilithium_py.ml_dsa import ML_DSA_65

HERE = pathlib.Path(__file__).parent
MAX_COST = (1 << 20, 64, 64)
MAX_KEYS = 256
PURPOSES = {1: "attestation", 2: "log", 3: "session"}
STATES = {1: "active", 2: "retired", 3: "destroyed"}
PUBLIC_BYTES = {"attestation": 1952, "log": 32, "session": 1952}
ALGORITHM = {"attestation": "ml-dsa-65", "log": "slh-dsa-shake-128s", "session": "ml-dsa-65"}
# PKCS#8 before the content: RFC 9881 section 6 (seed form) and RFC 9909 section 6.
ML_DSA_HEAD = bytes.fromhex("3034020100300b060960864801650304031204228020")
SLH_DSA_HEAD = bytes.fromhex("3052020100300b060960864801650304031a0440")


class Rejected(Exception):
    """Carries the name of the error."""


def need(condition, error="damaged"):
    if not condition:
        raise Rejected(error)


def kmac(key, label, data=b""):
    return KMAC256.new(key=key, custom=label, data=data, mac_len=32).digest()


def opened(key, sealed, aad, error):
    try:
        return AESGCM(key).decrypt(sealed[:12], sealed[12:], aad)
    except InvalidTag:
        raise Rejected(error) from None


class Reader:
    def __init__(self, data):
        self.data = data

    def take(self, count):
        need(len(self.data) >= count)
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def uint(self, count):
        return int.from_bytes(self.take(count), "little")

    def short(self):
        return self.take(self.uint(2))


def read_key(reader):
    purpose, state, flags = reader.take(3)
    need(purpose in PURPOSES and state in STATES and flags in (0, 1))
    return {
        "purpose": PURPOSES[purpose],
        "state": STATES[state],
        "exportable": bool(flags),
        "version": reader.uint(4),
        "created_unix_ms": reader.uint(8),
        "changed_unix_ms": reader.uint(8),
        "public_key": reader.short(),
        "sealed": reader.short(),
    }


def check_versions(keys):
    for purpose in PURPOSES.values():
        group = [key for key in keys if key["purpose"] == purpose]
        for place, key in enumerate(group, 1):
            need(key["version"] == place)
            need((key["state"] == "active") == (place == len(group)))
            need((key["state"] == "destroyed") == (key["sealed"] == b""))


def key_id(key):
    purpose, public_key = key["purpose"], key["public_key"]
    need(len(public_key) == PUBLIC_BYTES[purpose], "key")
    return hashlib.sha3_256(f"tyto/v1/{ALGORITHM[purpose]}-key".encode() + public_key).digest()


def check_private(key, pkcs8):
    """The private key is one of its purpose, and has this public key."""
    if key["purpose"] == "log":
        need(pkcs8[:-64] == SLH_DSA_HEAD and pkcs8[-32:] == key["public_key"], "key")
    else:
        need(pkcs8[:-32] == ML_DSA_HEAD, "key")
        need(ML_DSA_65.key_derive(pkcs8[-32:])[0] == key["public_key"], "key")


def read(data, passphrase):
    need(data[:8] == b"TYTOKST1", "unknown-format")
    need(len(data) >= 40 and hashlib.sha3_256(data[:-32]).digest() == data[-32:])
    reader = Reader(data[8:-32])
    store_id, generation = reader.take(16), reader.uint(8)
    provider = reader.uint(1)
    need(provider == 1, "unknown-format")
    parameters, wrapped = reader.short(), reader.short()
    count = reader.uint(2)
    need(count <= MAX_KEYS)
    keys = [read_key(reader) for _ in range(count)]
    tag = reader.take(32)
    need(reader.data == b"")
    check_versions(keys)

    need(len(parameters) == 28 and len(wrapped) == 60)
    memory_kib, passes, lanes = (int.from_bytes(parameters[at:at + 4], "little") for at in (0, 4, 8))
    need(all(value <= limit for value, limit in zip((memory_kib, passes, lanes), MAX_COST)), "cost")
    wrapping_key = hash_secret_raw(passphrase, parameters[12:], passes, memory_kib, lanes, 32, Type.ID, 0x13)
    aad = b"tyto/v1/keystore-data-key" + store_id + bytes([provider]) + parameters
    data_key = opened(wrapping_key, wrapped, aad, "passphrase")
    sealing_key = kmac(data_key, b"tyto/v1/keystore-seal")
    numbers = {name: number for number, name in PURPOSES.items()}
    for key in keys:
        key["key_id"] = key_id(key)
        key["pkcs8"] = None
        sealed = key.pop("sealed")
        if key["state"] == "destroyed":
            continue
        aad = b"tyto/v1/keystore-key" + store_id + bytes([numbers[key["purpose"]]])
        aad += key["version"].to_bytes(4, "little") + bytes([key["exportable"]]) + key["key_id"]
        pkcs8 = opened(sealing_key, sealed, aad, "key")
        check_private(key, pkcs8)
        if key["exportable"]:
            key["pkcs8"] = pkcs8
    need(kmac(data_key, b"tyto/v1/keystore-tag", data[:-64]) == tag, "altered")
    return {"store_id": store_id, "generation": generation, "keys": keys}


def in_digits(value):
    if isinstance(value, dict):
        return {name: in_digits(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [in_digits(inner) for inner in value]
    return value.hex() if isinstance(value, bytes) else value


def main():
    index = json.loads((HERE / "index.json").read_text())
    passphrase = index["passphrase"].encode()
    file = bytes.fromhex((HERE / "keys.hex").read_text())
    assert in_digits(read(file, passphrase)) == index["keys"], "keys.hex is not what the index says"
    rejected = {path.stem.removeprefix("rejected-"): path for path in HERE.glob("rejected-*.hex")}
    assert rejected.keys() == index["rejected"].keys(), "files and index differ"
    for name, path in rejected.items():
        try:
            read(bytes.fromhex(path.read_text()), passphrase)
            found = "accepted"
        except Rejected as error:
            found = str(error)
        assert found == index["rejected"][name], f"{name}: {found}"
    try:
        read(file, passphrase + b"?")
        raise AssertionError("a wrong passphrase opens the keystore")
    except Rejected as error:
        assert str(error) == "passphrase", error
    print(f"keystore: {len(index['keys']['keys'])} keys, {len(rejected)} files rejected as they should be")


if __name__ == "__main__":
    main()
