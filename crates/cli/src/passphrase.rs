//! Where passphrases come from: a file, the environment, or a terminal without echo, in this order.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::Path;

use zeroize::Zeroizing;

use crate::Error;

/// Longest passphrase.
const MAX_PASSPHRASE_BYTES: usize = 4096;

/// The passphrase's bytes, wiped on drop.
pub type Passphrase = Zeroizing<Vec<u8>>;

/// One passphrase that a command needs, and the ways to give it.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The file that was named, if one was.
    pub file: Option<&'a Path>,
    /// The option that names the file.
    pub option: &'static str,
    /// The environment variable.
    pub variable: &'static str,
    /// What a person is asked for.
    pub prompt: &'static str,
}

impl Source<'_> {
    /// Reads a passphrase that exists.
    ///
    /// # Errors
    /// [`Error::NoPassphrase`], [`Error::ReadPassphrase`].
    pub fn read(&self) -> Result<Passphrase, Error> {
        match self.given()? {
            Some(passphrase) => Ok(passphrase),
            None => self.ask(self.prompt),
        }
    }

    /// Reads a new passphrase: one that is typed is typed twice.
    ///
    /// # Errors
    /// As [`Source::read`]; [`Error::PassphraseLength`], [`Error::PassphrasesDiffer`].
    pub fn choose(&self) -> Result<Passphrase, Error> {
        let passphrase = match self.given()? {
            Some(passphrase) => passphrase,
            None => self.ask_twice()?,
        };
        if passphrase.is_empty() {
            return Err(Error::PassphraseLength { max_bytes: MAX_PASSPHRASE_BYTES });
        }
        Ok(passphrase)
    }

    fn given(&self) -> Result<Option<Passphrase>, Error> {
        if let Some(path) = self.file {
            let passphrase = File::open(path).map_err(Error::from).and_then(first_line);
            return passphrase.map(Some).map_err(Error::in_file(path));
        }
        Ok(std::env::var_os(self.variable)
            .map(|text| Zeroizing::new(std::os::unix::ffi::OsStringExt::into_vec(text))))
    }

    fn ask_twice(&self) -> Result<Passphrase, Error> {
        let passphrase = self.ask(self.prompt)?;
        if self.ask("The same again: ")? == passphrase {
            return Ok(passphrase);
        }
        Err(Error::PassphrasesDiffer)
    }

    fn ask(&self, prompt: &str) -> Result<Passphrase, Error> {
        if !io::stdin().is_terminal() {
            return Err(Error::NoPassphrase { variable: self.variable, option: self.option });
        }
        let typed = rpassword::prompt_password(prompt).map_err(Error::ReadPassphrase)?;
        Ok(Zeroizing::new(typed.into_bytes()))
    }
}

/// The whole content but one line end at its end.
fn first_line(file: impl io::Read) -> Result<Passphrase, Error> {
    // Reserved at once, so that no copy stays behind where the buffer was before it grew.
    let mut content = Zeroizing::new(Vec::with_capacity(MAX_PASSPHRASE_BYTES + 3));
    file.take(MAX_PASSPHRASE_BYTES as u64 + 3).read_to_end(&mut content)?;
    if content.last() == Some(&b'\n') {
        content.pop();
        if content.last() == Some(&b'\r') {
            content.pop();
        }
    }
    if content.len() > MAX_PASSPHRASE_BYTES {
        return Err(Error::PassphraseLength { max_bytes: MAX_PASSPHRASE_BYTES });
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_end_its_line() {
        for content in ["correct horse", "correct horse\n", "correct horse\r\n"] {
            assert_eq!(**first_line(content.as_bytes()).unwrap(), *b"correct horse");
        }
        assert_eq!(**first_line(&b" \n\n"[..]).unwrap(), *b" \n", "spaces and other lines belong to it");
        let long = vec![b'x'; MAX_PASSPHRASE_BYTES + 1];
        assert!(matches!(first_line(&long[..]), Err(Error::PassphraseLength { .. })));
    }
}
