"""Tables and plot from a result, and their place in docs/performance.md."""

import pathlib
import statistics
from typing import Any

from .svg import Bar, plot as bars

DOCUMENT = pathlib.Path("docs/performance.md")
PICTURE = pathlib.Path("docs/performance/peers.svg")
BEGIN, END = "<!-- peers:begin: written by benches/peers/run -->", "<!-- peers:end -->"
PEERS = {"faiss": "faiss", "tenseal": "TenSEAL", "openfhe": "OpenFHE"}
ONE, EIGHT = "tyto/engine-1", "tyto/engine-8"

BUSY = 1.0
"""Load average from which on a run says so."""

Result = dict[str, Any]


def group_of(result: Result, id: str) -> dict[str, Any]:
    return next(group for group in result["groups"] if id in group["comparisons"])


def rate(result: Result, id: str, group: dict[str, Any] | None = None) -> float:
    """Comparisons per second of the fastest round."""
    group = group or group_of(result, id)
    return group["comparisons"][id] / min(turn[id] for turn in group["rounds"])


def ratio(result: Result, ours: str, theirs: str) -> float:
    """How many times the other's comparisons per second ours are: the median over the rounds."""
    group = group_of(result, theirs)
    count = group["comparisons"]
    return statistics.median(
        (count[ours] / turn[ours]) / (count[theirs] / turn[theirs]) for turn in group["rounds"]
    )


def per_second(value: float) -> str:
    for unit, text in ((1e6, " M/s"), (1e3, " k/s")):
        if value >= unit:
            return significant(value / unit) + text
    return significant(value) + " /s"


def significant(value: float) -> str:
    """Three digits, without an exponent."""
    if value >= 100:
        digits = len(str(int(value))) - 3
        return f"{round(value, -digits):,.0f}"
    return f"{value:.{1 if value >= 10 else 2}f}"


def size(count: float) -> str:
    for unit, text in ((1 << 20, " MiB"), (1 << 10, " KiB")):
        if count >= 10 * unit:
            return significant(count / unit) + text
    return f"{count:,.0f} B" if count == int(count) else f"{significant(count)} B"


def name(result: Result, id: str) -> str:
    peer, _, _ = id.partition("/")
    if peer == "tyto":
        return "Tyto"
    return f"{PEERS[peer]}, {result['jobs'][id]['name']}"


def contestant(result: Result, id: str) -> str:
    """The name, with the number of probes if there are several."""
    probes = result["jobs"][id]["probes"]
    return name(result, id) + (f", {probes} probes" if probes > 1 else "")


