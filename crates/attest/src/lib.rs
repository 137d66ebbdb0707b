//! Attestation statements, their COSE signatures and their offline verification. No I/O.
