//! The hot paths of Tyto, each once, on fixed sizes: `benches/instructions/run` counts their instructions under
//! Callgrind and compares them with the committed baseline. Run by itself it checks what the paths give.
//!
//! Inputs come from one generator with a fixed seed. Keys, ids and tickets are random, as they must be; only rejection
//! sampling depends on them, by less than a tenth of a percent.

mod counted;
mod kernels;
mod signatures;
mod tenant;

fn main() {
    kernels::paths();
    signatures::paths();
    tenant::paths();
}
