//! Generates the gRPC types from `proto/`, without protoc.

use protox::prost::Message;
use std::path::PathBuf;

const ROOT: &str = "../../proto";
const FILES: [&str; 5] = [
    "tyto/admin/v1/admin.proto",
    "tyto/attest/v1/attest.proto",
    "tyto/gallery/v1/gallery.proto",
    "tyto/matching/v1/matching.proto",
    "tyto/session/v1/session.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for file in FILES {
        println!("cargo::rerun-if-changed={ROOT}/{file}");
    }
    let descriptors = protox::compile(FILES.map(|file| format!("{ROOT}/{file}")), [ROOT])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
