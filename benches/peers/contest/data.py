"""Templates and probes as every contestant gets them: integer vectors within the norm that Tyto's quantiser keeps."""

import pathlib

import numpy as np

from . import DIMENSION, PROBES

LENGTH = 30.2
"""Length of a vector before rounding; Tyto takes integer vectors with a sum of squares of at most 1019."""
CHUNK = 1 << 16


def write(path: pathlib.Path, count: int, seed: int) -> None:
    """Random directions, scaled and rounded to integers, one byte per coordinate."""
    rng = np.random.default_rng(seed)
    with path.open("wb") as file:
        for start in range(0, count, CHUNK):
            shape = (min(CHUNK, count - start), DIMENSION)
            vectors = rng.standard_normal(shape, dtype=np.float32)
            vectors *= LENGTH / np.linalg.norm(vectors, axis=1, keepdims=True)
            np.rint(vectors).astype(np.int8).tofile(file)


def make(folder: pathlib.Path, templates: int) -> tuple[pathlib.Path, pathlib.Path]:
    """Files of templates and probes."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "templates.i8", folder / "probes.i8"
    write(paths[0], templates, seed=1)
    write(paths[1], PROBES, seed=2)
    return paths


def read(path: str | pathlib.Path) -> np.ndarray:
    """Vectors of a file, one per row."""
    return np.memmap(path, dtype=np.int8, mode="r").reshape(-1, DIMENSION)


def scores(templates: np.ndarray, probes: np.ndarray) -> np.ndarray:
    """Inner products in exact integers: one row per probe."""
    out = np.empty((len(probes), len(templates)), dtype=np.int32)
    columns = probes.T.astype(np.float32)
    for start in range(0, len(templates), CHUNK):
        # Sums below 2^24 are exact in this type.
        part = templates[start : start + CHUNK].astype(np.float32) @ columns
        out[:, start : start + CHUNK] = part.T
    return out
