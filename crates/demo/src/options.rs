//! The quickstart's options.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::Parser;

/// The Tyto quickstart: server, key, galleries, enrolment, verification, identification, offline check.
#[derive(Debug, Parser)]
#[command(name = "tyto-demo", version)]
pub(crate) struct Options {
    /// Your own embeddings instead of a synthetic population: `.npy` or CSV, one per row.
    #[arg(long, value_name = "FILE", requires = "labels")]
    pub(crate) embeddings: Option<PathBuf>,
    /// The subject of each row: CSV `row,subject`, or one subject a line.
    #[arg(long, value_name = "FILE", requires = "embeddings")]
    pub(crate) labels: Option<PathBuf>,
    /// How many subjects to enrol [default: 2000 synthetic ones, or all of the file].
    #[arg(long, value_name = "N")]
    pub(crate) subjects: Option<NonZeroU64>,
    /// Coordinates of a synthetic embedding.
    #[arg(long, value_name = "D", default_value = "128", conflicts_with = "embeddings")]
    pub(crate) dimension: NonZeroU64,
    /// Seed of the synthetic population.
    #[arg(long, default_value_t = 1, conflicts_with = "embeddings")]
    pub(crate) seed: u64,
    /// Where to keep everything, a new or empty folder [default: a temporary one].
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Keep the folder, and say how to go on with `tytod` and `tyto`.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Run `tyto evaluate` on the same server as well.
    #[arg(long)]
    pub(crate) evaluate: bool,
    /// Pairs for the evaluation: CSV `row_a,row_b,same[,fold]`.
    #[arg(long, value_name = "FILE", requires = "evaluate", requires = "embeddings")]
    pub(crate) pairs: Option<PathBuf>,
    /// Write the evaluation's plots to this folder.
    #[arg(long, value_name = "DIR", requires = "evaluate")]
    pub(crate) plots: Option<PathBuf>,
}
