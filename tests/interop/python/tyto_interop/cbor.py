"""Deterministic CBOR (RFC 8949 section 4.2.1), as narrow as the format description makes it.

Items are `int`, `bytes`, `str`, `bool`, `None`, `list`, `Map` and `Tag`.
"""

from typing import Any, NamedTuple

from .errors import Rejected

MAX_DEPTH = 8


class Tag(NamedTuple):
    number: int
    content: Any


class Map:
    """Keeps keys in their encoded form, so that 1, true and 1.0 cannot be taken for each other."""

    def __init__(self) -> None:
        self.entries: dict[bytes, Any] = {}

    def get(self, label: int) -> Any:
        return self.entries.get(encode(label))

    def has(self, label: int) -> bool:
        return encode(label) in self.entries

    def has_exactly(self, labels: list[int]) -> bool:
        return set(self.entries) == {encode(label) for label in labels}

    def first_is(self, label: int) -> bool:
        return next(iter(self.entries), None) == encode(label)


class Malformed(Exception):
    pass


class Reader:
    """Reads items from the front."""

    def __init__(self, data: bytes):
        self.data = data
        self.at = 0

    def take(self, length: int) -> bytes:
        if length > len(self.data) - self.at:
            raise Malformed("cut off")
        self.at += length
        return self.data[self.at - length : self.at]

    def head(self) -> tuple[int, int]:
        """Major type and argument of the next item."""
        first = self.take(1)[0]
        major, info = first >> 5, first & 31
        if major == 7:
            # Everything else of this type is floating point, undefined, a break or another simple value.
            if info not in (20, 21, 22):
                raise Malformed("simple value or floating point")
            return major, info
        if info < 24:
            return major, info
        if info > 27:
            raise Malformed("indefinite or reserved length")
        size = 1 << (info - 24)
        argument = int.from_bytes(self.take(size), "big")
        if argument < (24, 1 << 8, 1 << 16, 1 << 32)[info - 24]:
            raise Malformed("not the shortest form")
        return major, argument

    def count(self, argument: int) -> int:
        """A number of items that can be there at all: each has at least one byte."""
        if argument > len(self.data) - self.at:
            raise Malformed("cut off")
        return argument

    def item(self, depth: int = 1) -> Any:
        major, argument = self.head()
        if major >= 4 and major != 7 and depth > MAX_DEPTH:
            raise Malformed("nested too deep")
        match major:
            case 0:
                return argument
            case 1:
                return -1 - argument
            case 2:
                return self.take(argument)
            case 3:
                try:
                    return self.take(argument).decode("utf-8")
                except UnicodeDecodeError:
                    raise Malformed("text is not UTF-8") from None
            case 4:
                return [self.item(depth + 1) for _ in range(self.count(argument))]
            case 5:
                return self.map(self.count(argument), depth)
            case 6:
                return Tag(argument, self.item(depth + 1))
            case _:
                return {20: False, 21: True, 22: None}[argument]

    def map(self, count: int, depth: int) -> Map:
        result = Map()
        last = None
        for _ in range(count):
            start = self.at
            self.item(depth + 1)
            key = self.data[start : self.at]
            if last is not None and key <= last:
                raise Malformed("map keys do not ascend")
            last = key
            result.entries[key] = self.item(depth + 1)
        return result


def decode(data: bytes, part: str) -> Any:
    """The one item that `data` is."""
    reader = Reader(data)
    try:
        item = reader.item()
    except Malformed as reason:
        raise Rejected(part, "cbor", str(reason)) from None
    if reader.at != len(data):
        raise Rejected(part, "trailing-bytes")
    return item


def _encoded_head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes([major << 5 | argument])
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << (8 * size):
            return bytes([major << 5 | info]) + argument.to_bytes(size, "big")
    raise ValueError("too large for CBOR")


def encode(item: Any) -> bytes:
    """What signatures are made over: arrays of text and byte strings; and integers, for labels."""
    if type(item) is int:
        return _encoded_head(0, item) if item >= 0 else _encoded_head(1, -1 - item)
    if type(item) is bytes:
        return _encoded_head(2, len(item)) + item
    if type(item) is str:
        text = item.encode()
        return _encoded_head(3, len(text)) + text
    if type(item) is list:
        return _encoded_head(4, len(item)) + b"".join(encode(each) for each in item)
    raise TypeError(type(item))
