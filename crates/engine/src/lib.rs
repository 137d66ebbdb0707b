//! Resident galleries in packed form, passes over them, versions (copy on write). No I/O.
