//! Passes the level of optimisation on, so that figures of a build without it can be told.

fn main() {
    let level = std::env::var("OPT_LEVEL").expect("cargo sets it");
    println!("cargo::rustc-env=TYTO_OPT_LEVEL={level}");
    println!("cargo::rerun-if-changed=build.rs");
}
