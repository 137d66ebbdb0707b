//! `tyto identify`: 1:N.

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde::Serialize;
use tyto_client::{Candidate, Client, GalleryHandle, Identification, IdentifyOptions};

use super::verify::ProbeByArg;
use super::{AttestationState, GalleryName, Score, metric_name, save_attestation, save_replay};
use crate::input::{EmbeddingsArgs, RowSelection, ThresholdArgs};
use crate::output::{OutputArgs, Subject, Table, bytes, count, milliseconds};
use crate::progress::Progress;
use crate::{Error, Exit};

/// Arguments of `identify`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("probes").args(["row", "rows", "all_rows"]))]
pub struct Args {
    /// The gallery's name or id.
    gallery: String,
    /// The embeddings.
    #[command(flatten)]
    embeddings: EmbeddingsArgs,
    /// The probe's row in the file [default: 0].
    #[arg(long, value_name = "N")]
    row: Option<usize>,
    /// Several probes, as in 0-9,15.
    #[arg(long, value_name = "ROWS")]
    rows: Option<RowSelection>,
    /// Every row of the file is a probe.
    #[arg(long)]
    all_rows: bool,
    /// How many subjects a candidate list has at most.
    #[arg(long, value_name = "K", default_value = "10")]
    candidates: NonZeroUsize,
    /// The threshold of candidates.
    #[command(flatten)]
    threshold: ThresholdArgs,
    /// How probes go to the server.
    #[arg(long, value_name = "WAY", default_value = "auto")]
    probe_by: ProbeByArg,
    /// Save the attestation with request and result, for `tyto attest verify` (one probe only).
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rows", "all_rows"])]
    attestation_out: Option<PathBuf>,
    /// Save what `tyto replay` needs to compute the answer once more (one probe only).
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rows", "all_rows"])]
    pub replay_out: Option<PathBuf>,
    /// Output.
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Serialize)]
struct Identified {
    gallery: GalleryName,
    metric: &'static str,
    threshold_score: Option<i32>,
    threshold: Option<f64>,
    probes: Vec<Probe>,
}

#[derive(Debug, Serialize)]
struct Probe {
    row: usize,
    compared: u64,
    candidates: Vec<Ranked>,
    manifest_version: u64,
    attestation: AttestationState,
    bytes_sent: u64,
    bytes_received: u64,
    elapsed_ms: f64,
}

#[derive(Debug, Serialize)]
struct Ranked {
    rank: usize,
    #[serde(flatten)]
    subject: Subject,
    score: i32,
    value: f64,
    templates: Vec<Score>,
}

impl Probe {
    fn new(row: usize, found: &Identification) -> Self {
        let ranked = |(index, candidate): (usize, &Candidate)| Ranked {
            rank: index + 1,
            subject: Subject::from(&*candidate.subject),
            score: candidate.score,
            value: candidate.value,
            templates: candidate.templates.iter().map(Score::from).collect(),
        };
        Self {
            row,
            compared: found.compared,
            candidates: found.candidates.iter().enumerate().map(ranked).collect(),
            manifest_version: found.manifest_version,
            attestation: AttestationState::of(found.attestation.as_ref()),
            bytes_sent: found.bytes_sent,
            bytes_received: found.bytes_received,
            elapsed_ms: milliseconds(found.timings.total),
        }
    }
}

/// Identifies. Every probe is judged before the first is sent.
///
/// # Errors
/// [`Error::InFile`] for a probe that is none, [`Error::Client`].
pub async fn run(args: &Args, client: &Client) -> Result<Exit, Error> {
    let handle = client.open_gallery(&args.gallery).await?;
    let quantiser = handle.gallery().quantiser();
    let threshold_score = args.threshold.score(quantiser);
    let probes = identify_all(args, &handle, threshold_score).await?;
    let is_complete = probes.iter().all(|probe| !probe.candidates.is_empty());
    let identified = Identified {
        gallery: GalleryName::from(&handle),
        metric: metric_name(quantiser.metric()),
        threshold_score,
        threshold: threshold_score.map(|score| quantiser.value(score)),
        probes,
    };
    args.output.print(&identified, text)?;
    Ok(if is_complete { Exit::Success } else { Exit::No })
}

