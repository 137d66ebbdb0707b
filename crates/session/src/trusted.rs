//! The servers that a client trusts for its sessions, and their text form.

use tyto_pqc::mldsa::{ParameterSet, VERIFYING_KEY_BYTES, VerifyingKey};

use crate::error::{Error, LineProblem};
use crate::name::{KeyId, Name};

const HEADER: &str = "tyto-session-keys v1";
const AUDIENCE: &str = "audience";
const ML_DSA_65: &str = "ml-dsa-65";

/// Most servers in one list.
pub const MAX_TRUSTED_SERVERS: usize = 256;

/// The servers of one service, whose word is taken for the beginning of a session with it, and for nothing else.
///
/// The text form is the line `tyto-session-keys v1`, then `audience` and the service's name, then for each key the words
/// `ml-dsa-65`, the key's id and the key in lower-case hexadecimal, and the server's name, all between single spaces. Empty
/// lines and lines that begin with `#` are comments, but not the first.
#[derive(Clone, Debug)]
pub struct TrustedServers {
    pub(crate) audience: Name,
    servers: Vec<(Name, KeyId, VerifyingKey)>,
}

impl TrustedServers {
    /// None yet, of the service `audience`.
    pub fn new(audience: Name) -> Self {
        Self { audience, servers: Vec::new() }
    }

    /// The service.
    pub fn audience(&self) -> &Name {
        &self.audience
    }

    /// Trusts the server `identity` with this key, besides those that are trusted already.
    ///
    /// # Errors
    /// [`Error::KeyKind`] if the key is not of ML-DSA-65.
    pub fn add(&mut self, identity: Name, key: VerifyingKey) -> Result<(), Error> {
        if key.parameter_set() != ParameterSet::MlDsa65 {
            return Err(Error::KeyKind);
        }
        self.servers.push((identity, KeyId::from_bytes(key.key_id()), key));
        Ok(())
    }

    pub(crate) fn find(&self, identity: &Name, key_id: &KeyId) -> Option<&VerifyingKey> {
        let found = self.servers.iter().find(|(name, id, _)| name == identity && id == key_id);
        found.map(|(_, _, key)| key)
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`Error::TrustedServers`] with the first line that is wrong. One wrong line makes the whole list wrong.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |line, problem| Error::TrustedServers { line, problem };
        let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
        if lines.next().is_none_or(|(_, line)| line != HEADER) {
            return Err(wrong(1, LineProblem::Header));
        }
        let mut lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let (number, line) = lines.next().ok_or(wrong(1, LineProblem::Audience))?;
        let audience = line.split_once(' ').filter(|(word, _)| *word == AUDIENCE);
        let audience = audience.and_then(|(_, name)| Name::new(name).ok());
        let mut trusted = Self::new(audience.ok_or(wrong(number, LineProblem::Audience))?);
        for (number, line) in lines {
            if trusted.servers.len() == MAX_TRUSTED_SERVERS {
                return Err(wrong(number, LineProblem::TooMany));
            }
            let (identity, key) = server(line).map_err(|problem| wrong(number, problem))?;
            trusted.add(identity, key)?;
        }
        Ok(trusted)
    }

    /// Writes the text form.
    pub fn to_text(&self) -> String {
        let lines = self
            .servers
            .iter()
            .map(|(identity, id, key)| format!("{ML_DSA_65} {id} {} {identity}\n", hex(key.as_bytes())));
        [format!("{HEADER}\n"), format!("{AUDIENCE} {}\n", self.audience)].into_iter().chain(lines).collect()
    }
}

fn server(line: &str) -> Result<(Name, VerifyingKey), LineProblem> {
    let mut fields = line.splitn(4, ' ');
    let mut field = || fields.next().ok_or(LineProblem::Shape);
    let (algorithm, id, key, identity) = (field()?, field()?, field()?, field()?);
    if algorithm != ML_DSA_65 {
        return Err(LineProblem::Algorithm);
    }
    let key = unhex(key).filter(|key| key.len() == VERIFYING_KEY_BYTES).ok_or(LineProblem::Key)?;
    let key = VerifyingKey::from_bytes(&key).map_err(|_| LineProblem::Key)?;
    if hex(&key.key_id()) != id {
        return Err(LineProblem::KeyId);
    }
    Ok((Name::new(identity).map_err(|_| LineProblem::Shape)?, key))
}

fn hex(bytes: &[u8]) -> String {
    use core::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Lower-case digits only, so that a key has one text.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}
