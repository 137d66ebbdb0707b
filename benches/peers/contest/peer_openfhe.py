"""OpenFHE: the column layout, slot = template and one ciphertext per coordinate, in its three schemes."""

import math
import sys
from typing import Any

import numpy as np
import openfhe

from . import DIMENSION, data, worker


def context(parameters: Any) -> Any:
    made = openfhe.GenCryptoContext(parameters)
    made.Enable(openfhe.PKE)
    made.Enable(openfhe.KEYSWITCH)
    made.Enable(openfhe.LEVELEDSHE)
    return made


def job(
    name: str,
    text: str,
    parameters: Any,
    templates: np.ndarray,
    probe: np.ndarray,
    *,
    ckks: bool = False,
    best: bool,
) -> worker.Job:
    """`best`: secret-key encryption and no relinearisation; else public-key encryption and one at the end."""
    parameters.SetSecurityLevel(openfhe.HEStd_128_classic)
    made = context(parameters)
    keys = made.KeyGen()
    key = keys.secretKey if best else keys.publicKey
    if not best:
        made.EvalMultKeyGen(keys.secretKey)
    slots = made.GetRingDimension() // (2 if ckks else 1)
    exact = data.scores(templates, probe[np.newaxis])[0]

    def encrypt(column: np.ndarray) -> Any:
        pack = made.MakeCKKSPackedPlaintext if ckks else made.MakePackedPlaintext
        return made.Encrypt(key, pack(column.tolist()))

    def encrypted(part: np.ndarray) -> list[Any]:
        return [encrypt(column) for column in part.T]

    numbers = float if ckks else int
    gallery = [
        encrypted(templates[i : i + slots].astype(numbers)) for i in range(0, len(templates), slots)
    ]
    query = encrypted(np.tile(probe.astype(numbers), (slots, 1)))

    def match(part: list[Any]) -> Any:
        total = made.EvalMultNoRelin(part[0], query[0])
        for column, coordinate in zip(part[1:], query[1:]):
            made.EvalAddInPlace(total, made.EvalMultNoRelin(column, coordinate))
        return total if best else made.Relinearize(total)

    def decrypt(total: Any) -> np.ndarray:
        plain = made.Decrypt(keys.secretKey, total)
        plain.SetLength(slots)
        return np.array(plain.GetRealPackedValue() if ckks else plain.GetPackedValue())

    def errors(sums: list[Any]) -> np.ndarray:
        return np.concatenate([decrypt(total) for total in sums])[: len(templates)] - exact

    log_q = math.log2(made.GetModulus())
    limbs = math.ceil(log_q / 60)
    modulus = "" if ckks else f", t = {made.GetPlaintextModulus()}"
    ways = "secret-key encryption, no relinearisation" if best else "public-key encryption, one relinearisation"
    answer = openfhe.Serialize(match(gallery[0]), openfhe.BINARY)
    return worker.Job(
        id=name,
        name=text,
        probes=1,
        templates=len(templates),
        run=lambda: [match(part) for part in gallery],
        errors=errors,
        exact=not ckks,
        template_bytes=2 * made.GetRingDimension() * limbs * 8 * DIMENSION / slots,
        answer_bytes=len(answer) / slots,
        parameters=f"n = {made.GetRingDimension()}, log q = {log_q:.0f}{modulus}, HEStd_128_classic, {ways}",
    )


def bgv(plaintext_modulus: int, depth: int) -> Any:
    parameters = openfhe.CCParamsBGVRNS()
    parameters.SetPlaintextModulus(plaintext_modulus)
    parameters.SetMultiplicativeDepth(depth)
    parameters.SetScalingTechnique(openfhe.FIXEDMANUAL)
    return parameters


def bgv_of_one_modulus() -> Any:
    """The least that decrypts: the noise of a sum of fresh products fits one 60-bit modulus.

    Rings from 4096 on are secure enough with it; the largest that has enough slots for these sizes has the fewest calls
    per template and was the fastest.
    """
    parameters = bgv(65537, 0)
    parameters.SetKeySwitchTechnique(openfhe.BV)
    parameters.SetFirstModSize(60)
    parameters.SetRingDim(32768)
    return parameters


def bfv() -> Any:
    parameters = openfhe.CCParamsBFVRNS()
    parameters.SetPlaintextModulus(65537)
    parameters.SetMultiplicativeDepth(1)
    return parameters


def ckks() -> Any:
    parameters = openfhe.CCParamsCKKSRNS()
    parameters.SetMultiplicativeDepth(1)
    parameters.SetScalingTechnique(openfhe.FIXEDMANUAL)
    parameters.SetKeySwitchTechnique(openfhe.BV)
    parameters.SetFirstModSize(45)
    parameters.SetScalingModSize(30)
    parameters.SetRingDim(4096)
    return parameters


def jobs(templates: np.ndarray, probe: np.ndarray, more: int, many: int) -> list[worker.Job]:
    return [
        job("bgv-columns", "BGV, columns, one modulus", bgv_of_one_modulus(), templates[:many], probe, best=True),
        job("bgv-default", "BGV, columns, depth 1", bgv(65537, 1), templates[:many], probe, best=False),
        job("ckks-columns", "CKKS, columns", ckks(), templates[:more], probe, ckks=True, best=True),
        job("bfv-columns", "BFV, columns", bfv(), templates[:more], probe, best=True),
    ]


if __name__ == "__main__":
    worker.serve(
        openfhe.__version__,
        jobs(data.read(sys.argv[1]), data.read(sys.argv[2])[0], int(sys.argv[3]), int(sys.argv[4])),
    )
