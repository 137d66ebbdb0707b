//! `tyto keyring`: the tenant keys, sealed by a passphrase.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Serialize;
use tyto_client::keyring_file;
use tyto_client::tenant::keyring::Keyring;
use tyto_client::tenant::passphrase::Cost;

use crate::args::Global;
use crate::connection::{keyring_error, make_private_dir, open_keyring, require_keyring};
use crate::output::{OutputArgs, Table};
use crate::{Error, Exit, passphrase};

/// The keyring's commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a keyring with one fresh key. Never overwrites one.
    Init {
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// List the ids of the keys.
    Show {
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Add a fresh key, which new galleries are made under from then on.
    NewKey {
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Copy all keys into a new file under a passphrase of its own.
    Export {
        /// The file to make.
        file: PathBuf,
        /// A file with the new file's passphrase; else `TYTO_EXPORT_PASSPHRASE`, else a prompt.
        #[arg(long, value_name = "FILE")]
        to_passphrase_file: Option<PathBuf>,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Add the keys of an exported file. Makes the keyring if there is none.
    Import {
        /// The exported file.
        file: PathBuf,
        /// A file with the exported file's passphrase; else `TYTO_EXPORT_PASSPHRASE`, else a prompt.
        #[arg(long, value_name = "FILE")]
        from_passphrase_file: Option<PathBuf>,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Change the passphrase.
    Passwd {
        /// A file with the new passphrase; else `TYTO_NEW_PASSPHRASE`, else a prompt.
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<PathBuf>,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
}

/// What all of the commands print.
#[derive(Debug, Serialize)]
struct Shown {
    keyring: PathBuf,
    /// The file that was made or read, by export and import.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    /// Keys that import added.
    #[serde(skip_serializing_if = "Option::is_none")]
    added: Option<usize>,
    keys: Vec<Key>,
}

#[derive(Debug, Serialize)]
struct Key {
    id: String,
    created_unix_s: u64,
    /// Whether new galleries are made under it.
    current: bool,
}

/// Runs one of the keyring's commands.
///
/// # Errors
/// [`Error::Keyring`] and what passphrases can be wrong in.
pub fn run(command: &Command, global: &Global) -> Result<Exit, Error> {
    let path = global.keyring_path()?;
    let (output, shown) = match command {
        Command::Init { output } => (output, shown(&path, &init(&path, global)?)),
        Command::Show { output } => (output, shown(&path, &open_keyring(global)?)),
        Command::NewKey { output } => (output, shown(&path, &new_key(&path, global)?)),
        Command::Export { file, to_passphrase_file, output } => {
            (output, export(&path, file, to_passphrase_file.as_deref(), global)?)
        }
        Command::Import { file, from_passphrase_file, output } => {
            (output, import(&path, file, from_passphrase_file.as_deref(), global)?)
        }
        Command::Passwd { new_passphrase_file, output } => {
            (output, passwd(&path, new_passphrase_file.as_deref(), global)?)
        }
    };
    output.print(&shown, text)?;
    Ok(Exit::Success)
}

fn init(path: &Path, global: &Global) -> Result<Keyring, Error> {
    if path.exists() {
        let source = tyto_client::Error::FileExists { path: path.to_owned() };
        return Err(keyring_error(path)(source));
    }
    let passphrase = global.passphrase().choose()?;
    make_private_dir(path.parent().unwrap_or(Path::new("")))?;
    keyring_file::create(path, &passphrase, Cost::RECOMMENDED).map_err(keyring_error(path))
}

fn new_key(path: &Path, global: &Global) -> Result<Keyring, Error> {
    require_keyring(path)?;
    let passphrase = global.passphrase().read()?;
    keyring_file::add_key(path, &passphrase, Cost::RECOMMENDED).map_err(keyring_error(path))
}

fn export(path: &Path, to: &Path, to_file: Option<&Path>, global: &Global) -> Result<Shown, Error> {
    require_keyring(path)?;
    let passphrase = global.passphrase().read()?;
    let keyring = keyring_file::open(path, &passphrase).map_err(keyring_error(path))?;
    let to_passphrase = passphrase::Source {
        file: to_file,
        option: "--to-passphrase-file",
        variable: "TYTO_EXPORT_PASSPHRASE",
        prompt: "Passphrase of the exported file: ",
    }
    .choose()?;
    let exported = keyring_file::export(path, &passphrase, to, &to_passphrase, Cost::RECOMMENDED);
    exported.map_err(keyring_error(to))?;
    Ok(Shown { file: Some(to.to_owned()), ..shown(path, &keyring) })
}

fn import(path: &Path, from: &Path, from_file: Option<&Path>, global: &Global) -> Result<Shown, Error> {
    require_keyring(from)?;
    let from_passphrase = passphrase::Source {
        file: from_file,
        option: "--from-passphrase-file",
        variable: "TYTO_EXPORT_PASSPHRASE",
        prompt: "Passphrase of the exported file: ",
    }
    .read()?;
    // Opened by itself first, so that an error says which of the two files it is about.
    keyring_file::open(from, &from_passphrase).map_err(keyring_error(from))?;
    let source = global.passphrase();
    let passphrase = if path.exists() { source.read()? } else { source.choose()? };
    make_private_dir(path.parent().unwrap_or(Path::new("")))?;
    let cost = Cost::RECOMMENDED;
    let added = keyring_file::import(path, &passphrase, from, &from_passphrase, cost);
    let added = added.map_err(keyring_error(path))?;
    let keyring = keyring_file::open(path, &passphrase).map_err(keyring_error(path))?;
    Ok(Shown { file: Some(from.to_owned()), added: Some(added), ..shown(path, &keyring) })
}

fn passwd(path: &Path, new_file: Option<&Path>, global: &Global) -> Result<Shown, Error> {
    require_keyring(path)?;
    let old = global.passphrase().read()?;
    let keyring = keyring_file::open(path, &old).map_err(keyring_error(path))?;
    let new = passphrase::Source {
        file: new_file,
        option: "--new-passphrase-file",
        variable: "TYTO_NEW_PASSPHRASE",
        prompt: "New passphrase of the keyring: ",
    }
    .choose()?;
    keyring_file::change_passphrase(path, &old, &new, Cost::RECOMMENDED).map_err(keyring_error(path))?;
    Ok(shown(path, &keyring))
}

fn shown(path: &Path, keyring: &Keyring) -> Shown {
    let count = keyring.entries().len();
    let key = |(index, entry): (usize, &tyto_client::tenant::keyring::KeyEntry)| Key {
        id: entry.key.id().to_string(),
        created_unix_s: entry.created_unix_s,
        current: index + 1 == count,
    };
    let keys = keyring.entries().iter().enumerate().map(key).collect();
    Shown { keyring: path.to_owned(), file: None, added: None, keys }
}

fn text(shown: &Shown) -> String {
    let mut table = Table::new(["key", "created (unix s)", ""]);
    for key in &shown.keys {
        let current = if key.current { "current" } else { "" };
        table.row([key.id.clone(), key.created_unix_s.to_string(), current.to_owned()]);
    }
    let mut text = format!("keyring {}\n", shown.keyring.display());
    if let Some(file) = &shown.file {
        let what = match shown.added {
            None => "exported to".to_owned(),
            Some(1) => "1 key added from".to_owned(),
            Some(added) => format!("{added} keys added from"),
        };
        let _ = writeln!(text, "{what} {}", file.display());
    }
    text + &table.text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::json;

    #[test]
    fn json_has_the_documented_shape() {
        let key = |current| Key { id: "ab".into(), created_unix_s: 7, current };
        let shown = Shown { keyring: "k".into(), file: None, added: None, keys: vec![key(true)] };
        let expected = r#"{
  "keyring": "k",
  "keys": [
    {
      "id": "ab",
      "created_unix_s": 7,
      "current": true
    }
  ]
}
"#;
        assert_eq!(json(&shown), expected);
        let imported = Shown { file: Some("box".into()), added: Some(2), keys: vec![], ..shown };
        assert_eq!(
            json(&imported),
            "{\n  \"keyring\": \"k\",\n  \"file\": \"box\",\n  \"added\": 2,\n  \"keys\": []\n}\n"
        );
        assert!(text(&imported).contains("2 keys added from box"));
    }
}
