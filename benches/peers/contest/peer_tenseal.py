"""TenSEAL (on SEAL): the dot products and the matrix product of its tutorials, and the best layout of its API."""

import importlib.metadata
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import tenseal as ts

from . import DIMENSION, data, worker

TUTORIAL_CKKS = {"poly_modulus_degree": 8192, "coeff_mod_bit_sizes": [60, 40, 40, 60]}
TUTORIAL_BFV = {"poly_modulus_degree": 4096, "plain_modulus": 1_032_193}
# The smallest ring with one modulus for the data, the other being for switching keys, which is not used.
COLUMNS_CKKS = {"poly_modulus_degree": 4096, "coeff_mod_bit_sizes": [60, 49]}


def context(scheme: Any, scale: float | None, arguments: dict[str, Any], **more: Any) -> Any:
    made = ts.context(scheme, **arguments, **more)
    if scale is not None:
        made.global_scale = scale
    return made


def dot_products(name: str, made: Any, vector: Any, templates: np.ndarray, probe: np.ndarray) -> worker.Job:
    """One ciphertext per template, one dot product each."""
    made.generate_galois_keys()
    exact = data.scores(templates, probe[np.newaxis])[0]
    gallery = [vector(made, row.tolist()) for row in templates]
    query = vector(made, probe.tolist())
    ckks = vector is ts.ckks_vector
    # A ciphertext is two polynomials; the last modulus is for switching keys only.
    degree, moduli = (8192, 3) if ckks else (4096, 2)
    text = "n = 8192, log q = 200 (60, 40, 40, 60), scale 2^40" if ckks else "n = 4096, log q = 109, t = 1032193"
    return worker.Job(
        id=name,
        name=f"{'CKKS' if ckks else 'BFV'}, one dot product per template",
        probes=1,
        templates=len(templates),
        run=lambda: [row.dot(query) for row in gallery],
        errors=lambda products: np.array([product.decrypt()[0] for product in products]) - exact,
        exact=not ckks,
        template_bytes=2 * degree * moduli * 8,
        answer_bytes=len(gallery[0].dot(query).serialize()),
        parameters=text,
    )


def matrix_product(templates: np.ndarray, probe: np.ndarray) -> worker.Job:
    """An encrypted probe times a gallery that lies open."""
    made = context(ts.SCHEME_TYPE.CKKS, 2.0**40, TUTORIAL_CKKS)
    made.generate_galois_keys()
    slots = 4096
    exact = data.scores(templates, probe[np.newaxis])[0]
    parts = [templates[i : i + slots].T.astype(float).tolist() for i in range(0, len(templates), slots)]
    query = ts.ckks_vector(made, probe.tolist())
    answers = sum(len(query.matmul(part).serialize()) for part in parts[:1])
    return worker.Job(
        id="ckks-plain-gallery",
        name="CKKS, matrix product, gallery in plaintext",
        probes=1,
        templates=len(templates),
        run=lambda: [query.matmul(part) for part in parts],
        errors=lambda products: np.concatenate([product.decrypt() for product in products]) - exact,
        exact=False,
        template_bytes=8 * DIMENSION,
        answer_bytes=answers / min(slots, len(templates)),
        parameters="n = 8192, log q = 200 (60, 40, 40, 60), scale 2^40; the gallery as doubles",
    )


def columns(templates: np.ndarray, probe: np.ndarray) -> worker.Job:
    """Slot = template, one ciphertext per coordinate; neither relinearised nor rescaled, secret-key encryption."""
    symmetric = {"encryption_type": ts.ENCRYPTION_TYPE.SYMMETRIC}
    made = context(ts.SCHEME_TYPE.CKKS, 2.0**24, COLUMNS_CKKS, **symmetric)
    made.auto_relin = made.auto_rescale = False
    slots = 2048
    exact = data.scores(templates, probe[np.newaxis])[0]

    def encrypted(part: np.ndarray) -> list[Any]:
        return [ts.ckks_vector(made, column.tolist()) for column in part.T]

    gallery = [encrypted(templates[i : i + slots]) for i in range(0, len(templates), slots)]
    query = encrypted(np.tile(probe, (slots, 1)))

    def match(part: list[Any]) -> Any:
        total = part[0].mul(query[0])
        for column, coordinate in zip(part[1:], query[1:]):
            total.add_(column.mul(coordinate))
        return total

    return worker.Job(
        id="ckks-columns",
        name="CKKS, columns",
        probes=1,
        templates=len(templates),
        run=lambda: [match(part) for part in gallery],
        errors=lambda sums: np.concatenate([total.decrypt() for total in sums]) - exact,
        exact=False,
        template_bytes=2 * 4096 * 8 * DIMENSION / slots,
        answer_bytes=len(match(gallery[0]).serialize()) / slots,
        parameters="n = 4096, log q = 109 (60 for data), scale 2^24, secret-key encryption, no relinearisation",
    )


def jobs(templates: np.ndarray, probe: np.ndarray, few: int, more: int) -> list[worker.Job]:
    make: list[Callable[[], worker.Job]] = [
        lambda: columns(templates[:more], probe),
        lambda: matrix_product(templates[:more], probe),
        lambda: dot_products(
            "ckks-dot",
            context(ts.SCHEME_TYPE.CKKS, 2.0**40, TUTORIAL_CKKS),
            ts.ckks_vector,
            templates[:few],
            probe,
        ),
        lambda: dot_products(
            "bfv-dot", context(ts.SCHEME_TYPE.BFV, None, TUTORIAL_BFV), ts.bfv_vector, templates[:few], probe
        ),
    ]
    return [job() for job in make]


if __name__ == "__main__":
    worker.serve(
        importlib.metadata.version("tenseal"),
        jobs(data.read(sys.argv[1]), data.read(sys.argv[2])[0], int(sys.argv[3]), int(sys.argv[4])),
    )
