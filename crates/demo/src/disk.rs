//! What the server kept: sizes, a look at the bytes, and a search for plaintext.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tyto_cli::output::{bytes, hex};
use tyto_client::scheme::BlockId;
use tyto_client::scheme::segment::SEGMENT_HEADER_BYTES;

use crate::population::Population;
use crate::show::{fact, heading, note};
use crate::site::Galleries;

/// Bytes that are shown of a block and of a delta.
const SHOWN_BYTES: usize = 20;
/// Coordinates of a template that are searched for at a time.
const CHUNK: usize = 32;
/// Bytes that a needle is found by first.
const KEY_BYTES: usize = 8;

/// Looks at a data directory at rest. Returns whether no plaintext was found in it.
pub(crate) async fn describe(
    data_dir: &Path,
    galleries: &Galleries,
    population: &Population,
) -> anyhow::Result<bool> {
    heading("what the server held");
    let files = files_below(data_dir)?;
    for (name, folder) in
        [("database", "tyto.sqlite"), ("segments", "objects/segments"), ("tickets", "objects/tickets")]
    {
        let of_kind = |path: &Path| {
            path.strip_prefix(data_dir).is_ok_and(|path| path.to_string_lossy().starts_with(folder))
        };
        let sizes: Vec<u64> =
            files.iter().filter(|(path, _)| of_kind(path)).map(|(_, content)| content.len() as u64).collect();
        fact(name, &format!("{} in {} files", bytes(sizes.iter().sum()), sizes.len()));
    }
    show_bytes(data_dir, &files).await?;

    let total: usize = files.iter().map(|(_, content)| content.len()).sum();
    let needles = Needles::of(population);
    let found = needles.find(&files);
    // The same search must find what is certainly there.
    let mut control = Needles::default();
    control.add(galleries.identification.id().as_bytes());
    let control_found = control.find(&files);
    fact(
        "searched",
        &format!(
            "{} for {} pieces of templates and names: {found} found",
            bytes(total as u64),
            needles.count
        ),
    );
    fact("control", &format!("the gallery's public id, by the same search: {control_found} found"));
    anyhow::ensure!(control_found > 0, "the search does not work");
    note("Searched for: 32 coordinates at a time as bytes, 16-bit integers and floats; names of subjects.");
    Ok(found == 0)
}

fn files_below(folder: &Path) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let (mut files, mut pending) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
            if kind.is_dir() {
                pending.push(path);
            } else {
                let content = std::fs::read(&path).with_context(|| path.display().to_string())?;
                files.push((path, content));
            }
        }
    }
    files.sort();
    Ok(files)
}

async fn show_bytes(data_dir: &Path, files: &[(PathBuf, Vec<u8>)]) -> anyhow::Result<()> {
    let segment = files.iter().find(|(path, _)| path.starts_with(data_dir.join("objects/segments")));
    let (_, segment) = segment.context("a segment")?;
    let start = SEGMENT_HEADER_BYTES + BlockId::BYTES;
    let block = segment.get(start..start + SHOWN_BYTES).context("a block")?;
    fact("a stored block", &format!("{}...", hex(block)));

    if let Some(delta) = stored_delta(&data_dir.join("tyto.sqlite")).await? {
        let shown = hex(&delta[..SHOWN_BYTES.min(delta.len())]);
        fact("a stored template", &format!("{shown}... ({} bytes: template minus pad)", delta.len()));
    }
    Ok(())
}

/// The first delta of any table that has deltas.
async fn stored_delta(path: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    const TABLES: &str = "SELECT m.name FROM sqlite_master m, pragma_table_info(m.name) c \
                          WHERE m.type = 'table' AND c.name = 'delta' ORDER BY m.name";
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut database: SqliteConnection = options.connect().await?;
    let table: Option<String> = sqlx::query_scalar(TABLES).fetch_optional(&mut database).await?;
    let Some(table) = table else { return Ok(None) };
    // The name comes from the database's own catalogue.
    let query = AssertSqlSafe(format!("SELECT delta FROM \"{table}\" WHERE length(delta) > 0 LIMIT 1"));
    let delta = sqlx::query_scalar(query).fetch_optional(&mut database).await?;
    database.close().await?;
    Ok(delta)
}

/// Byte strings, found by their first bytes.
#[derive(Default)]
struct Needles {
    by_key: HashMap<[u8; KEY_BYTES], Vec<Vec<u8>>>,
    count: usize,
}

impl Needles {
    /// Pieces of all enrolled templates in the forms that a program would store, and the subjects' names.
    fn of(population: &Population) -> Self {
        let mut needles = Self::default();
        for person in &population.people {
            let template = population.templates[person.reference].values();
            let row = population.data.embeddings().row(person.reference);
            for (integers, floats) in template.chunks_exact(CHUNK).zip(row.chunks_exact(CHUNK)) {
                // A piece that is mostly zero is found in any file.
                if integers.iter().filter(|&&value| value == 0).count() > CHUNK / 2 {
                    continue;
                }
                needles.add(&integers.iter().map(|&value| value as u8).collect::<Vec<_>>());
                needles.add(&integers.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>());
                needles.add(&floats.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>());
            }
            needles.add(person.id.as_bytes());
        }
        needles
    }

    /// Adds a byte string, if it is long enough to mean anything.
    fn add(&mut self, needle: &[u8]) {
        if let Some(&key) = needle.first_chunk() {
            self.by_key.entry(key).or_default().push(needle.to_vec());
            self.count += 1;
        }
    }

    fn find(&self, files: &[(PathBuf, Vec<u8>)]) -> usize {
        let in_file = |content: &Vec<u8>| {
            let starts = 0..content.len().saturating_sub(KEY_BYTES - 1);
            let at = |start: usize| {
                let rest = &content[start..];
                let candidates = rest.first_chunk().and_then(|key| self.by_key.get(key));
                candidates.map_or(0, |found| found.iter().filter(|needle| rest.starts_with(needle)).count())
            };
            starts.map(at).sum::<usize>()
        };
        files.iter().map(|(_, content)| in_file(content)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_finds_every_occurrence_and_nothing_else() {
        let mut needles = Needles::default();
        needles.add(b"needle in a stack");
        needles.add(b"needle in another");
        needles.add(b"short");
        assert_eq!(needles.count, 2, "what is shorter than the key cannot be searched for");
        let file = |content: &[u8]| (PathBuf::new(), content.to_vec());
        let files =
            [file(b"..needle in a stackneedle in a stack"), file(b"needle in"), file(b"needle in another")];
        assert_eq!(needles.find(&files), 3);
    }
}
