"""A verifier of Tyto's evidence, written from docs/formats/attestation.md alone."""
