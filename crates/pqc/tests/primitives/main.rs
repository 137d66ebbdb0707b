//! The primitives against published vectors, and everything that they must refuse.

mod acvp;
mod aead;
mod bytes;
mod gcm;
mod hkdf;
mod keys;
mod mldsa;
mod mlkem;
mod pqclean;
mod slhdsa;
mod sponge;
mod stream;
