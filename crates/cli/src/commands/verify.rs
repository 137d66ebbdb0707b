//! `tyto verify`: 1:1.

use std::path::PathBuf;

use clap::ValueEnum;
use serde::Serialize;
use tyto_client::tenant::SubjectId;
use tyto_client::{Client, Decision, ProbeBy, TemplateScore, Verification, VerifyOptions};

use super::{AttestationState, GalleryName, Score, metric_name, save_attestation, save_replay};
use crate::input::{EmbeddingsArgs, ThresholdArgs};
use crate::output::{OutputArgs, Subject, Table, bytes, milliseconds};
use crate::{Error, Exit};

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("limit").args(["threshold", "threshold_score"]).required(true))]
pub struct Args {
    /// The gallery's name or id.
    gallery: String,
    /// The claimed subject.
    #[arg(long, value_name = "ID")]
    subject: String,
    /// The embeddings.
    #[command(flatten)]
    embeddings: EmbeddingsArgs,
    /// The probe's row in the file.
    #[arg(long, value_name = "N", default_value_t = 0)]
    row: usize,
    /// The threshold.
    #[command(flatten)]
    threshold: ThresholdArgs,
    /// How the probe goes to the server.
    #[arg(long, value_name = "WAY", default_value = "auto")]
    probe_by: ProbeByArg,
    /// Save the attestation with request and result, for `tyto attest verify`.
    #[arg(long, value_name = "FILE")]
    attestation_out: Option<PathBuf>,
    /// Save what `tyto replay` needs to compute the answer once more.
    #[arg(long, value_name = "FILE")]
    pub replay_out: Option<PathBuf>,
    /// Output.
    #[command(flatten)]
    output: OutputArgs,
}

/// [`ProbeBy`] as an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProbeByArg {
    /// Whatever fits.
    Auto,
    /// By a ticket.
    Ticket,
    /// As a whole query.
    Query,
}

impl From<ProbeByArg> for ProbeBy {
    fn from(argument: ProbeByArg) -> Self {
        match argument {
            ProbeByArg::Auto => Self::Auto,
            ProbeByArg::Ticket => Self::Ticket,
            ProbeByArg::Query => Self::WholeQuery,
        }
    }
}

#[derive(Debug, Serialize)]
struct Verified {
    gallery: GalleryName,
    #[serde(flatten)]
    subject: Subject,
    decision: &'static str,
    score: i32,
    value: f64,
    metric: &'static str,
    threshold_score: i32,
    threshold: f64,
    templates: Vec<Score>,
    manifest_version: u64,
    attestation: AttestationState,
    bytes_sent: u64,
    bytes_received: u64,
    elapsed_ms: f64,
}

/// Verifies.
///
/// # Errors
/// [`Error::InFile`] for a probe that is none, [`Error::Client`].
pub async fn run(args: &Args, client: &Client) -> Result<Exit, Error> {
    let subject = SubjectId::new(&args.subject).map_err(tyto_client::Error::from)?;
    let handle = client.open_gallery(&args.gallery).await?;
    let quantiser = handle.gallery().quantiser();
    let (rows, _) = args.embeddings.read_for(quantiser)?;
    let probe = args.embeddings.template(&rows, args.row, quantiser)?;
    let threshold_score = args.threshold.score(quantiser).expect("the group requires a threshold");

    let options = VerifyOptions { probe_by: args.probe_by.into() };
    let verification = handle.verify_with(&subject, &probe, options).await?;
    if let Some(path) = &args.attestation_out {
        save_attestation(verification.attestation.as_ref(), path)?;
    }
    if let Some(path) = &args.replay_out {
        save_replay(verification.attestation.as_ref(), path)?;
    }
    let decision = verification.decision(threshold_score);
    let Verification { best: TemplateScore { score, value, .. }, .. } = verification;
    let verified = Verified {
        gallery: GalleryName::from(&handle),
        subject: Subject::from(&subject),
        decision: match decision {
            Decision::Match => "match",
            Decision::NonMatch => "non-match",
        },
        score,
        value,
        metric: metric_name(quantiser.metric()),
        threshold_score,
        threshold: quantiser.value(threshold_score),
        templates: verification.templates.iter().map(Score::from).collect(),
        manifest_version: verification.manifest_version,
        attestation: AttestationState::of(verification.attestation.as_ref()),
        bytes_sent: verification.bytes_sent,
        bytes_received: verification.bytes_received,
        elapsed_ms: milliseconds(verification.timings.total),
    };
    args.output.print(&verified, text)?;
    Ok(if decision == Decision::Match { Exit::Success } else { Exit::No })
}

fn text(verified: &Verified) -> String {
    let Verified { gallery, subject, decision, score, value, metric, .. } = verified;
    let mut table = Table::new(["block", "slot", "score", metric]);
    for template in &verified.templates {
        let Score { block, slot, score, value } = template;
        table.row([block.clone(), slot.to_string(), score.to_string(), format!("{value:.4}")]);
    }
    format!(
        "gallery      {gallery}\nsubject      {subject}\n\n{}\nbest         {score} ({metric} {value:.4})\n\
         threshold    {} ({:.4})\ndecision     {decision}\nattestation  {}\n\
         cost         {} sent, {} received, {:.1} ms\n",
        table.text(),
        verified.threshold_score,
        verified.threshold,
        verified.attestation,
        bytes(verified.bytes_sent),
        bytes(verified.bytes_received),
        verified.elapsed_ms,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_has_the_documented_shape() {
        let verified = Verified {
            gallery: GalleryName { name: "staff".into(), id: "00".into() },
            subject: Subject::from(&SubjectId::new("ada").unwrap()),
            decision: "match",
            score: 800,
            value: 0.5,
            metric: "cosine",
            threshold_score: 337,
            threshold: 0.25,
            templates: vec![Score { block: "ff".into(), slot: 3, score: 800, value: 0.5 }],
            manifest_version: 4,
            attestation: AttestationState::Verified,
            bytes_sent: 21_000,
            bytes_received: 900,
            elapsed_ms: 3.25,
        };
        assert_eq!(
            serde_json::to_value(&verified).unwrap(),
            json!({"gallery": {"name": "staff", "id": "00"}, "subject": "ada", "decision": "match", "score": 800,
                "value": 0.5, "metric": "cosine", "threshold_score": 337, "threshold": 0.25,
                "templates": [{"block": "ff", "slot": 3, "score": 800, "value": 0.5}], "manifest_version": 4,
                "attestation": "verified", "bytes_sent": 21_000, "bytes_received": 900, "elapsed_ms": 3.25})
        );
        let text = text(&verified);
        assert!(
            text.contains("best         800 (cosine 0.5000)") && text.contains("decision     match"),
            "{text}"
        );
    }
}
