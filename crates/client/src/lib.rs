//! Channel, caching, retries and high-level calls over the tenant's cryptography.
