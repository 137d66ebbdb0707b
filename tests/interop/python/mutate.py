#!/usr/bin/env python3
"""Makes a folder of damaged evidence, on which all implementations must decide alike. See tests/interop/README.md."""

import argparse
import copy
import json
import random
import shutil
from pathlib import Path
from typing import Any, Iterator

from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

from tyto_interop import cbor, cose

# Everyone knows the keys of the golden files.
SIGNER = MLDSA65PrivateKey.from_seed_bytes(bytes(range(32)))
TENANT = MLDSA65PrivateKey.from_seed_bytes(b"\xd1" * 32)

GOLDEN_TIME = 1790001000123
# With a clock in the validity of the keys, at the edges of what is permitted, and without one.
TIMES = [GOLDEN_TIME] * 4 + [None, 1789999701122, 1789999701123, 1789999702122, 0, 9999999999999]
EVIDENCE = [
    "default", "receipt-only", "without-receipt", "with-decision", "cosigned", "cosigned-by-unknown", "document",
    "attestation", "decision", "checkpoint",
]  # fmt: skip
ROOTS = ["main", "main", "signer-revoked-after-checkpoint", "log-revoked", "witness-revoked", "decision-expired"]
INTEGERS = [0, 1, 2, 3, 18, 255, 256, 1 << 32, 1 << 62, (1 << 62) + 1, (1 << 64) - 1, -1, -49, -48, -70026, -70032,
            -(1 << 63), -(1 << 63) - 1]  # fmt: skip
TEXTS = ["", "a", "tyto-bundle", "a" * 256, "a" * 257, "\u00fc" * 129, "tab\t", "\u0085", "\u2028", "verify", "document"]
OTHERS: list[Any] = [None, False, True, 0, b"", b"\0" * 32, "", [], [None], cbor.Map(), cbor.Tag(18, None)]


class Embedded:
    """A byte string that holds an item."""

    def __init__(self, item: Any):
        self.item = item


def open_embedded(item: Any) -> Any:
    """Byte strings that hold an array, a map or a tag become such an item, everywhere."""
    match item:
        case bytes() if len(item) > 1 and item[0] >> 5 in (4, 5, 6):
            try:
                return Embedded(open_embedded(cbor.decode(item, "")))
            except Exception:
                return item
        case list():
            return [open_embedded(each) for each in item]
        case cbor.Tag():
            return cbor.Tag(item.number, open_embedded(item.content))
        case cbor.Map():
            item.entries = {key: open_embedded(value) for key, value in item.entries.items()}
    return item


def encode(item: Any) -> bytes:
    match item:
        case Embedded():
            return cbor.encode(encode(item.item))
        case None | bool():
            return {False: b"\xf4", True: b"\xf5", None: b"\xf6"}[item]
        case list():
            return head(4, len(item)) + b"".join(map(encode, item))
        case cbor.Map():
            pairs = sorted(item.entries.items())
            return head(5, len(pairs)) + b"".join(key + encode(value) for key, value in pairs)
        case cbor.Tag():
            return head(6, item.number) + encode(item.content)
    return cbor.encode(item)


def head(major: int, argument: int) -> bytes:
    unsigned = cbor.encode(argument)
    return bytes([unsigned[0] | major << 5]) + unsigned[1:]


def places(item: Any) -> Iterator[tuple[Any, Any]]:
    """Everything that can be exchanged: what holds it, and under which index or key."""
    match item:
        case Embedded():
            yield item, None
            yield from places(item.item)
        case list():
            for index, each in enumerate(item):
                yield item, index
                yield from places(each)
        case cbor.Map():
            for key, each in item.entries.items():
                yield item, key
                yield from places(each)
        case cbor.Tag():
            yield from places(item.content)


def content(holder: Any, place: Any) -> Any:
    if isinstance(holder, Embedded):
        return holder.item
    return holder.entries[place] if isinstance(holder, cbor.Map) else holder[place]


def exchange(holder: Any, place: Any, item: Any) -> None:
    if isinstance(holder, Embedded):
        holder.item = item
    elif isinstance(holder, cbor.Map):
        holder.entries[place] = item
    else:
        holder[place] = item


