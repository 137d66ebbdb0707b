//! `tyto gallery create|list|stat|remove|subjects|delete`.

use clap::ValueEnum;
use serde::Serialize;
use tyto_client::scheme::{Layout, ParameterSet};
use tyto_client::tenant::{Metric, SubjectId};
use tyto_client::{Client, GalleryStat, GallerySummary};

use super::{GalleryName, metric_name};
use crate::output::{OutputArgs, Subject, Table, bytes, count};
use crate::{Error, Exit, input};

/// Arguments of `gallery create`.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// The gallery's name; the server never sees it.
    name: String,
    /// Coordinates of an embedding.
    #[arg(long, value_name = "D")]
    dimension: u32,
    /// What the gallery is best at.
    #[arg(long, value_name = "LAYOUT", default_value = "identification")]
    layout: LayoutArg,
    /// Coordinates per polynomial, a power of two, instead of a layout: 1 is identification, D is verification.
    #[arg(long, value_name = "K", conflicts_with = "layout")]
    stride: Option<u32>,
    /// What scores mean [default: cosine].
    #[arg(long, value_name = "METRIC", requires_if("inner-product", "max_norm"))]
    metric: Option<MetricArg>,
    /// The largest norm that a vector may have, for inner products.
    #[arg(long, value_name = "M", value_parser = input::finite, requires = "metric")]
    max_norm: Option<f64>,
    /// Output.
    #[command(flatten)]
    output: OutputArgs,
}

/// Layouts by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LayoutArg {
    /// Stride 1: 2048 templates in a block, searched at memory bandwidth.
    Identification,
    /// Stride D: probes of 10.5 KB.
    Verification,
}

/// Metrics by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MetricArg {
    /// Cosine similarity.
    Cosine,
    /// Inner product of vectors up to a norm.
    InnerProduct,
}

