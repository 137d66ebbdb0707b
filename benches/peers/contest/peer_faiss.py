"""faiss, on plaintext: float32 and int8, brute force."""

import sys
from typing import Any

import faiss
import numpy as np

from . import DIMENSION, data, worker

BEST = 100
"""Candidates of the search that is verified; the timed ones ask for the best one only, which is the fastest."""
VERIFIED = 4
"""Probes whose candidates are verified."""
ALWAYS, NEVER = 1, 1 << 30
"""Values of faiss's threshold between its own loops and a matrix product by BLAS."""


def jobs(templates: np.ndarray, probes: np.ndarray) -> list[worker.Job]:
    count = len(templates)
    queries = probes.astype(np.float32)
    flat = faiss.IndexFlat(DIMENSION, faiss.METRIC_INNER_PRODUCT)
    codes = faiss.IndexScalarQuantizer(
        DIMENSION, faiss.ScalarQuantizer.QT_8bit_direct_signed, faiss.METRIC_INNER_PRODUCT
    )
    for start in range(0, count, data.CHUNK):
        part = templates[start : start + data.CHUNK].astype(np.float32)
        flat.add(part)
        codes.add(part)
    exact = data.scores(templates, probes[:VERIFIED])
    default = faiss.cvar.distance_compute_blas_threshold
    norms = np.einsum("ij,ij->i", templates, templates, dtype=np.int32)

    def job(name: str, text: str, index: Any, number: int, metric: int, blas: int, size: int) -> worker.Job:
        inner = metric == faiss.METRIC_INNER_PRODUCT

        def search(best: int = 1) -> tuple[np.ndarray, np.ndarray]:
            index.metric_type = metric
            faiss.cvar.distance_compute_blas_threshold = blas
            return index.search(queries[:number], best)

        def errors(first: Any) -> np.ndarray:
            found = search(min(BEST, count))
            differences = [first[0][:, 0] - found[0][:, 0]]
            for probe in range(min(number, VERIFIED)):
                wanted = exact[probe]
                if not inner:
                    wanted = norms + int(norms_of(probes[probe])) - 2 * wanted
                best = np.sort(wanted)[::-1] if inner else np.sort(wanted)
                differences.append(found[0][probe] - best[: len(found[0][probe])])
                differences.append(found[0][probe] - wanted[found[1][probe]])
            return np.concatenate(differences)

        settings = {default: "faiss's own choice", ALWAYS: "by BLAS", NEVER: "faiss's own loops"}[blas]
        return worker.Job(
            id=name,
            name=text,
            probes=number,
            templates=count,
            run=search,
            errors=errors,
            exact=True,
            template_bytes=size,
            answer_bytes=None,
            parameters=f"one thread, best candidate only, {settings}",
        )

    product, distance, size = faiss.METRIC_INNER_PRODUCT, faiss.METRIC_L2, 4 * DIMENSION
    return [
        job("float-1", "float32, flat, inner product", flat, 1, product, default, size),
        job("float-l2-1", "float32, flat, L2", flat, 1, distance, default, size),
        job("int8-1", "int8, QT_8bit_direct_signed", codes, 1, product, default, DIMENSION),
        job("float-64", "float32, flat, default threshold", flat, len(probes), product, default, size),
        job("float-blas-8", "float32, flat, BLAS", flat, 8, product, ALWAYS, size),
        job("float-blas-64", "float32, flat, BLAS", flat, len(probes), product, ALWAYS, size),
        job("int8-64", "int8, QT_8bit_direct_signed", codes, len(probes), product, default, DIMENSION),
    ]


def norms_of(vector: np.ndarray) -> np.int32:
    """The sum of squares."""
    return np.einsum("i,i->", vector, vector, dtype=np.int32)


if __name__ == "__main__":
    faiss.omp_set_num_threads(1)
    worker.serve(faiss.__version__, jobs(data.read(sys.argv[1]), data.read(sys.argv[2])))
