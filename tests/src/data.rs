//! Data that lies beside the project: `TYTO_TEST_DATA_DIR`, or `shared/data` beside the repository.

use std::path::{Path, PathBuf};

/// The folder of a data set, or nothing if it is absent, which is printed.
///
/// # Panics
/// If it is absent and `CI` says that it must not be.
pub fn find(set: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("TYTO_TEST_DATA_DIR").map_or_else(beside, PathBuf::from).join(set);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("absent: {set}");
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "the data set {set} must be there in CI");
    None
}
