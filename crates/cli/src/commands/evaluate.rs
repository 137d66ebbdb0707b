//! `tyto evaluate`.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};

use crate::args::Global;
use crate::embeddings::{Embeddings, LabelledEmbeddings, Labels, synthetic};
use crate::evaluation::{cmc_svg, det_svg};
use crate::input::{EmbeddingsArgs, FirstColumnArg, read_pairs_file};
use crate::progress::Progress;
use crate::trial::{self, Outcome, Trial};
use crate::{Error, Exit, connection, output};

/// Seed of the synthetic population if none is given.
const DEFAULT_SEED: u64 = 1;
/// Every so many-th synthetic subject has one image and is not enrolled, so that there are non-mated searches.
const STRANGERS: u32 = 4;

/// Arguments of `evaluate`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("data").args(["embeddings", "synthetic"]).required(true))]
pub struct Args {
    /// Embeddings, one per row: `.npy` (floats, two axes) or CSV.
    #[arg(long, value_name = "FILE")]
    embeddings: Option<PathBuf>,
    /// What the first column of a CSV file is.
    #[arg(long, value_name = "WHAT", default_value = "detect")]
    first_column: FirstColumnArg,
    /// The subject of each row: CSV `row,subject`, or one subject a line.
    #[arg(long, value_name = "FILE", requires = "embeddings")]
    labels: Option<PathBuf>,
    /// Pairs to verify 1:1: CSV `row_a,row_b,same[,fold]`.
    #[arg(long, value_name = "FILE", requires = "embeddings")]
    pairs: Option<PathBuf>,
    /// A made-up population of so many subjects instead of a file.
    #[arg(long, value_name = "SUBJECTS")]
    synthetic: Option<NonZeroU64>,
    /// Images of each synthetic subject.
    #[arg(long, value_name = "N", default_value = "3", requires = "synthetic")]
    images: NonZeroU64,
    /// Coordinates of a synthetic embedding.
    #[arg(long, value_name = "D", default_value = "128", requires = "synthetic")]
    dimension: NonZeroU64,
    /// Seed of the synthetic population.
    #[arg(long, value_name = "SEED", default_value_t = DEFAULT_SEED, requires = "synthetic")]
    seed: u64,
    /// Coordinates per polynomial of the searched gallery [default: 16].
    #[arg(long, value_name = "K")]
    stride: Option<u32>,
    /// Probes in flight at the same time.
    #[arg(long, value_name = "N", default_value_t = trial::DEFAULT_PARALLEL)]
    parallel: NonZeroUsize,
    /// Search for at most so many probes, spread evenly.
    #[arg(long, value_name = "N")]
    limit_probes: Option<NonZeroUsize>,
    /// Verify at most so many pairs, spread evenly.
    #[arg(long, value_name = "N")]
    limit_pairs: Option<NonZeroUsize>,
    /// Write the report as JSON to a file, or to the standard output (-) instead of the table.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write DET and CMC plots as SVG to this folder.
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
}

/// Evaluates. Exit code 1 if any decrypted score was not the plaintext one.
///
/// # Errors
/// As [`trial::run`]; what is wrong with the files.
pub async fn run(args: &Args, global: &Global) -> Result<Exit, Error> {
    let trial = args.trial()?;
    let client = connection::connect_for_trial(global).await?;
    let to_stdout = args.json.as_deref() == Some(Path::new("-"));
    let outcome = trial::run(&client, trial, Progress::new(to_stdout)).await?;
    if let Some(folder) = &args.plots {
        write_plots(&outcome, folder)?;
    }
    match &args.json {
        Some(_) if to_stdout => output::print(&output::json(&outcome))?,
        Some(path) => {
            output::write_file(path, output::json(&outcome).as_bytes())?;
            output::print(&outcome.text())?;
        }
        None => output::print(&outcome.text())?,
    }
    Ok(if outcome.is_exact() { Exit::Success } else { Exit::No })
}

/// Writes `det.svg`, and `cmc.svg` if searches were made.
///
/// # Errors
/// [`Error::Write`].
pub fn write_plots(outcome: &Outcome, folder: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(|source| Error::Write { path: folder.to_owned(), source })?;
    output::write_file(&folder.join("det.svg"), det_svg(&outcome.report).as_bytes())?;
    match cmc_svg(&outcome.report) {
        Some(plot) => output::write_file(&folder.join("cmc.svg"), plot.as_bytes()),
        None => Ok(()),
    }
}

impl Args {
    fn trial(&self) -> Result<Trial, Error> {
        let (name, is_synthetic, data) = match (&self.embeddings, self.synthetic) {
            (Some(path), _) => {
                let file = EmbeddingsArgs { embeddings: path.clone(), first_column: self.first_column };
                let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
                (name, false, file.read_labelled(self.labels.as_deref())?)
            }
            (None, subjects) => {
                let subjects = subjects.map_or(0, NonZeroU64::get);
                let population = synthetic(subjects, self.images.get(), self.dimension.get(), self.seed)?;
                (format!("seed {}", self.seed), true, with_strangers(&population)?)
            }
        };
        let rows = data.embeddings().len();
        let pairs = self.pairs.as_deref().map(|path| read_pairs_file(path, rows)).transpose()?;
        Ok(Trial {
            name,
            stride: self.stride,
            parallel: self.parallel,
            limit_probes: self.limit_probes,
            limit_pairs: self.limit_pairs,
            ..Trial::new(data, is_synthetic, pairs)
        })
    }
}

/// The population with one image only of every fourth subject.
///
/// # Errors
/// None that the population did not have.
pub fn with_strangers(population: &LabelledEmbeddings) -> Result<LabelledEmbeddings, Error> {
    let (embeddings, labels) = (population.embeddings(), population.labels());
    let (mut values, mut names, mut seen) = (Vec::new(), Vec::new(), None);
    for (row, &subject) in embeddings.rows().zip(labels.subjects()) {
        let is_first = seen.replace(subject) != Some(subject);
        if is_first || subject % STRANGERS != STRANGERS - 1 {
            values.extend_from_slice(row);
            names.push(labels.name(subject));
        }
    }
    LabelledEmbeddings::new(Embeddings::new(embeddings.dimension(), values)?, Labels::new(names)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fourth_synthetic_subject_is_a_stranger() {
        let population = with_strangers(&synthetic(8, 3, 16, 1).unwrap()).unwrap();
        assert_eq!(population.embeddings().len(), 6 * 3 + 2);
        let images = |subject| population.labels().subjects().iter().filter(|&&s| s == subject).count();
        assert_eq!((0..8).map(images).collect::<Vec<_>>(), [3, 3, 3, 1, 3, 3, 3, 1]);
    }
}