async fn identify_all(
    args: &Args,
    handle: &GalleryHandle,
    min_score: Option<i32>,
) -> Result<Vec<Probe>, Error> {
    let quantiser = handle.gallery().quantiser();
    let (rows, _) = args.embeddings.read_for(quantiser)?;
    let selected = match &args.rows {
        Some(selection) => selection.rows(rows.len()).map_err(Error::in_file(&args.embeddings.embeddings))?,
        None if args.all_rows => (0..rows.len()).collect(),
        None => vec![args.row.unwrap_or(0)],
    };
    let template = |row| args.embeddings.template(&rows, row, quantiser);
    let templates = selected.iter().map(|&row| template(row)).collect::<Result<Vec<_>, _>>()?;
    let options = IdentifyOptions {
        candidates: args.candidates.get(),
        min_score,
        collect_all: false,
        probe_by: args.probe_by.into(),
    };
    let progress = if selected.len() > 1 { Progress::new(args.output.json) } else { Progress::hidden() };
    let bar = progress.bar(selected.len() as u64, "identifying");
    let mut probes = Vec::with_capacity(selected.len());
    for (&row, template) in selected.iter().zip(&templates) {
        let found = handle.identify(template, options).await?;
        if let Some(path) = &args.attestation_out {
            save_attestation(found.attestation.as_ref(), path)?;
        }
        if let Some(path) = &args.replay_out {
            save_replay(found.attestation.as_ref(), path)?;
        }
        probes.push(Probe::new(row, &found));
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(probes)
}

fn text(identified: &Identified) -> String {
    let Identified { gallery, metric, .. } = identified;
    let mut text = format!("gallery      {gallery}\n");
    if let (Some(score), Some(value)) = (identified.threshold_score, identified.threshold) {
        let _ = writeln!(text, "threshold    {score} ({metric} {value:.4})");
    }
    for probe in &identified.probes {
        let _ = writeln!(
            text,
            "\nrow {}: compared with {}, {} sent, {} received, {:.1} ms; attestation: {}",
            probe.row,
            count(probe.compared, "template"),
            bytes(probe.bytes_sent),
            bytes(probe.bytes_received),
            probe.elapsed_ms,
            probe.attestation,
        );
        if probe.candidates.is_empty() {
            text += "no candidate\n";
            continue;
        }
        let mut table = Table::new(["rank", "subject", "score", metric, "templates"]);
        for candidate in &probe.candidates {
            table.row([
                candidate.rank.to_string(),
                candidate.subject.to_string(),
                candidate.score.to_string(),
                format!("{:.4}", candidate.value),
                candidate.templates.len().to_string(),
            ]);
        }
        text += &table.text();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tyto_client::tenant::SubjectId;

    #[test]
    fn json_has_the_documented_shape() {
        let ranked = Ranked {
            rank: 1,
            subject: Subject::from(&SubjectId::new("ada").unwrap()),
            score: 800,
            value: 0.5,
            templates: vec![Score { block: "ff".into(), slot: 3, score: 800, value: 0.5 }],
        };
        let probe = Probe {
            row: 2,
            compared: 2000,
            candidates: vec![ranked],
            manifest_version: 4,
            attestation: AttestationState::Unverified,
            bytes_sent: 400,
            bytes_received: 3_900,
            elapsed_ms: 3.25,
        };
        let mut identified = Identified {
            gallery: GalleryName { name: "staff".into(), id: "00".into() },
            metric: "cosine",
            threshold_score: None,
            threshold: None,
            probes: vec![probe],
        };
        assert_eq!(
            serde_json::to_value(&identified).unwrap(),
            json!({"gallery": {"name": "staff", "id": "00"}, "metric": "cosine", "threshold_score": null,
                "threshold": null, "probes": [{"row": 2, "compared": 2000, "candidates": [{"rank": 1,
                "subject": "ada", "score": 800, "value": 0.5,
                "templates": [{"block": "ff", "slot": 3, "score": 800, "value": 0.5}]}], "manifest_version": 4,
                "attestation": "unverified", "bytes_sent": 400, "bytes_received": 3_900, "elapsed_ms": 3.25}]})
        );
        assert!(
            text(&identified).contains("   1  ada        800  0.5000          1\n"),
            "{}",
            text(&identified)
        );
        identified.probes[0].candidates.clear();
        assert!(text(&identified).ends_with("no candidate\n"));
    }
}
