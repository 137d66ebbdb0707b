"""Algorithms, key ids and signatures. The cryptography is that of the packages `cryptography` and `pqcrypto`."""

import hashlib
import importlib
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey


class Algorithm(NamedTuple):
    name: str
    family: str
    public_key_bytes: int
    signature_bytes: int


ML_DSA_65 = -49


def _algorithms() -> dict[int, Algorithm]:
    known = {ML_DSA_65: Algorithm("ml-dsa-65", "ml-dsa", 1952, 3309)}
    number = -70020
    for hashing in ("sha2", "shake"):
        # FIPS 205 table 2.
        for size, public_key, signature in (
            ("128s", 32, 7856),
            ("128f", 32, 17088),
            ("192s", 48, 16224),
            ("192f", 48, 35664),
            ("256s", 64, 29792),
            ("256f", 64, 49856),
        ):
            known[number] = Algorithm(f"slh-dsa-{hashing}-{size}", "slh-dsa", public_key, signature)
            number -= 1
    return known


ALGORITHMS = _algorithms()

ATTESTATION, LOG, WITNESS, DECISION = 1, 2, 3, 4
FAMILIES_OF_PURPOSE = {
    ATTESTATION: ("ml-dsa",),
    LOG: ("slh-dsa",),
    WITNESS: ("ml-dsa", "slh-dsa"),
    DECISION: ("ml-dsa",),
}


def key_id(algorithm: int, public_key: bytes) -> bytes:
    return hashlib.sha3_256(b"tyto/v1/" + ALGORITHMS[algorithm].name.encode() + b"-key" + public_key).digest()


_verified: dict[bytes, bool] = {}


def verifies(algorithm: int, public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Pure signing with the empty context. What was verified once in a run is not verified again."""
    known = ALGORITHMS[algorithm]
    if len(public_key) != known.public_key_bytes or len(signature) != known.signature_bytes:
        return False
    # The first two have lengths that the name fixes.
    question = hashlib.sha3_256(known.name.encode() + b"\0" + public_key + signature + message).digest()
    if question not in _verified:
        verify = _verify_ml_dsa if known.family == "ml-dsa" else _verify_slh_dsa
        _verified[question] = verify(known, public_key, message, signature)
    return _verified[question]


def _verify_ml_dsa(_: Algorithm, public_key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        MLDSA65PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _verify_slh_dsa(algorithm: Algorithm, public_key: bytes, message: bytes, signature: bytes) -> bool:
    # The package makes its modules when it is imported.
    importlib.import_module("pqcrypto.sign")
    module = importlib.import_module("pqcrypto.sign." + algorithm.name.replace("-", "_"))
    try:
        module.verify(public_key, message, signature)
    except importlib.import_module("pqcrypto").InvalidSignatureError:
        return False
    return True
