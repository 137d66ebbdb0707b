"""Checks the golden files of this folder from docs/formats/audit.md alone.

A second implementation: CBOR from cbor2, SHA3 from the standard library.
"""

import hashlib
import io
import json
import pathlib
import sys
import unicodedata
from collections.abc import Mapping

import cbor2

HERE = pathlib.Path(__file__).parent
U64 = (1 << 64) - 1
MAX_RECORD = 2048
MAX_HEAD = 128
DOMAIN = b"\x14tyto/v1/audit-record"
CALL = ["tenant", "principal", "credential", "peer", "method", "gallery", "subject", "decision", "reason", "code",
        "request_digest", "answer_digest", "duration_us", "stream"]
EVENTS = {
    "call": CALL, "begin": CALL, "end": CALL, "start": ["software", "mode", "cut_bytes"], "stop": [],
    "dropped": ["records"], "retention": ["kept_from"],
}


class Rejected(Exception):
    """Carries the record that is named and the check that failed."""


class Malformed(Exception):
    """These bytes are not what they ought to be."""


def need(condition):
    if not condition:
        raise Malformed


def is_uint(value):
    return type(value) is int and 0 <= value <= U64


def is_bytes(value, length):
    return type(value) is bytes and len(value) == length


def is_line(value):
    return (type(value) is str and len(value.encode()) <= 256
            and not any(unicodedata.category(c) == "Cc" for c in value))


def decode(data, maximum):
    """One deterministically encoded item: it must encode back to the same bytes."""
    need(len(data) <= maximum)
    try:
        stream = io.BytesIO(data)
        item = cbor2.load(stream)
        need(stream.tell() == len(data) and cbor2.dumps(item, canonical=True) == data)
    except (cbor2.CBORError, UnicodeDecodeError, TypeError, EOFError, ValueError) as error:
        raise Malformed from error
    return item


def entries(item, names):
    need(isinstance(item, Mapping) and item.keys() == set(range(1, len(names) + 1)))
    return {name: item[key] for key, name in enumerate(names, 1)}


def read_record(data):
    record = entries(decode(data, MAX_RECORD), ["version", "sequence", "time_unix_ms", "kind", "event"])
    need(record.pop("version") == 1)
    need(is_uint(record["sequence"]) and is_uint(record["time_unix_ms"]))
    need(type(record["kind"]) is str and record["kind"] in EVENTS)
    event = record["event"] = entries(record["event"], EVENTS[record["kind"]])
    if record["kind"] in ("call", "begin", "end"):
        check_call(event, record["kind"])
    elif record["kind"] == "start":
        need(is_line(event["software"]) and event["mode"] in ("best-effort", "fail-closed"))
        need(is_uint(event["cut_bytes"]))
    else:
        need(all(is_uint(value) for value in event.values()))
    return record


def check_call(call, kind):
    for names, holds in (
        (("tenant", "principal", "gallery", "subject"), lambda value: is_bytes(value, 16)),
        (("request_digest", "answer_digest"), lambda value: is_bytes(value, 32)),
        (("credential", "peer", "reason"), is_line),
        (("code", "duration_us", "stream"), is_uint),
    ):
        need(all(call[name] is None or holds(call[name]) for name in names))
    need(is_line(call["method"]) and call["decision"] in ("allowed", "denied"))
    need((call["reason"] is None) == (call["decision"] == "allowed"))
    need(call["code"] is None or call["code"] <= 16)
    need((call["code"] is None) == (call["duration_us"] is None) == (kind == "begin"))
    need((call["stream"] is None) == (kind == "call"))


def is_record(data):
    try:
        return read_record(data)
    except Malformed:
        return None


def split(data, after=0):
    """What has its length before it, with `after` bytes behind it, and what follows; None if the bytes end before."""
    length = int.from_bytes(data[:2], "big")
    if len(data) < 2 or len(data) < 2 + length + after:
        return None
    end = 2 + length
    return data[2:end], data[end:end + after], data[end + after:]


def read_head(segment):
    parts = split(segment)
    need(parts is not None)
    head = decode(parts[0], MAX_HEAD)
    need(type(head) in (list, tuple) and len(head) == 5 and head[0] == "tyto-audit" and head[1] == 1)
    need(is_bytes(head[2], 32) and is_uint(head[3]) and is_bytes(head[4], 32))
    return head[2], head[3], head[4], parts[2]


def link(chain_id, before, record):
    return hashlib.sha3_256(DOMAIN + chain_id + before + record).digest()


