"""Tyto beside its peers: the same job, one thread, taken in turn within one run."""

DIMENSION = 128
"""Coordinates of a template."""
PROBES = 64
"""Probes there are; Tyto takes the first one or eight, faiss up to all."""
