//! The secret side of scoring: tenant key, keyring, quantiser, blocks, records, queries, tickets, decryption, checks.
