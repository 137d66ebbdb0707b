"""The small types of the format description's CDDL."""

import unicodedata
from typing import Any

MAX_LINE_BYTES = 256


def is_uint(item: Any, bits: int = 64) -> bool:
    return type(item) is int and 0 <= item < 1 << bits


def is_int(item: Any) -> bool:
    return type(item) is int and -(1 << 63) <= item < 1 << 63


def is_bytes(item: Any, length: int | None = None) -> bool:
    return type(item) is bytes and (length is None or len(item) == length)


def is_hash(item: Any) -> bool:
    return is_bytes(item, 32)


def is_line(item: Any) -> bool:
    return (
        type(item) is str
        and len(item.encode()) <= MAX_LINE_BYTES
        and not any(unicodedata.category(each) == "Cc" for each in item)
    )


def is_list(item: Any, length: int | None = None) -> bool:
    return type(item) is list and (length is None or len(item) == length)