def table(head: list[str], rows: list[list[str]]) -> str:
    """The first column is text, the others are figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def bandwidth(result: Result, id: str, template_bytes: float) -> float:
    """Bytes of gallery read per second, by one pass for all its probes."""
    group = group_of(result, id)
    return template_bytes * group["templates"] / min(turn[id] for turn in group["rounds"])


def plaintext(result: Result, ours: str, theirs: list[str]) -> str:
    tyto = result["versions"]["tyto"]
    probes = ours.rpartition("-")[2]

    def gbps(id: str, template: float) -> str:
        return f"{bandwidth(result, id, template) / 1e9:.1f}"

    rows = [[f"**Tyto**, encrypted, {probes} probe{'s' * (probes != '1')} in a pass", per_second(rate(result, ours)),
             size(tyto["bytes_per_template"]), gbps(ours, tyto["bytes_per_template"]), "1"]]  # fmt: skip
    for id in theirs:
        job = result["jobs"][id]
        rows.append([contestant(result, id), per_second(rate(result, id)), size(job["template_bytes"]),
                     gbps(id, job["template_bytes"]), f"{ratio(result, ours, id):.2f}"])  # fmt: skip
    return table(["plaintext beside it", "comparisons", "memory per template", "GB/s of gallery", "Tyto / it"], rows)


def encrypted(result: Result, theirs: list[str]) -> str:
    rows = []
    for id in theirs:
        job, group = result["jobs"][id], group_of(result, id)
        scores = "exact" if job["exact"] else f"within {job['max_error']:.1g}"
        rows.append([name(result, id), scores, f"{group['templates']:,}", per_second(rate(result, id)),
                     per_second(rate(result, ONE, group)), significant(ratio(result, ONE, id)),
                     size(job["template_bytes"]), size(job["answer_bytes"])])  # fmt: skip
    tyto, large = result["versions"]["tyto"], result["groups"][0]
    rows.append(["**Tyto**", "exact", f"{large['templates']:,}", per_second(rate(result, ONE)), "", "",
                 size(tyto["bytes_per_template"]), size(tyto["answer_bytes_per_template"])])  # fmt: skip
    head = ["one probe", "scores", "templates", "comparisons", "Tyto at that size", "Tyto / it",
            "memory per template", "answer per template"]  # fmt: skip
    return table(head, rows)


def passes(result: Result) -> str:
    """What each step adds, beside a plain read of as much memory."""
    tyto = result["versions"]["tyto"]
    read = "tyto/read-1"
    texts = {
        "kernel": "products only",
        "engine": "and inverse transforms, rounded and packed replies (the figure above)",
        "request": "and the unpacking and transforms of a whole query, which a ticket has behind it",
    }
    rows = []
    for what, text in texts.items():
        row = [text]
        for probes in (1, 8):
            id = f"tyto/{what}-{probes}"
            row.append(per_second(rate(result, id)))
            if probes == 1:
                row.append(f"{bandwidth(result, id, tyto['bytes_per_template']) / 1e9:.1f}")
                # A read makes as many "comparisons" per second as a pass would at its speed.
                row.append(f"{100 * ratio(result, id, read):.0f} %")
        rows.append(row)
    plain = f"{bandwidth(result, read, tyto['bytes_per_template']) / 1e9:.1f}"
    rows.append(["a plain sum over as much memory", "", plain, "100 %", ""])
    return table(["one thread", "1 probe", "GB/s", "of the plain sum", "8 probes in a pass"], rows)


def of_peer(result: Result, peer: str) -> list[str]:
    return [id for id, job in result["jobs"].items() if job["peer"] == peer]


def fastest(result: Result, ids: list[str]) -> str:
    return max(ids, key=lambda id: rate(result, id))


def targets(result: Result) -> str:
    version = result["versions"]["faiss"]
    openfhe = fastest(result, of_peer(result, "openfhe"))
    rows = []
    for text, wanted, ours, theirs in (
        ("one probe, of faiss float32, one query", 0.70, ONE, "faiss/float-1"),
        ("one probe, times OpenFHE's fastest", 100, ONE, openfhe),
        (f"eight probes, times faiss {version} float32, 64 queries, default threshold", 1.2, EIGHT, "faiss/float-64"),
        (f"eight probes, times faiss {version} float32, 64 queries, BLAS", 1.2, EIGHT, "faiss/float-blas-64"),
    ):
        found = ratio(result, ours, theirs)
        rows.append([text, significant(wanted), significant(found), "yes" if found >= wanted else "**no**"])
    return table(["target of the project", "at least", "measured", "reached"], rows)


def parameters(result: Result) -> str:
    rows = [[contestant(result, id), job["parameters"]] for id, job in result["jobs"].items()]
    rows.insert(0, ["Tyto", f"{result['versions']['tyto']['parameter_set']}: n = 2048, q = 2^41 - 2^16 + 1, t = 2039; "
                    f"backend `{result['versions']['tyto']['backend']}`"])  # fmt: skip
    return table(["contestant", "parameters"], rows).replace("---:", "---")


def machine(result: Result) -> str:
    m, v = result["machine"], result["versions"]
    virtual = "a virtual machine" if m["hypervisor"] else "bare metal"
    busy = m["load_before"] > BUSY
    return (
        f"Run of {result['date']}, Tyto at `{result['revision']}`, faiss {v['faiss']}, TenSEAL {v['tenseal']}, "
        f"OpenFHE {v['openfhe']}. {m['processor']} (family/model/stepping {m['family_model_stepping']}; "
        f"{', '.join(m['vector_features'])}), {m['cores']} cores, {m['memory_gib']} GiB, {virtual}, "
        f"Linux {m['kernel']}, transparent huge pages `{m['transparent_huge_pages']}`, {m['rustc']}. "
        f"Load average {m['load_before']:.1f} before and {m['load_after']:.1f} after; "
        f"one thread on core {m['core_used']}."
        + (" **The machine was busy with other work: these figures are provisional.**" if busy else "")
    )


def plot(result: Result) -> str:
    def bar(id: str, kind: str, text: str | None = None) -> Bar:
        value = rate(result, id)
        return Bar(text or contestant(result, id), kind, value, per_second(value))

    large = result["groups"][0]["comparisons"]
    single = [id for id in of_peer(result, "faiss") if result["jobs"][id]["probes"] == 1]
    several = [id for id in of_peer(result, "faiss") if result["jobs"][id]["probes"] > 1]
    others = of_peer(result, "openfhe") + of_peer(result, "tenseal")
    others.sort(key=lambda id: rate(result, id), reverse=True)
    return bars(
        "Comparisons per second, one thread, d = 128 (logarithmic scale)",
        f"{result['machine']['processor']}, {result['date']}; {large[ONE]:,} templates where they fit",
        [
            (
                "One probe, encrypted",
                [bar(ONE, "tyto", "Tyto"), *(bar(id, "encrypted") for id in others)],
            ),
            ("One probe, plaintext", [bar(id, "plain") for id in single]),
            (
                "Several probes at once",
                [bar(EIGHT, "tyto", "Tyto, 8 probes, encrypted")]
                + [bar(id, "plain") for id in several],
            ),
        ],
    )


def section(result: Result) -> str:
    faiss = of_peer(result, "faiss")
    single = [id for id in faiss if result["jobs"][id]["probes"] == 1]
    several = [id for id in faiss if result["jobs"][id]["probes"] > 1]
    others = of_peer(result, "openfhe") + of_peer(result, "tenseal")
    others.sort(key=lambda id: rate(result, id), reverse=True)
    count = f"{result['groups'][0]['templates']:,}"
    parts = [
        machine(result),
        "![Comparisons per second of Tyto and its peers](performance/peers.svg)",
        f"One probe, {count} templates, d = 128:",
        plaintext(result, ONE, single),
        f"Several probes at once, the same {count} templates:",
        plaintext(result, EIGHT, several),
        "Encrypted peers, each at a size that takes it milliseconds to seconds, with Tyto at the same size in the same "
        "turns:",
        encrypted(result, others),
        "What the parts of Tyto's pass cost, and the memory's own limit:",
        passes(result),
        targets(result),
        "Parameters as chosen:",
        parameters(result),
    ]
    return "\n\n".join(parts)


def write(result: Result) -> None:
    """Rewrites the marked section of the document, and the picture."""
    PICTURE.write_text(plot(result))
    text = DOCUMENT.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{DOCUMENT} lacks {BEGIN} or {END}")
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{section(result)}\n\n{END}{after}")
