//! Who is enrolled, and with which images.

use std::path::Path;

use anyhow::Context as _;
use tyto_cli::commands::evaluate::with_strangers;
use tyto_cli::embeddings::{LabelledEmbeddings, synthetic};
use tyto_cli::evaluation::{Distribution, inner_product};
use tyto_cli::input::{BadRow, EmbeddingsArgs, FirstColumnArg, read_pairs_file};
use tyto_cli::trial::Trial;
use tyto_client::tenant::{Metric, Quantiser, SubjectId, Template};

use crate::options::Options;
use crate::show::{fact, heading, note};

const DEFAULT_SUBJECTS: u64 = 2000;
/// One image is enrolled, the other is the probe.
const IMAGES: u64 = 2;
/// The false match rate, in the clear, that the threshold is chosen for.
const FMR: f64 = 1e-3;
/// Pairs of different people that the threshold is chosen on, at most.
const THRESHOLD_PAIRS: usize = 100_000;

/// A subject with an enrolled image.
pub(crate) struct Person {
    pub(crate) id: SubjectId,
    /// Row of the enrolled image.
    pub(crate) reference: usize,
    /// Row of another image, if there is one.
    pub(crate) probe: Option<usize>,
}

/// Embeddings at norm 1, quantised, and who is who.
pub(crate) struct Population {
    name: Option<String>,
    pub(crate) data: LabelledEmbeddings,
    /// Every row, quantised.
    pub(crate) templates: Vec<Template>,
    pub(crate) people: Vec<Person>,
    /// The least cosine that matches.
    pub(crate) threshold: f64,
}

impl Population {
    pub(crate) fn new(options: &Options) -> anyhow::Result<Self> {
        let name = options.embeddings.as_ref().map(|path| path.display().to_string());
        let data = load(options)?.normalised()?;
        let quantiser = Quantiser::new(Metric::Cosine, data.embeddings().dimension())?;
        let quantise = |(row, values)| {
            let bad = |reason| tyto_cli::Error::BadRows { rows: vec![BadRow { row, reason }] };
            quantiser.quantise(values).map_err(bad)
        };
        let templates = data.embeddings().rows().enumerate().map(quantise).collect::<Result<Vec<_>, _>>()?;
        let people = people(&data, options.subjects.map_or(usize::MAX, |limit| limit.get() as usize))?;
        let threshold = threshold(&data, &people)?;
        Ok(Self { name, data, templates, people, threshold })
    }

    /// Whether the embeddings came from a file.
    pub(crate) fn is_real(&self) -> bool {
        self.name.is_some()
    }

    /// The people who have a probe.
    pub(crate) fn probes(&self) -> impl Iterator<Item = (&Person, &Template)> {
        self.people.iter().filter_map(|person| Some((person, &self.templates[person.probe?])))
    }

    pub(crate) fn describe(&self) {
        heading("population");
        let (people, dimension) = (self.people.len(), self.data.embeddings().dimension());
        match &self.name {
            Some(name) => fact("embeddings", name),
            None => fact("embeddings", "SYNTHETIC: random directions with noise, no biometric data"),
        }
        fact(
            "subjects",
            &format!("{people} to enrol, {dimension}-d, {} with a second image", self.probes().count()),
        );
        fact("threshold", &format!("cosine {:.3} (false match rate 0.1 % in the clear)", self.threshold));
        note("Each vector is scaled to norm 31 and rounded; scores are inner products of these integers.");
    }

    /// What `tyto evaluate` runs on these embeddings.
    pub(crate) fn trial(&self, options: &Options) -> anyhow::Result<Trial> {
        let data = if self.is_real() { load(options)? } else { with_strangers(&self.data)? };
        let rows = data.embeddings().len();
        let pairs = options.pairs.as_deref().map(|path| read_pairs_file(path, rows)).transpose()?;
        let seed = format!("seed {}", options.seed);
        let name = options.embeddings.as_deref().and_then(Path::file_name);
        let name = name.map_or(seed, |name| name.to_string_lossy().into_owned());
        Ok(Trial { name, ..Trial::new(data, !self.is_real(), pairs) })
    }
}

fn load(options: &Options) -> Result<LabelledEmbeddings, tyto_cli::Error> {
    if let Some(path) = &options.embeddings {
        let file = EmbeddingsArgs { embeddings: path.clone(), first_column: FirstColumnArg::Detect };
        return file.read_labelled(options.labels.as_deref());
    }
    let subjects = options.subjects.map_or(DEFAULT_SUBJECTS, u64::from);
    synthetic(subjects, IMAGES, options.dimension.get(), options.seed)
}

/// The first two images of each subject, up to a number of subjects.
fn people(data: &LabelledEmbeddings, limit: usize) -> anyhow::Result<Vec<Person>> {
    let labels = data.labels();
    let mut people: Vec<Person> = Vec::new();
    for (row, &subject) in labels.subjects().iter().enumerate() {
        // Subjects are numbered by first appearance, so a new one is always the next.
        if let Some(person) = people.get_mut(subject as usize) {
            person.probe = person.probe.or(Some(row));
        } else if people.len() < limit {
            let id = SubjectId::new(labels.name(subject)).with_context(|| format!("row {row}"))?;
            people.push(Person { id, reference: row, probe: None });
        }
    }
    anyhow::ensure!(people.len() > 1, "at least two subjects are needed");
    anyhow::ensure!(people.iter().any(|person| person.probe.is_some()), "no subject has a second image");
    Ok(people)
}

/// The cosine at which one of a thousand comparisons of different people matches, in the clear.
fn threshold(data: &LabelledEmbeddings, people: &[Person]) -> anyhow::Result<f64> {
    let rows = data.embeddings();
    let cosine = |a: usize, b: usize| f64::from(inner_product(rows.row(a), rows.row(b)));
    let probes: Vec<(usize, usize)> =
        people.iter().enumerate().filter_map(|(index, person)| Some((index, person.probe?))).collect();
    let mated: Vec<f64> =
        probes.iter().map(|&(index, probe)| cosine(people[index].reference, probe)).collect();
    // Every probe with the references of those who come after it, one step further in each round.
    let others = (1..people.len()).flat_map(|step| {
        probes.iter().map(move |&(index, probe)| (people[(index + step) % people.len()].reference, probe))
    });
    let non_mated: Vec<f64> = others.take(THRESHOLD_PAIRS).map(|(a, b)| cosine(a, b)).collect();
    let distribution = Distribution::from_scores(&mated, &non_mated)?;
    Ok(distribution.fnmr_at_fmr(FMR).threshold.unwrap_or(1.0))
}
