"""How a rejection is told: the part of the evidence, and the first check that failed in it."""


class Rejected(Exception):
    def __init__(self, part: str, check: str, detail: str = ""):
        super().__init__(f"{part}: {check}" + (f" ({detail})" if detail else ""))
        self.part = part
        self.check = check
        self.detail = detail
        # What a bundle proves if only its decision does not stand.
        self.without_decision: dict | None = None


def require(condition: bool, part: str, check: str, detail: str = "") -> None:
    if not condition:
        raise Rejected(part, check, detail)
