//! `tyto attest decision`: what a tenant made of a score, signed by the tenant.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use tyto_client::attest::log::leaf_hash;
use tyto_client::attest::{
    self, AttestationFile, Bundle, Content, Decision, KeyEntry, Outcome, PublicKey, Purpose, Statement,
};
use tyto_client::pqc::mldsa::SigningKey;
use tyto_client::signing_key_file;
use tyto_client::tenant::SubjectId;
use tyto_client::tenant::passphrase::Cost;

use super::{file, read, shape};
use crate::args::Global;
use crate::connection::{connect, read_trusted_keys};
use crate::output::{OutputArgs, hex, write_file};
use crate::shown::Fields;
use crate::trust::TrustArgs;
use crate::{Error, passphrase, time, trust};

/// The commands about decisions.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a key that signs decisions, sealed by a passphrase. Overwrites nothing.
    Init {
        /// The file to make.
        #[arg(value_name = "KEY")]
        key: PathBuf,
        /// Write the public key here, for `tyto root add --purpose decision`.
        #[arg(long, value_name = "FILE")]
        public_out: PathBuf,
        /// A file with the key's passphrase; else `TYTO_DECISION_PASSPHRASE`, else a prompt.
        #[arg(long, value_name = "FILE")]
        key_passphrase_file: Option<PathBuf>,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Sign a decision, and put it into a bundle with the attestation that it rests on.
    Issue(IssueArgs),
}

/// `tyto attest decision issue`.
#[derive(Debug, clap::Args)]
pub struct IssueArgs {
    /// What the decision rests on: a bundle, an attestation or an attestation file. It is verified first if it can be.
    #[arg(value_name = "EVIDENCE")]
    evidence: PathBuf,
    /// The key that signs.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// A file with the key's passphrase; else `TYTO_DECISION_PASSPHRASE`, else a prompt.
    #[arg(long, value_name = "FILE")]
    key_passphrase_file: Option<PathBuf>,
    /// Who decides: the name that the trust root has for the key.
    #[arg(long, value_name = "TEXT")]
    tenant: String,
    /// What was decided: match or non-match.
    #[arg(long, value_name = "OUTCOME", value_parser = outcome)]
    outcome: Outcome,
    /// The score from which on it is a match, in score steps.
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    threshold_score: i32,
    /// About whom; the server is asked for the gallery's parameters, and only the subject's pseudonym is signed.
    #[arg(long, value_name = "ID", conflicts_with = "pseudonym")]
    subject: Option<String>,
    /// About whom, by the pseudonym.
    #[arg(long, value_name = "HEX", value_parser = pseudonym)]
    pseudonym: Option<[u8; 16]>,
    /// When it was decided [default: now].
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    decided_at: Option<u64>,
    /// By whose keys the evidence is verified: a bare attestation needs them, since the bundle has its signer's key.
    #[command(flatten)]
    trust: TrustArgs,
    /// The bundle to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Output.
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs one of the commands.
pub(super) async fn run(command: &Command, global: &Global) -> Result<(), Error> {
    match command {
        Command::Init { key, public_out, key_passphrase_file, output } => {
            let fields = init(key, public_out, key_passphrase_file.as_deref())?;
            output.print(&fields, Fields::text)
        }
        Command::Issue(args) => args.run(global).await,
    }
}

fn init(path: &Path, public_out: &Path, passphrase_file: Option<&Path>) -> Result<Fields, Error> {
    if path.exists() {
        return Err(tyto_client::Error::FileExists { path: path.to_owned() }.into());
    }
    let passphrase = source(passphrase_file).choose()?;
    let made = signing_key_file::create_decision_key(path, &passphrase, Cost::RECOMMENDED);
    let public = PublicKey::from(made.map_err(Error::signing_key(path))?.verifying_key().clone());
    write_file(public_out, &public.to_spki().map_err(Error::PublicKey)?)?;
    Ok(Fields::new()
        .bytes("key", &public.key_id())
        .with("algorithm", public.algorithm().name())
        .with("key_file", path.display().to_string())
        .with("public_key_file", public_out.display().to_string()))
}

fn source(file: Option<&Path>) -> passphrase::Source<'_> {
    passphrase::Source {
        file,
        option: "--key-passphrase-file",
        variable: "TYTO_DECISION_PASSPHRASE",
        prompt: "Passphrase of the decision key: ",
    }
}

