//! Server and client in one process: the quickstart.