def altered(item: Any, chance: random.Random) -> Any:
    if chance.random() < 0.2:
        return copy.deepcopy(chance.choice(OTHERS))
    match item:
        case int() if not isinstance(item, bool):
            return chance.choice([*INTEGERS, min(item + 1, (1 << 64) - 1), max(item - 1, -(1 << 64))])
        case str():
            return chance.choice([*TEXTS, item + "x"])
        case bytes():
            flipped = bytes([item[0] ^ 1]) + item[1:] if item else b"\1"
            return chance.choice([item[:-1], item + b"\0", flipped, b"", item * 2])
        case list() if item:
            shuffled = chance.sample(item, len(item))
            return chance.choice([item[:-1], item[1:], [*item, None], [*item, item[-1]], shuffled])
        case cbor.Map():
            return altered_map(item, chance)
        case Embedded():
            return chance.choice([encode(item.item) + b"\0", encode(item.item)[:-1], b""])
    return copy.deepcopy(chance.choice(OTHERS))


def altered_map(item: cbor.Map, chance: random.Random) -> cbor.Map:
    result = cbor.Map()
    result.entries = dict(item.entries)
    key = chance.choice([*map(cbor.encode, [0, 1, 2, 3, 5, 11, 99, 396, -1, -2, "a"]), b"\xf6"])
    if result.entries and chance.random() < 0.4:
        del result.entries[chance.choice(list(result.entries))]
    elif cbor.encode(2) not in result.entries and chance.random() < 0.4:
        # A header that has become critical.
        result.entries[cbor.encode(2)] = chance.choice([[], [99], ["a"], [-70101], [b""], 7])
    else:
        result.entries[key] = copy.deepcopy(chance.choice(OTHERS))
    return result


def sign_again(item: Any) -> None:
    """Attestations and decisions, wherever they are, with the key that the golden files use for them."""
    for holder, place in [*places([item])]:
        found = content(holder, place)
        if not isinstance(found, cbor.Tag) or found.number != cose.SIGN1_TAG or not isinstance(found.content, list):
            continue
        if len(found.content) != 4 or not all(isinstance(found.content[i], (Embedded, bytes)) for i in (0, 2)):
            continue
        protected, payload = (cbor.decode(encode(found.content[i]), "") for i in (0, 2))
        for typ, key in ((b"attestation+cbor", SIGNER), (b"decision+cbor", TENANT)):
            if typ in protected:
                found.content[3] = key.sign(cose.signed_bytes(protected, payload))


def damaged_bytes(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    flipped = data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
    early = data[: min(at, 400)] + bytes([chance.randrange(256)]) + data[min(at, 400) + 1 :]
    return chance.choice([flipped, early, data[:at], data + b"\0", data[:at] + b"\0" + data[at:]])


def damaged(data: bytes, chance: random.Random) -> bytes:
    if chance.random() < 0.15:
        return damaged_bytes(data, chance)
    item = open_embedded(cbor.decode(data, ""))
    holder, place = chance.choice([*places(item)])
    exchange(holder, place, altered(content(holder, place), chance))
    if chance.random() < 0.7:
        sign_again(item)
    return encode(item)


def cases(folder: Path, count: int, chance: random.Random) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Cases as `index.json` has them, without a verdict, and the damaged file of each."""
    for number in range(count):
        case: dict[str, Any] = {"name": f"damaged-{number}", "file": f"{number}.cbor", "at_unix_ms": chance.choice(TIMES)}
        kind = chance.choices(["evidence", "consistency", "trust-root", "file"], [16, 2, 2, 2])[0]
        case["form"] = kind
        match kind:
            case "evidence":
                source = f"evidence/{chance.choice(EVIDENCE)}.cbor"
                case["roots"] = f"{folder}/roots/{chance.choice(ROOTS)}.cbor"
            case "consistency":
                source = "evidence/consistency.cbor"
                case |= {"roots": f"{folder}/roots/main.cbor", "old": f"{folder}/evidence/checkpoint-old.cbor"}
            case "trust-root":
                source = chance.choice(["evidence/root-newer.cbor", "evidence/root-rotated-later.cbor"])
                case["roots"] = f"{folder}/roots/signer-revoked-after-checkpoint.cbor"
            case _:
                source = chance.choice(["full.file.hex", "sparse.file.hex"])
                case["keys"] = f"{folder}/trusted-keys.txt"
        data = (folder / source).read_bytes()
        yield case, damaged(bytes.fromhex(data.decode()) if source.endswith(".hex") else data, chance)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", default="tyto interop")
    given = parser.parse_args()
    shutil.rmtree(given.out, ignore_errors=True)
    given.out.mkdir(parents=True)
    index = []
    for case, data in cases(given.vectors.resolve(), given.count, random.Random(given.seed)):
        (given.out / case["file"]).write_bytes(data)
        index.append(case)
    (given.out / "index.json").write_text(json.dumps({"cases": index}))


if __name__ == "__main__":
    main()
