//! The command line's options and commands.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::commands::{
    admin, attest, audit, bench, enrol, evaluate, gallery, identify, keyring, log, replay, root, session,
    verify,
};
use crate::{Error, exit, passphrase};

/// Where `tytod` listens if nothing else is said.
pub const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:7443";

/// Matches biometric templates on a server that cannot read them.
#[derive(Debug, Parser)]
#[command(name = "tyto", version, after_help = exit::HELP, arg_required_else_help = true)]
pub struct Cli {
    /// Options of all commands.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of all commands.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of all commands")]
pub struct Global {
    /// Where the server listens.
    #[arg(long, global = true, env = "TYTO_ENDPOINT", default_value = DEFAULT_ENDPOINT, value_name = "URL")]
    pub endpoint: String,
    /// The keyring file [default: ~/.tyto/keyring].
    #[arg(long, global = true, env = "TYTO_KEYRING", value_name = "FILE")]
    pub keyring: Option<PathBuf>,
    /// A file with the keyring's passphrase; else `TYTO_PASSPHRASE`, else a prompt.
    #[arg(long, global = true, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Where high-water marks and enrolment journals are kept [default: the folder `state` beside the keyring].
    #[arg(long, global = true, env = "TYTO_STATE_DIR", value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// The signing keys that are believed (made by `tytod key`): then every answer must carry an attestation that
    /// holds.
    #[arg(long, global = true, env = "TYTO_TRUSTED_KEYS", value_name = "FILE")]
    pub trusted_keys: Option<PathBuf>,
    /// A file with the API key that calls are made with, for its owner alone; else `TYTO_API_KEY`.
    #[arg(long, global = true, env = "TYTO_CREDENTIAL_FILE", value_name = "FILE")]
    pub credential_file: Option<PathBuf>,
    /// Send every call in a sealed session with one of these servers (made by `tytod session-key`).
    #[arg(long, global = true, env = "TYTO_SEALED", value_name = "FILE")]
    pub sealed: Option<PathBuf>,
    /// Whom attestations are for.
    #[arg(long, global = true, env = "TYTO_AUDIENCE", value_name = "TEXT")]
    pub audience: Option<String>,
}

impl Global {
    /// The keyring file.
    ///
    /// # Errors
    /// [`Error::NoHome`].
    pub fn keyring_path(&self) -> Result<PathBuf, Error> {
        if let Some(path) = &self.keyring {
            return Ok(path.clone());
        }
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty()).ok_or(Error::NoHome)?;
        Ok(Path::new(&home).join(".tyto").join("keyring"))
    }

    /// The state directory.
    ///
    /// # Errors
    /// [`Error::NoHome`].
    pub fn state_path(&self) -> Result<PathBuf, Error> {
        match &self.state_dir {
            Some(path) => Ok(path.clone()),
            None => Ok(self.keyring_path()?.with_file_name("state")),
        }
    }

    /// Where the keyring's passphrase comes from.
    pub fn passphrase(&self) -> passphrase::Source<'_> {
        passphrase::Source {
            file: self.passphrase_file.as_deref(),
            option: "--passphrase-file",
            variable: "TYTO_PASSPHRASE",
            prompt: "Passphrase of the keyring: ",
        }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The keyring: the tenant keys, sealed by a passphrase.
    #[command(subcommand)]
    Keyring(keyring::Command),
    /// Galleries and what is in them.
    #[command(subcommand)]
    Gallery(GalleryCommand),
    /// Compare a probe with the templates of one subject (1:1).
    Verify(verify::Args),
    /// Compare probes with all templates of a gallery (1:N).
    Identify(identify::Args),
    /// Who may do what at the server.
    #[command(subcommand)]
    Admin(admin::Command),
    /// Measure error rates on labelled embeddings, encrypted beside plaintext.
    Evaluate(evaluate::Args),
    /// Measure how fast Tyto is on this machine.
    Bench(bench::Args),
    /// Attestations and other evidence: all but `document` and `receipt` offline.
    #[command(subcommand)]
    Attest(attest::Command),
    /// Compute an attested match once more from its ciphertexts.
    #[command(subcommand)]
    Replay(replay::Command),
    /// The transparency log, offline.
    #[command(subcommand)]
    Log(log::Command),
    /// The audit log, offline.
    #[command(subcommand)]
    Audit(audit::Command),
    /// The trust root: the keys whose word is taken, signed by an offline key.
    #[command(subcommand)]
    Root(root::Command),
    /// Sealed sessions, in which nobody between here and the server can read.
    #[command(subcommand)]
    Session(session::Command),
}

