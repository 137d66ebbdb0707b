//! Evidence with the verdict on it: accepted in every form, and a broken one for each check.

mod cases;
mod make;
mod roots;

use tyto_attest::{Checkpoint, Error, Part, TrustRoot, verify, verify_consistency};

pub(crate) use cases::all;
pub(crate) use roots::{ROOTS, signed_trust_root, trust_root};

use crate::world::{NOW, root_key};

/// What the bytes are, and what they are verified against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A bundle, or a bare attestation, decision or checkpoint.
    Evidence,
    /// A consistency receipt, from the checkpoint of the case [`Case::old`].
    Consistency,
    /// A trust root, from the one that is named in [`Case::roots`] if that is not [`FIRST`].
    TrustRoot,
}

/// Who is trusted when a trust root is opened for the first time.
pub(crate) const FIRST: &str = "";

/// The case whose bytes are the earlier checkpoint of the consistency receipts.
pub(crate) const OLD_CHECKPOINT: &str = "checkpoint-old";

/// The case whose bytes are the checkpoint of the empty log.
pub(crate) const EMPTY_CHECKPOINT: &str = "checkpoint-empty";

/// One case: what makes the bytes, and the check that rejects them.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    pub(crate) roots: &'static str,
    /// The case whose bytes are the earlier checkpoint, for consistency receipts.
    pub(crate) old: &'static str,
    pub(crate) at: Option<u64>,
    pub(crate) rejected_by: Option<(Part, &'static str)>,
    pub(crate) source: Source,
}

/// Where the bytes of a case come from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source {
    Made(fn() -> Vec<u8>),
    /// They are those of another case.
    Of(&'static str),
}

impl Case {
    const fn new(name: &'static str, make: fn() -> Vec<u8>) -> Self {
        Self::from_source(name, Source::Made(make))
    }

    /// The bytes of another case, under other circumstances.
    const fn of(name: &'static str, other: &'static str) -> Self {
        Self::from_source(name, Source::Of(other))
    }

    const fn from_source(name: &'static str, source: Source) -> Self {
        let (form, roots, old) = (Form::Evidence, "main", OLD_CHECKPOINT);
        Self { name, form, roots, old, at: Some(NOW), rejected_by: None, source }
    }

    /// The file with the bytes.
    pub(crate) fn file(&self) -> String {
        let name = match self.source {
            Source::Made(_) => self.name,
            Source::Of(other) => other,
        };
        format!("evidence/{name}.cbor")
    }

    const fn rejected(self, part: Part, check: &'static str) -> Self {
        Self { rejected_by: Some((part, check)), ..self }
    }

    const fn roots(self, roots: &'static str) -> Self {
        Self { roots, ..self }
    }

    const fn from(self, old: &'static str) -> Self {
        Self { old, ..self }
    }

    const fn at(self, at: Option<u64>) -> Self {
        Self { at, ..self }
    }

    const fn form(self, form: Form) -> Self {
        Self { form, ..self }
    }

    /// The rejection of these bytes, if they are rejected.
    pub(crate) fn rejection(&self, bytes: &[u8], read: impl Fn(&str) -> Vec<u8>) -> Option<Error> {
        let roots = |name: &str| TrustRoot::open(&read(&format!("roots/{name}.cbor")), None).unwrap();
        match self.form {
            Form::Evidence => verify(bytes, &roots(self.roots), self.at).outcome.err(),
            Form::Consistency => {
                let old = Checkpoint::parse(&read(&format!("evidence/{}.cbor", self.old))).unwrap();
                verify_consistency(bytes, old.head(), &roots(self.roots), self.at).outcome.err()
            }
            Form::TrustRoot if self.roots == FIRST => {
                TrustRoot::open(bytes, Some(&root_key().verifying_key().key_id())).err()
            }
            Form::TrustRoot => roots(self.roots).update(bytes).err(),
        }
    }
}
