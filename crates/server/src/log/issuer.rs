//! What all statements of this server have in common.

use crate::app::unix_ms;
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::sync::OnceLock;
use tyto_attest::{Claim, LogState, Statement};
use tyto_pqc::digest::Hasher;

/// The software named in statements.
const SOFTWARE: &str = concat!("tytod ", env!("CARGO_PKG_VERSION"));

/// Who issues statements, and with what software.
pub(crate) struct Issuer {
    name: String,
    build: Option<String>,
}

impl Issuer {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), build: build_digest() }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A statement that is issued now, on behalf of whoever was authenticated.
    pub(crate) fn statement(
        &self,
        principal: Option<&str>,
        audience: String,
        nonce: Option<[u8; 32]>,
        log: LogState,
        claim: Claim,
    ) -> Statement {
        Statement {
            issuer: self.name.clone(),
            issued_at_unix_ms: unix_ms(),
            audience,
            nonce,
            principal: principal.map(str::to_owned),
            software_version: SOFTWARE.to_owned(),
            build_digest: self.build.clone(),
            log: Some(log),
            claim,
        }
    }
}

/// SHA3-256 of the file that this process runs, if it can be read.
fn build_digest() -> Option<String> {
    static DIGEST: OnceLock<Option<String>> = OnceLock::new();
    let digest = DIGEST.get_or_init(|| match digest_of_this_program() {
        Ok(digest) => Some(digest),
        Err(error) => {
            tracing::warn!(%error, "the build digest is unknown");
            None
        }
    });
    digest.clone()
}

fn digest_of_this_program() -> io::Result<String> {
    // The file that runs, even if another one has its name by now.
    let link = std::path::Path::new("/proc/self/exe");
    let mut file = if link.exists() { File::open(link)? } else { File::open(std::env::current_exe()?)? };
    let mut hasher = Hasher::new();
    io::copy(&mut file, &mut hasher)?;
    let mut text = String::from("sha3-256:");
    for byte in hasher.finalize() {
        write!(text, "{byte:02x}").expect("a string takes everything");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tyto_pqc::digest::sha3_256;

    #[test]
    fn the_build_digest_is_that_of_the_running_file() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let digest = build_digest().unwrap();
        let digits = digest.strip_prefix("sha3-256:").unwrap();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        let bytes: Vec<u8> = digits.as_bytes().chunks(2).map(byte).collect();
        assert_eq!(bytes, sha3_256(&[&program]));
    }
}
