//! Rows in SQL, blobs in an object store; domain types only.
