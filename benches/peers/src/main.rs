//! Tyto's side of the comparison with its peers.
//!
//! Reads templates and probes, encrypts them as a tenant does, keeps the gallery in memory as a server does, decrypts
//! the scores of a first pass into a file for the driver to check, and then answers one line on the standard input with
//! one on the standard output: `request 8 2097152` answers eight probes over that many templates and says how
//! long it took. The driver lets the contestants take turns that way.

mod world;

use crate::world::{Pass, World};
use anyhow::{Context as _, Result, bail};
use serde_json::json;
use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;

/// Coordinates of a template.
const DIMENSION: usize = 128;

/// What a line of the input asks for.
fn pass(line: &str) -> Result<(Pass, usize, usize)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [pass, probes, templates] = words[..] else { bail!("a pass, probes and templates, not {line:?}") };
    let pass = match pass {
        "request" => Pass::Request,
        "engine" => Pass::Engine,
        "kernel" => Pass::Kernel,
        "read" => Pass::Read,
        other => bail!("there is no pass {other:?}"),
    };
    Ok((pass, probes.parse()?, templates.parse()?))
}

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [templates, probes, scores, sizes @ ..] = &arguments[..] else {
        bail!(
            "usage: tyto-peers TEMPLATES PROBES SCORES [SIZE...]; the first two hold one byte per coordinate"
        );
    };
    let size = |text: &PathBuf| text.to_string_lossy().parse().context("a size is a number of templates");
    let sizes = sizes.iter().map(size).collect::<Result<Vec<usize>>>()?;
    let read = |path: &PathBuf| {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        anyhow::Ok(bytes.into_iter().map(|byte| byte as i8).collect::<Vec<_>>())
    };
    let mut world = World::build(&read(templates)?, &read(probes)?, &sizes)?;
    let decrypted: Vec<u8> = world.decrypt_all()?.iter().flat_map(|score| score.to_le_bytes()).collect();
    std::fs::write(scores, decrypted).with_context(|| scores.display().to_string())?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", world.describe())?;
    out.flush()?;
    for line in std::io::stdin().lock().lines() {
        let (pass, probes, templates) = pass(&line?)?;
        let seconds = world.run(pass, probes, templates)?.as_secs_f64();
        writeln!(out, "{}", json!({ "seconds": seconds }))?;
        out.flush()?;
    }
    Ok(())
}
