//! Ring arithmetic, packing and the SIMD match kernels of Tyto.
