"""Hashes, ring, samplers, packing and noise bound of docs/formats.md, in exact integers: what check.py builds on."""

import hashlib
import math
import struct

from Crypto.Hash import KMAC256
from Crypto.Hash.cSHAKE128 import cSHAKE_XOF
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

N, Q, T, ETA, P = 2048, 2**41 - 2**16 + 1, 2039, 21, 2**61 - 1
T_INV = pow(T, -1, Q)
NORM2_MAX = (T - 1) // 2


class Mismatch(Exception):
    """Names the file and the field that differs."""


def need(condition, where):
    if not condition:
        raise Mismatch(where)


# ---- hashes ------------------------------------------------------------------------------------------------

def sha3(*parts):
    return hashlib.sha3_256(b"".join(parts)).digest()


def encode(number):
    return number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big")


def left_encode(number):
    return bytes([len(encode(number))]) + encode(number)


def right_encode(number):
    return encode(number) + bytes([len(encode(number))])


def kmac(key, label, data=b"", size=32):
    padded = left_encode(136) + left_encode(8 * len(key)) + key
    padded += bytes(-len(padded) % 136)
    return cSHAKE_XOF(padded + data + right_encode(8 * size), label.encode(), 512, b"KMAC").read(size)


class Stream:
    """AES-256 in counter mode over zeros, from counter 0."""

    def __init__(self, key):
        self.cipher = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()

    def read(self, size):
        return self.cipher.update(bytes(size))


def stream(key, label, data=b""):
    return Stream(kmac(key, label, data))


def numbered(key, label, count):
    """The streams 0 to count - 1 of a label: their keys follow one another in the stream of the label."""
    keys = stream(key, label)
    return [Stream(keys.read(32)) for _ in range(count)]


def check_primitives():
    """Another implementation of KMAC256, and test cases 13 and 14 of the GCM specification: AES-256 of 0, 1 and 2."""
    key, data, label = bytes(range(0x40, 0x60)), bytes(range(4)), b"My Tagged Application"
    other = KMAC256.new(key=key, data=data, mac_len=16, custom=label).digest()
    need(kmac(key, label.decode(), data, 16) == other, "KMAC256")
    blocks = "dc95c078a2408989ad48a21492842087530f8afbc74536b9a963b4f1c4cb738bcea7403d4d606b6e074ec5d3baf39d18"
    need(Stream(bytes(32)).read(48).hex() == blocks, "AES-256 in counter mode")


# ---- ring --------------------------------------------------------------------------------------------------

LIMB = 13  # bytes; 128 * 2048 * q^2 < 2^104


class Poly(list):
    """Coefficients in [0, q), with the integer form that products use kept beside them."""

    def integer(self):
        if not hasattr(self, "kept"):
            self.kept = int.from_bytes(b"".join(v.to_bytes(LIMB, "little") for v in self), "little")
        return self.kept


def poly(values):
    return Poly(v % Q for v in values)


def sum_of_products(left, right):
    """sum left_c * right_c modulo X^N + 1 and q."""
    total = sum(a.integer() * b.integer() for a, b in zip(left, right, strict=True))
    raw = total.to_bytes(2 * N * LIMB, "little")
    limbs = [int.from_bytes(raw[i:i + LIMB], "little") for i in range(0, len(raw), LIMB)]
    return poly(limbs[i] - limbs[i + N] for i in range(N))


def mul(a, b):
    return sum_of_products([a], [b])


def add(a, b):
    return poly(x + y for x, y in zip(a, b, strict=True))


def sub(a, b):
    return poly(x - y for x, y in zip(a, b, strict=True))


def centre(value, modulus):
    value %= modulus
    return value - modulus if value > modulus // 2 else value


def pack(values, bits):
    """Value i at the bits from bits * i of the little-endian bit string."""
    if len(values) % 8:
        joined = sum(v << bits * i for i, v in enumerate(values))
        return joined.to_bytes((bits * len(values) + 7) // 8, "little")
    groups = (sum(v << bits * j for j, v in enumerate(values[i:i + 8])) for i in range(0, len(values), 8))
    return b"".join(group.to_bytes(bits, "little") for group in groups)


def unpack(data, bits, count):
    whole = int.from_bytes(data, "little")
    return [whole >> bits * i & (1 << bits) - 1 for i in range(count)]


def packed(polynomials):
    return b"".join(pack(p, 41) for p in polynomials)


def u16s(values):
    return struct.pack(f"<{len(values)}H", *values)


def u64s(values):
    return struct.pack(f"<{len(values)}Q", *values)


# ---- samplers ----------------------------------------------------------------------------------------------

def candidates(xof, size):
    while True:
        data = xof.read(size * 512)
        for i in range(0, len(data), size):
            yield int.from_bytes(data[i:i + size], "little")


def keep(values, count, good):
    kept = []
    for value in values:
        if good(value):
            kept.append(value)
            if len(kept) == count:
                return kept


def ternary(xof):
    pairs = (byte >> shift & 3 for byte in candidates(xof, 1) for shift in (0, 2, 4, 6))
    return poly(v - 1 for v in keep(pairs, N, lambda v: v < 3))


def binomial(xof):
    low = (1 << ETA) - 1
    return [(v & low).bit_count() - (v >> ETA & low).bit_count() for v, _ in zip(candidates(xof, 6), range(N))]


def mod_t(xof, count, least=0):
    return keep((v & 0x7FF for v in candidates(xof, 2)), count, lambda v: least <= v < T)


def mod_p(xof, count):
    return keep((v & P for v in candidates(xof, 8)), count, lambda v: v < P)


class Shake:
    """The standard library's SHAKE has no reader: one digest that is long enough."""

    def __init__(self, data):
        self.data, self.at = hashlib.shake_256(data).digest(1 << 14), 0

    def read(self, size):
        part = self.data[self.at:self.at + size]
        self.at += size
        need(len(part) == size, "mask: more than 16 KiB of SHAKE")
        return part


def mask(seed, family, chunk):
    xof = Shake(seed + struct.pack("<BH", family, chunk))
    values = (int.from_bytes(xof.read(6), "little") & (1 << 41) - 1 for _ in range(1 << 14))
    return Poly(keep(values, N, lambda v: v < Q))


# ---- noise bound -------------------------------------------------------------------------------------------

def failure_log2(chunks, stride, bits):
    s2, n, d = ETA / 2, N * chunks, chunks * stride
    g, v = T * T * (s2 + 0.25), T * T * s2
    tau = (0.5 - T / 2 ** (bits + 1)) * Q - NORM2_MAX
    best = 0.0
    for step in range(1, 4000):
        l = step / 4000 / g
        p, b = l * l * g * g, l * l * g * v
        bare = -(n - d) / 2 * math.log1p(-b)
        ticket = bare - d / 2 * math.log1p(-p)
        whole = bare - d / 2 * math.log1p(-b) + l * l * g * d * T * T / (8 * (1 - b))
        best = min(best, (math.log(2) - l * tau + max(ticket, whole)) / math.log(2))
    return best


def reply_width(dimension, stride):
    chunks = -(-dimension // stride)
    return next((bits for bits in (14, 16) if failure_log2(chunks, stride, bits) <= -128), 0)