class Verifier:
    def __init__(self, anchors):
        self.anchors = sorted(anchors, key=lambda anchor: anchor["records"])
        self.chain_id = self.head = None
        self.first = self.next = self.time = self.kept_from = 0
        self.confirmed = None
        self.records = []

    def require(self, condition, check, record=None):
        if not condition:
            raise Rejected(self.next if record is None else record, check)

    def segment(self, data):
        try:
            chain_id, first, before, rest = read_head(data)
        except Malformed as error:
            raise Rejected(self.next, "head") from error
        if self.chain_id is None:
            self.begin(chain_id, first, before)
        else:
            self.require(chain_id == self.chain_id, "chain")
            self.require(first <= self.next, "missing")
            self.require(first >= self.next, "repeated")
            self.require(before == self.head, "link")
        while rest:
            parts = split(rest, 32)
            self.require(parts is not None, "incomplete")
            data, written, rest = parts
            if link(self.chain_id, self.head, data) != written:
                self.require(False, self.what_happened(data, written, rest))
            record = is_record(data)
            self.require(record is not None, "record")
            self.require(record["time_unix_ms"] >= self.time, "time-order")
            if record["sequence"] != self.next:
                self.require(self.next != first, "head")
                self.require(False, "missing" if record["sequence"] > self.next else "repeated")
            self.head, self.time = written, record["time_unix_ms"]
            self.next += 1
            self.records.append(record)
            if record["kind"] == "retention":
                self.kept_from = max(self.kept_from, record["event"]["kept_from"])
            self.compare()

    def begin(self, chain_id, first, before):
        self.next = first
        self.require(first > 0 or before == bytes(32), "head")
        self.require(all(anchor["chain_id"] == chain_id.hex() for anchor in self.anchors), "chain")
        self.chain_id, self.first, self.head = chain_id, first, before
        self.anchors = [anchor for anchor in self.anchors if anchor["records"] >= first]
        self.compare()

    def compare(self):
        while self.anchors and self.anchors[0]["records"] == self.next:
            good = self.anchors.pop(0)["head"] == self.head.hex()
            self.require(good, "anchor", self.first if self.confirmed is None else self.confirmed)
            self.confirmed = self.next

    def what_happened(self, data, written, rest):
        record = is_record(data)
        if record is None:
            return "altered"
        after = split(rest, 32)
        if after is not None and link(self.chain_id, written, after[0]) == after[1]:
            follower = is_record(after[0])
            if follower is not None and follower["sequence"] == self.next + 1:
                return "altered"
        if record["sequence"] <= self.next:
            return "altered" if record["sequence"] == self.next else "repeated"
        while (parts := split(rest, 32)) is not None:
            later = is_record(parts[0])
            if later is not None and later["sequence"] == self.next:
                return "moved"
            rest = parts[2]
        return "missing"

    def finish(self):
        self.require(not self.anchors, "cut-off")
        self.require(self.chain_id is not None, "empty", 0)
        self.require(self.first <= self.kept_from or self.first == 0, "beginning", self.kept_from)


def judge(case):
    verifier = Verifier(case["anchors"])
    try:
        for name in case["segments"]:
            verifier.segment((HERE / name).read_bytes())
        verifier.finish()
    except Rejected as rejected:
        return ("rejected", *rejected.args), verifier
    return ("accepted", None, None), verifier


def shown(value):
    if isinstance(value, dict):
        return {name: shown(inner) for name, inner in value.items()}
    return value.hex() if type(value) is bytes else value


def main():
    cases = json.loads((HERE / "index.json").read_text())["cases"]
    records = json.loads((HERE / "records.json").read_text())
    used, checks = set(), set()
    for case in cases:
        verdict, verifier = judge(case)
        expected = (case["verdict"], case.get("record"), case.get("check"))
        if verdict != expected:
            sys.exit(f"{case['name']}: {verdict}, expected {expected}")
        used.update(case["segments"])
        checks.add(case.get("check"))
        if case["name"] == records["segments_of"] and [*map(shown, verifier.records)] != records["records"]:
            sys.exit(f"{case['name']}: the records say something else")
    there = {path.name for path in HERE.glob("*.audit")}
    if used != there:
        sys.exit(f"in one place only: {sorted(used ^ there)}")
    print(f"{len(cases)} chains, {len(checks) - 1} checks, {len(records['records'])} records: all as listed")


if __name__ == "__main__":
    main()
