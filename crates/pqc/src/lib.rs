//! ML-DSA, SHA3, KMAC, authenticated encryption and OS randomness behind typed secrets.
