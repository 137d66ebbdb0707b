//! NIST's ACVP vectors, read in place. Used by the tests beside this crate's code as well.
//!
//! The data set is not part of the repository. `TYTO_TEST_DATA_DIR` names its directory; otherwise a folder
//! `shared/data` beside one of the parent directories is used. Without it the tests say "absent" and pass,
//! except under `CI=true`.

use std::io::Read as _;
use std::path::PathBuf;

use serde_json::Value;

/// The test groups of one file of the data set.
pub(crate) fn groups(file: &str) -> Option<Vec<Value>> {
    let directory = std::env::var_os("TYTO_TEST_DATA_DIR").map(PathBuf::from).or_else(|| {
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        here.ancestors().map(|a| a.join("shared/data")).find(|d| d.is_dir())
    });
    let path = directory.map(|d| d.join("acvp").join(file)).filter(|p| p.is_file());
    let Some(path) = path else {
        println!("absent: acvp/{file}");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "absent: acvp/{file}");
        return None;
    };
    let mut json = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut json).unwrap();
    let document: Value = serde_json::from_str(&json).unwrap();
    Some(document["testGroups"].as_array().unwrap().clone())
}

pub(crate) fn cases(group: &Value) -> &[Value] {
    group["tests"].as_array().unwrap()
}

pub(crate) fn parameter_set(group: &Value) -> &str {
    group["parameterSet"].as_str().unwrap()
}

pub(crate) fn field(case: &Value, name: &str) -> Vec<u8> {
    let digits = case[name].as_str().unwrap().as_bytes();
    assert!(digits.len().is_multiple_of(2), "odd number of hexadecimal digits");
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    digits.as_chunks::<2>().0.iter().map(|[high, low]| digit(*high) << 4 | digit(*low)).collect()
}