/// Arguments of `gallery list`.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Output.
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `gallery stat`.
#[derive(Debug, clap::Args)]
pub struct StatArgs {
    /// The gallery's name or id.
    gallery: String,
    /// Output.
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `gallery subjects`.
#[derive(Debug, clap::Args)]
pub struct SubjectsArgs {
    /// The gallery's name or id.
    gallery: String,
    /// Output.
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `gallery remove`.
#[derive(Debug, clap::Args)]
pub struct RemoveArgs {
    /// The gallery's name or id.
    gallery: String,
    /// Whose templates to remove.
    #[arg(long, value_name = "ID")]
    subject: String,
    /// Output.
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `gallery delete`.
#[derive(Debug, clap::Args)]
pub struct DeleteArgs {
    /// The gallery's name or id.
    gallery: String,
    /// Really.
    #[arg(long)]
    yes: bool,
    /// Output.
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Serialize)]
struct Created {
    gallery: GalleryName,
    key: String,
    parameter_set: String,
    dimension: usize,
    stride: usize,
    metric: &'static str,
    max_norm: Option<f64>,
    templates_per_block: usize,
    reply_bits: u8,
    failure_log2: f64,
}

/// Makes a gallery.
///
/// # Errors
/// [`Error::Layout`], [`Error::Client`].
pub async fn create(args: &CreateArgs, client: &Client) -> Result<Exit, Error> {
    let set = ParameterSet::Exact41;
    let layout = match (args.stride, args.layout) {
        (Some(stride), _) => Layout::new(set, args.dimension, stride),
        (None, LayoutArg::Identification) => Layout::identification(set, args.dimension),
        (None, LayoutArg::Verification) => Layout::verification(set, args.dimension),
    }?;
    let metric = match (args.metric, args.max_norm) {
        (Some(MetricArg::InnerProduct), Some(max_norm)) => Metric::InnerProduct { max_norm },
        (_, None) => Metric::Cosine,
        (_, Some(_)) => return Err(Error::MaxNormOfCosine),
    };
    let handle = client.create_gallery(&args.name, layout, metric).await?;
    let created = Created {
        gallery: GalleryName::from(&handle),
        key: handle.gallery().parameters().key.to_string(),
        parameter_set: set.to_string(),
        dimension: layout.dimension(),
        stride: layout.stride(),
        metric: metric_name(metric),
        max_norm: args.max_norm,
        templates_per_block: layout.slots(),
        reply_bits: layout.reply_bits(),
        failure_log2: layout.failure_log2(),
    };
    args.output.print(&created, |created| {
        let Created { gallery, dimension, stride, metric, .. } = created;
        format!("created {gallery}: {dimension}-d, stride {stride}, {metric}\n")
    })?;
    Ok(Exit::Success)
}

#[derive(Debug, Serialize)]
struct Listed {
    galleries: Vec<ListedGallery>,
}

#[derive(Debug, Serialize)]
struct ListedGallery {
    id: String,
    /// None if the gallery belongs to a key that is not in the keyring.
    name: Option<String>,
    metric: Option<&'static str>,
    dimension: usize,
    stride: usize,
    templates: u64,
    blocks: u64,
    key: String,
    created_unix_ms: u64,
}

impl From<GallerySummary> for ListedGallery {
    fn from(summary: GallerySummary) -> Self {
        let layout = summary.parameters.layout;
        Self {
            id: summary.id.to_string(),
            name: summary.name,
            metric: summary.metric.map(metric_name),
            dimension: layout.dimension(),
            stride: layout.stride(),
            templates: summary.templates,
            blocks: summary.blocks,
            key: summary.parameters.key.to_string(),
            created_unix_ms: summary.created_unix_ms,
        }
    }
}

/// Lists galleries.
///
/// # Errors
/// [`Error::Client`].
pub async fn list(args: &ListArgs, client: &Client) -> Result<Exit, Error> {
    let galleries = client.galleries().await?.into_iter().map(ListedGallery::from).collect();
    args.output.print(&Listed { galleries }, |listed| {
        let mut table = Table::new(["name", "id", "dimension", "stride", "metric", "templates"]);
        for gallery in &listed.galleries {
            table.row([
                gallery
                    .name
                    .as_ref()
                    .map_or("(another key's)".into(), |name| name.escape_debug().to_string()),
                gallery.id.clone(),
                gallery.dimension.to_string(),
                gallery.stride.to_string(),
                gallery.metric.unwrap_or("-").to_owned(),
                gallery.templates.to_string(),
            ]);
        }
        table.text()
    })?;
    Ok(Exit::Success)
}

#[derive(Debug, Serialize)]
struct Counted {
    gallery: GalleryName,
    dimension: usize,
    stride: usize,
    metric: &'static str,
    max_norm: Option<f64>,
    manifest_version: u64,
    subjects: usize,
    templates: u64,
    blocks: u64,
    slots_used: u64,
    slots_total: u64,
    resident_bytes: u64,
    created_unix_ms: u64,
}

impl Counted {
    fn new(gallery: GalleryName, metric: Metric, subjects: usize, stat: &GalleryStat) -> Self {
        let layout = stat.parameters.layout;
        Self {
            gallery,
            dimension: layout.dimension(),
            stride: layout.stride(),
            metric: metric_name(metric),
            max_norm: match metric {
                Metric::Cosine => None,
                Metric::InnerProduct { max_norm } => Some(max_norm),
            },
            manifest_version: stat.manifest_version,
            subjects,
            templates: stat.templates,
            blocks: stat.blocks,
            slots_used: stat.slots_used,
            slots_total: stat.slots_total,
            resident_bytes: stat.resident_bytes,
            created_unix_ms: stat.created_unix_ms,
        }
    }