impl IssueArgs {
    async fn run(&self, global: &Global) -> Result<(), Error> {
        let bundle = self.evidence(global).map_err(Error::in_file(&self.evidence))?;
        if !self.key.exists() {
            return Err(Error::NoSigningKey { path: self.key.clone() });
        }
        let subject = self.subject(&bundle, global).await?;
        let passphrase = source(self.key_passphrase_file.as_deref()).read()?;
        let key = signing_key_file::open_decision_key(&self.key, &passphrase);
        let key = key.map_err(Error::signing_key(&self.key))?;
        let decision = Decision {
            tenant: self.tenant.clone(),
            audience: global.audience.clone().unwrap_or_default(),
            decided_at_unix_ms: self.decided_at.unwrap_or_else(time::now_unix_ms),
            subject,
            outcome: self.outcome,
            threshold: self.threshold_score.into(),
            attestation_digest: leaf_hash(bundle.content.as_bytes()),
        };
        let bundle = with_decision(bundle, &decision, &key)?;
        let bytes = bundle.encode()?;
        write_file(&self.out, &bytes)?;
        let fields = Fields::new()
            .with("bundle", self.out.display().to_string())
            .with("bytes", bytes.len() as u64)
            .bytes("signing_key", &key.verifying_key().key_id())
            .with("decision", shape::decision(&decision));
        self.output.print(&fields, Fields::text)
    }

    /// The evidence as a bundle without a decision, verified as far as there are keys to verify it with.
    fn evidence(&self, global: &Global) -> Result<Bundle, Error> {
        let bytes = read(&self.evidence)?;
        let bytes = if file::is_file(&bytes) { AttestationFile::parse(&bytes)?.attestation } else { bytes };
        let roots = self.trust.open()?;
        if let Some(roots) = &roots {
            // A decision that does not stand any more can be replaced.
            let verdict = attest::verify(&bytes, roots, self.trust.at_unix_ms());
            verdict.without_decision.map_or(verdict.outcome, Ok)?;
        }
        let attest::Object::Attestation(claimed) = attest::inspect(&bytes)? else {
            return Ok(Bundle { decision: None, ..Bundle::parse(&bytes)? });
        };
        let key = match (roots, &global.trusted_keys) {
            (Some(roots), _) => roots.get(&claimed.key_id).map(|record| record.key.clone()),
            (None, Some(path)) => {
                let keys = read_trusted_keys(path)?;
                attest::verify_attestation(&bytes, &keys)?;
                keys.get(&claimed.key_id).cloned().map(PublicKey::from)
            }
            (None, None) => None,
        };
        let key = key.ok_or(Error::NoTrustedKeys)?;
        let keys = vec![KeyEntry { purpose: Purpose::Attestation, key }];
        Ok(Bundle { content: Content::Attestation(bytes), receipt: None, keys, decision: None })
    }

    /// The subject's pseudonym in the gallery that the evidence is about.
    async fn subject(&self, bundle: &Bundle, global: &Global) -> Result<Option<[u8; 16]>, Error> {
        let gallery = gallery_of(bundle)?.ok_or(Error::NoMatch)?;
        let Some(subject) = &self.subject else {
            let is_about_nobody = self.pseudonym.is_none() && self.outcome == Outcome::Match;
            return if is_about_nobody { Err(Error::NoSubject) } else { Ok(self.pseudonym) };
        };
        let subject = SubjectId::new(subject.as_bytes()).map_err(tyto_client::Error::from)?;
        let gallery = connect(global).await?.open_gallery(&hex(&gallery)).await?;
        Ok(Some(gallery.gallery().pseudonym(&subject).0))
    }
}

/// The gallery that was matched.
fn gallery_of(bundle: &Bundle) -> Result<Option<[u8; 16]>, attest::Error> {
    let statement = match &bundle.content {
        Content::Statement(bytes) => Statement::decode(bytes)?,
        Content::Attestation(bytes) => match attest::inspect(bytes)? {
            attest::Object::Attestation(claimed) => claimed.content,
            _ => return Ok(None),
        },
    };
    Ok(statement.match_result().map(|result| result.gallery_id))
}

/// A bundle with a decision, and the key of its signer, in the place of one that it had.
fn with_decision(bundle: Bundle, decision: &Decision, key: &SigningKey) -> Result<Bundle, attest::Error> {
    let mut keys = bundle.keys;
    keys.retain(|entry| entry.purpose != Purpose::Decision);
    keys.push(KeyEntry { purpose: Purpose::Decision, key: key.verifying_key().clone().into() });
    Ok(Bundle { keys, decision: Some(decision.sign(key)?), ..bundle })
}

fn outcome(text: &str) -> Result<Outcome, String> {
    Outcome::from_name(text).ok_or_else(|| "expected match or non-match".to_owned())
}

fn pseudonym(text: &str) -> Result<[u8; 16], String> {
    trust::unhex(text).ok_or_else(|| "expected 32 lower-case hexadecimal digits".to_owned())
}