/// Galleries and what is in them.
#[derive(Debug, Subcommand)]
pub enum GalleryCommand {
    /// Make an empty gallery under the keyring's newest key.
    Create(gallery::CreateArgs),
    /// List all galleries of the server.
    List(gallery::ListArgs),
    /// Count what is in a gallery.
    Stat(gallery::StatArgs),
    /// Enrol templates.
    Enrol(enrol::Args),
    /// Remove all templates of a subject.
    Remove(gallery::RemoveArgs),
    /// List the subjects of a gallery.
    Subjects(gallery::SubjectsArgs),
    /// Delete a gallery with everything in it.
    Delete(gallery::DeleteArgs),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_documented_commands_are_understood() {
        for line in [
            "tyto keyring init --json",
            "tyto --keyring k keyring export box --to-passphrase-file p",
            "tyto keyring import box --from-passphrase-file p",
            "tyto keyring passwd",
            "tyto gallery create staff --dimension 128",
            "tyto gallery create staff --dimension 512 --layout verification --metric inner-product --max-norm 2.5",
            "tyto gallery create staff --dimension 128 --stride 16",
            "tyto gallery enrol staff --embeddings a.npy --labels a.csv --skip-bad",
            "tyto gallery enrol staff --embeddings a.csv --subject 17 --rows 0-3,9",
            "tyto gallery remove staff --subject 17",
            "tyto gallery delete staff --yes",
            "tyto verify staff --subject 17 --embeddings p.npy --row 0 --threshold 0.35 --attestation-out a.tyto",
            "tyto verify staff --subject 17 --embeddings p.npy --threshold-score -5 --endpoint http://h:1",
            "tyto identify staff --embeddings p.npy --all-rows --candidates 5 --threshold 0.3 --json",
            "tyto evaluate --embeddings a.npy --labels a.csv --pairs p.csv --json - --plots out --limit-probes 9",
            "tyto evaluate --synthetic 100",
            "tyto admin tenant create acme --admin ada --key-out ada.key",
            "tyto admin tenant list --json",
            "tyto admin tenant disable 00000000000000000000000000000000",
            "tyto admin tenant add-admin 00000000000000000000000000000000 --name eve --json",
            "tyto admin principal create door --credential-file k",
            "tyto admin key create 00000000000000000000000000000000 --expires 2027-01-01",
            "tyto admin key rotate --overlap 60 --key-out new.key",
            "tyto admin key rotate 0000000000000000 --expires 2027-01-01",
            "tyto admin key revoke 0000000000000000",
            "tyto admin grant add 00000000000000000000000000000000 matcher \
             --gallery 00000000000000000000000000000000 --expires 2027-01-01T12:00:00Z",
            "tyto admin grant revoke 00000000000000000000000000000000",
            "tyto admin subject bind 00000000000000000000000000000000 --certificate CN=door",
            "tyto admin subject unbind 00000000000000000000000000000000 --issuer https://i --subject s",
            "tyto admin review --format json --out r.json",
            "tyto bench",
            "tyto bench --seconds 30 --gallery-bytes 512M --json b.json --html b.html --tytod /usr/bin/tytod",
            "tyto attest verify a.tyto --trusted-keys k --json",
            "tyto attest verify a.bundle --roots r --at 2026-11-22T14:05:00Z --json",
            "tyto attest verify a.bundle --roots r --at none",
            "tyto attest inspect a.tyto",
            "tyto attest document contract.pdf --receipt-only --out c.bundle --audience court --json",
            "tyto attest document contract.pdf --entry-out c.entry",
            "tyto attest receipt a.tyto --out a.bundle --roots r",
            "tyto attest decision init key --public-out key.der",
            "tyto attest decision issue a.tyto --key k --tenant acme --outcome match --threshold-score 481 \
             --subject 17 --roots r --out d.bundle",
            "tyto attest decision issue b.bundle --key k --tenant acme --outcome non-match --threshold-score -3 \
             --out d.bundle --json",
            "tyto root init roots --name acme --algorithm slh-dsa-shake-128f --root-key-file k",
            "tyto root add roots server.txt --purpose attestation --valid-from 2026-11-22 --valid-until 2028-01-01",
            "tyto root add roots log.der --purpose log --log-origin acme/log --name first",
            "tyto root revoke roots 0000000000000000000000000000000000000000000000000000000000000000 --at 7 --json",
            "tyto root rotate roots --new-passphrase-file p",
            "tyto root show roots",
            "tyto log verify objects/log",
            "tyto --sealed keys session ping",
            "tyto session ping --json --sealed keys",
            "tyto identify staff --embeddings p.npy --replay-out r",
            "tyto replay export r --out c --max-bytes 4G",
            "tyto replay run r c --roots roots --json",
            "tyto log verify d --roots r --at none --checkpoint a --checkpoint b --entries --json",
        ] {
            let parsed = parse(line);
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }

    #[test]
    fn contradictions_and_omissions_are_usage_errors() {
        for line in [
            "tyto gallery create staff",
            "tyto gallery create staff --dimension 128 --stride 1 --layout verification",
            "tyto gallery create staff --dimension 128 --metric inner-product",
            "tyto gallery create staff --dimension 128 --max-norm 2",
            "tyto gallery enrol staff --embeddings a.npy --labels a.csv --subject 17",
            "tyto gallery enrol staff --embeddings a.npy --subject 17 --rows 3-1",
            "tyto verify staff --subject 17 --embeddings p.npy --row 0",
            "tyto verify staff --subject 17 --embeddings p.npy --row 0 --threshold 0.3 --threshold-score 3",
            "tyto verify staff --subject 17 --embeddings p.npy --row 0 --threshold nan",
            "tyto identify staff --embeddings p.npy --row 0 --all-rows",
            "tyto identify staff --embeddings p.npy --all-rows --attestation-out a.tyto",
            "tyto identify staff --embeddings p.npy --row 0 --candidates 0",
            "tyto admin key create ada",
            "tyto admin grant add 00000000000000000000000000000000 owner",
            "tyto admin key rotate --expires 2027-01-01",
            "tyto admin subject bind 00000000000000000000000000000000",
            "tyto admin subject bind 00000000000000000000000000000000 --issuer i",
            "tyto evaluate",
            "tyto evaluate --synthetic 100 --embeddings a.npy --labels b",
            "tyto bench --gallery-bytes lots",
            "tyto attest verify a.bundle --at none",
            "tyto attest verify a.bundle --roots r --at yesterday",
            "tyto attest verify a.bundle --roots r --root-key 12",
            "tyto attest decision issue b.bundle --key k --tenant acme --outcome perhaps --threshold-score 1 --out d",
            "tyto attest decision issue b.bundle --key k --tenant acme --outcome match --threshold-score 1 --out d \
             --subject a --pseudonym 00000000000000000000000000000000",
            "tyto identify staff --embeddings p.npy --all-rows --replay-out r",
            "tyto replay run r",
            "tyto root add roots server.txt",
            "tyto root add roots log.der --purpose log --log-origin a --log-id 00",
            "tyto root init roots --name acme --algorithm slh-dsa-sha2-128s",
            "tyto root revoke roots 12",
            "tyto bench --seconds 0",
            "tyto bench --quick --seconds 9",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn the_state_lies_beside_the_keyring() {
        let global = |line| parse(line).unwrap().global;
        let given = global("tyto --keyring /k/ring keyring show");
        assert_eq!(given.state_path().unwrap(), Path::new("/k/state"));
        let both = global("tyto --keyring /k/ring --state-dir /s keyring show");
        assert_eq!(both.state_path().unwrap(), Path::new("/s"));
    }
}