    fn text(&self) -> String {
        let max_norm = self.max_norm.map(|max_norm| format!(" up to norm {max_norm}")).unwrap_or_default();
        format!(
            "gallery    {}\nlayout     {}-d, stride {}, {}{max_norm}\nsubjects   {}\ntemplates  {}\n\
             blocks     {}, {} of {} slots written\nmanifest   version {}\nresident   {} (the server's word)\n",
            self.gallery,
            self.dimension,
            self.stride,
            self.metric,
            self.subjects,
            self.templates,
            self.blocks,
            self.slots_used,
            self.slots_total,
            self.manifest_version,
            bytes(self.resident_bytes),
        )
    }
}

/// Counts what is in a gallery.
///
/// # Errors
/// [`Error::Client`].
pub async fn stat(args: &StatArgs, client: &Client) -> Result<Exit, Error> {
    let handle = client.open_gallery(&args.gallery).await?;
    let subjects = handle.subjects().await?.len();
    let metric = handle.gallery().quantiser().metric();
    let counted = Counted::new(GalleryName::from(&handle), metric, subjects, &handle.stat().await?);
    args.output.print(&counted, Counted::text)?;
    Ok(Exit::Success)
}

#[derive(Debug, Serialize)]
struct Subjects {
    gallery: GalleryName,
    subjects: Vec<SubjectCount>,
}

#[derive(Debug, Serialize)]
struct SubjectCount {
    #[serde(flatten)]
    subject: Subject,
    templates: u32,
}

/// Lists the subjects of a gallery.
///
/// # Errors
/// [`Error::Client`].
pub async fn subjects(args: &SubjectsArgs, client: &Client) -> Result<Exit, Error> {
    let handle = client.open_gallery(&args.gallery).await?;
    let subjects = handle.subjects().await?;
    let counted = |entry: &tyto_client::SubjectEntry| SubjectCount {
        subject: Subject::from(&*entry.subject),
        templates: entry.templates,
    };
    let subjects = subjects.iter().map(counted).collect();
    args.output.print(&Subjects { gallery: GalleryName::from(&handle), subjects }, |listed| {
        let mut table = Table::new(["subject", "templates"]);
        for entry in &listed.subjects {
            table.row([entry.subject.to_string(), entry.templates.to_string()]);
        }
        table.text()
    })?;
    Ok(Exit::Success)
}

#[derive(Debug, Serialize)]
struct Removal {
    gallery: GalleryName,
    #[serde(flatten)]
    subject: Subject,
    templates_removed: u64,
}

/// Removes a subject.
///
/// # Errors
/// [`Error::Client`], also for a subject that is not enrolled.
pub async fn remove(args: &RemoveArgs, client: &Client) -> Result<Exit, Error> {
    let subject = SubjectId::new(&args.subject).map_err(tyto_client::Error::from)?;
    let handle = client.open_gallery(&args.gallery).await?;
    let templates_removed = handle.remove(&subject).await?;
    if templates_removed == 0 {
        return Err(tyto_client::Error::UnknownSubject.into());
    }
    let gallery = GalleryName::from(&handle);
    let removed = Removal { gallery, subject: Subject::from(&subject), templates_removed };
    args.output.print(&removed, |removed| {
        let Removal { gallery, subject, templates_removed } = removed;
        format!("removed {} of {subject} from {gallery}\n", count(*templates_removed, "template"))
    })?;
    Ok(Exit::Success)
}

#[derive(Debug, Serialize)]
struct Deleted {
    deleted: String,
}

/// Deletes a gallery.
///
/// # Errors
/// [`Error::NotConfirmed`], [`Error::Client`].
pub async fn delete(args: &DeleteArgs, client: &Client) -> Result<Exit, Error> {
    if !args.yes {
        return Err(Error::NotConfirmed);
    }
    client.delete_gallery(&args.gallery).await?;
    args.output.print(&Deleted { deleted: args.gallery.clone() }, |deleted| {
        format!("deleted {}\n", deleted.deleted.escape_debug())
    })?;
    Ok(Exit::Success)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_has_the_documented_shapes() {
        let gallery = GalleryName { name: "staff".into(), id: "00".into() };
        let counted = Counted {
            gallery: gallery.clone(),
            dimension: 128,
            stride: 1,
            metric: "inner-product",
            max_norm: Some(2.5),
            manifest_version: 3,
            subjects: 2,
            templates: 4,
            blocks: 1,
            slots_used: 5,
            slots_total: 2048,
            resident_bytes: 1_343_488,
            created_unix_ms: 9,
        };
        assert_eq!(
            serde_json::to_value(&counted).unwrap(),
            json!({"gallery": {"name": "staff", "id": "00"}, "dimension": 128, "stride": 1,
                "metric": "inner-product", "max_norm": 2.5, "manifest_version": 3, "subjects": 2, "templates": 4,
                "blocks": 1, "slots_used": 5, "slots_total": 2048, "resident_bytes": 1_343_488,
                "created_unix_ms": 9})
        );
        let text = counted.text();
        assert!(text.contains("5 of 2048 slots") && text.contains("inner-product up to norm 2.5"), "{text}");
        let subject = Subject::from(&SubjectId::new("ada").unwrap());
        let removed = Removal { gallery: gallery.clone(), subject: subject.clone(), templates_removed: 2 };
        assert_eq!(
            serde_json::to_value(removed).unwrap(),
            json!({"gallery": {"name": "staff", "id": "00"}, "subject": "ada", "templates_removed": 2})
        );
        let subjects = Subjects { gallery, subjects: vec![SubjectCount { subject, templates: 2 }] };
        assert_eq!(
            serde_json::to_value(subjects).unwrap()["subjects"],
            json!([{"subject": "ada", "templates": 2}])
        );
    }
}
