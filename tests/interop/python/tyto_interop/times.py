"""What times say: validity, expiry and revocation of keys, and the order of events."""

from .errors import require
from .trust_root import Key

MAX_CLOCK_DIFFERENCE_MS = 300_000


def earliest(*times: int | None) -> int | None:
    return min((each for each in times if each is not None), default=None)


def check_key_times(part: str, key: Key, made: int, seen: int | None, outlives_key: bool) -> None:
    """`outlives_key`: a signature made in time stands for ever (checkpoints and co-signatures)."""
    require(made >= key.valid_from, part, "not-yet-valid")
    if key.valid_until is not None:
        require(made < key.valid_until, part, "expired", "when it was made")
        if not outlives_key and seen is not None:
            require(seen < key.valid_until, part, "expired", "when it was seen")
    if key.revoked_at is not None:
        before = made < key.revoked_at and seen is not None and seen < key.revoked_at
        require(before, part, "revoked")


def in_order(made: int, seen: int | None) -> bool:
    return seen is None or made <= seen + MAX_CLOCK_DIFFERENCE_MS


def check_order(part: str, made: int, seen: int | None) -> None:
    require(in_order(made, seen), part, "time-order")
