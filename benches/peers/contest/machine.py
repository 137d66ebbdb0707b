"""What the figures were measured on."""

import os
import pathlib
import platform
import subprocess

VECTOR_FEATURES = ("avx2", "avx512f", "avx512ifma", "avx512vbmi", "avx512_vnni")


def cpu() -> dict[str, str]:
    """The first processor of the system's list."""
    fields = {}
    for line in pathlib.Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines():
        name, _, value = line.partition(":")
        fields[name.strip()] = value.strip()
    return fields


def memory_gib() -> float:
    total = next(line for line in pathlib.Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in line)
    return int(total.split()[1]) / (1 << 20)


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def revision() -> str:
    """The commit, and whether the code was changed since."""
    try:
        changed = output("git", "status", "--porcelain", "--", "crates", "benches/peers", "Cargo.lock")
        return output("git", "rev-parse", "--short=10", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def describe(core: int) -> dict[str, object]:
    first = cpu()
    huge = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return {
        "processor": first.get("model name", platform.processor()),
        "family_model_stepping": "/".join(first.get(name, "?") for name in ("cpu family", "model", "stepping")),
        "vector_features": [name for name in VECTOR_FEATURES if name in first.get("flags", "").split()],
        "hypervisor": "hypervisor" in first.get("flags", "").split(),
        "cores": os.cpu_count(),
        "core_used": core,
        "memory_gib": round(memory_gib(), 1),
        "kernel": platform.release(),
        "transparent_huge_pages": huge.read_text().strip() if huge.exists() else "absent",
        "rustc": output("rustc", "--version"),
        "load_before": os.getloadavg()[0],
    }
