//! `tyto gallery enrol`.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;
use tyto_client::tenant::{Quantiser, SubjectId, Template};
use tyto_client::{Client, EnrolReport};

use super::GalleryName;
use crate::embeddings::{Labels, RawRows};
use crate::input::{self, BadRow, EmbeddingsArgs, RowSelection};
use crate::output::{OutputArgs, bytes, count, milliseconds};
use crate::progress::Progress;
use crate::{Error, Exit};

/// Arguments of `gallery enrol`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The gallery's name or id.
    gallery: String,
    /// The embeddings.
    #[command(flatten)]
    embeddings: EmbeddingsArgs,
    /// The subject of each row: CSV `row,subject`, or one subject a line.
    #[arg(long, value_name = "FILE", conflicts_with = "subject")]
    labels: Option<PathBuf>,
    /// The subject of all rows.
    #[arg(long, value_name = "ID")]
    subject: Option<String>,
    /// The rows to enrol, as in 0-9,15 [default: all].
    #[arg(long, value_name = "ROWS")]
    rows: Option<RowSelection>,
    /// Enrol the good rows and list the bad ones, instead of refusing all for the sake of one.
    #[arg(long)]
    skip_bad: bool,
    /// Output.
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Serialize)]
struct Report {
    gallery: GalleryName,
    enrolled: u64,
    skipped: Vec<BadRow>,
    blocks_provisioned: u64,
    requests: u64,
    conflicts: u64,
    bytes_sent: u64,
    journalled: bool,
    elapsed_ms: f64,
}

/// Enrols. Every row is judged before the first is sent.
///
/// # Errors
/// [`Error::BadRows`] lists all rows that cannot be templates; [`Error::Client`].
pub async fn run(args: &Args, client: &Client) -> Result<Exit, Error> {
    let handle = client.open_gallery(&args.gallery).await?;
    let quantiser = handle.gallery().quantiser();
    let (good, skipped) = prepare(args, quantiser)?;
    let bar = Progress::new(args.output.json).bar(good.len() as u64, "enrolling");
    let report = if good.is_empty() {
        EnrolReport::default()
    } else {
        handle.enrol(good, &|done| bar.set_position(done)).await?
    };
    bar.finish_and_clear();
    let enrolled = Report {
        gallery: GalleryName::from(&handle),
        enrolled: report.enrolled,
        skipped,
        blocks_provisioned: report.blocks_provisioned,
        requests: report.requests,
        conflicts: report.conflicts,
        bytes_sent: report.bytes_sent,
        journalled: report.journalled,
        elapsed_ms: milliseconds(report.elapsed),
    };
    args.output.print(&enrolled, text)?;
    Ok(Exit::Success)
}

/// A template and whose it is.
type Item = (SubjectId, Template);

/// The templates of the rows that were named, and the rows that cannot be templates.
fn prepare(args: &Args, quantiser: &Quantiser) -> Result<(Vec<Item>, Vec<BadRow>), Error> {
    let (rows, own_labels) = args.embeddings.read_for(quantiser)?;
    let labels = match &args.labels {
        Some(path) => Some(input::read_label_file(path)?),
        None => own_labels.filter(|_| args.subject.is_none()),
    };
    let subjects = match (&args.subject, &labels) {
        (Some(subject), _) => Subjects::One(SubjectId::new(subject).map_err(tyto_client::Error::from)?),
        (None, Some(labels)) if labels.len() == rows.len() => Subjects::Each(labels),
        (None, Some(labels)) => {
            return Err(Error::LabelCount { labels: labels.len(), rows: rows.len() });
        }
        (None, None) => return Err(Error::NoLabels),
    };
    let selected = match &args.rows {
        Some(selection) => selection.rows(rows.len())?,
        None => (0..rows.len()).collect(),
    };
    let (good, bad) = judge(&rows, &selected, &subjects, quantiser)?;
    if bad.is_empty() || args.skip_bad {
        return Ok((good, bad));
    }
    Err(Error::in_file(&args.embeddings.embeddings)(Error::BadRows { rows: bad }))
}

enum Subjects<'a> {
    One(SubjectId),
    Each(&'a Labels),
}

impl Subjects<'_> {
    fn of(&self, row: usize) -> Result<SubjectId, tyto_client::tenant::Error> {
        match self {
            Self::One(subject) => Ok(subject.clone()),
            Self::Each(labels) => SubjectId::new(labels.name(labels.subjects()[row])),
        }
    }
}

fn judge(
    rows: &RawRows,
    selected: &[usize],
    subjects: &Subjects<'_>,
    quantiser: &Quantiser,
) -> Result<(Vec<Item>, Vec<BadRow>), Error> {
    let (mut good, mut bad) = (Vec::with_capacity(selected.len()), Vec::new());
    for &row in selected {
        let values = rows.row(row)?;
        match quantiser.quantise(values).and_then(|template| Ok((subjects.of(row)?, template))) {
            Ok(item) => good.push(item),
            Err(reason) => bad.push(BadRow { row, reason }),
        }
    }
    Ok((good, bad))
}

fn text(enrolled: &Report) -> String {
    let Report { gallery, requests, blocks_provisioned, bytes_sent, elapsed_ms, .. } = enrolled;
    let mut text = format!(
        "enrolled {} in {gallery}\n{}, {} provisioned, {} sent, {:.2} s\n",
        count(enrolled.enrolled, "template"),
        count(*requests, "request"),
        count(*blocks_provisioned, "block"),
        bytes(*bytes_sent),
        elapsed_ms / 1e3,
    );
    if enrolled.enrolled > 0 && !enrolled.journalled {
        text += "no journal: the next run starts new blocks\n";
    }
    for BadRow { row, reason } in &enrolled.skipped {
        let _ = writeln!(text, "skipped row {row}: {reason}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_has_the_documented_shape() {
        let enrolled = Report {
            gallery: GalleryName { name: "staff".into(), id: "00".into() },
            enrolled: 2,
            skipped: vec![BadRow { row: 7, reason: tyto_client::tenant::Error::Zero }],
            blocks_provisioned: 1,
            requests: 1,
            conflicts: 0,
            bytes_sent: 11_000,
            journalled: true,
            elapsed_ms: 12.5,
        };
        assert_eq!(
            serde_json::to_value(&enrolled).unwrap(),
            json!({"gallery": {"name": "staff", "id": "00"}, "enrolled": 2,
                "skipped": [{"row": 7, "reason": "the vector is zero"}], "blocks_provisioned": 1, "requests": 1,
                "conflicts": 0, "bytes_sent": 11_000, "journalled": true, "elapsed_ms": 12.5})
        );
        assert!(text(&enrolled).ends_with("skipped row 7: the vector is zero\n"));
    }
}
