//! `tyto bench`: how fast Tyto is on this machine.

mod chart;
mod end_to_end;
mod page;
mod plots;
mod process;
mod tables;
mod text;

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tyto_measure::report::EndToEnd;
use tyto_measure::{Control, Machine, Options, Report};

use crate::{Error, Exit, output};
use process::Tytod;

/// Part of the time that goes to the measurements beside set-up, in percent.
const MEASURED_PERCENT: u32 = 65;

/// Arguments of `bench`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// About how long to measure in all.
    #[arg(long, value_name = "N", default_value_t = 120, value_parser = clap::value_parser!(u64).range(10..=3600))]
    seconds: u64,
    /// The largest gallery, as in 512M or 4G (powers of 1024) [default: 1G, or a quarter of the free memory].
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    gallery_bytes: Option<u64>,
    /// Some seconds and few dimensions, to see that it works: the figures mean little.
    #[arg(long, conflicts_with_all = ["seconds", "gallery_bytes"])]
    quick: bool,
    /// Write the figures as JSON to a file, or to the standard output (-) instead of the table.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page with plots to a file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// The server to measure end to end [default: the `tytod` beside this program, if there is one].
    #[arg(long, value_name = "PATH")]
    tytod: Option<PathBuf>,
}

/// Measures.
///
/// # Errors
/// [`Error::Measure`], [`Error::Tytod`], [`Error::Write`], [`Error::Interrupted`].
pub async fn run(args: &Args) -> Result<Exit, Error> {
    let to_stdout = args.json.as_deref() == Some(Path::new("-"));
    let json = args.json.as_deref().filter(|_| !to_stdout);
    // Two minutes are too long to find out then.
    json.into_iter().chain(args.html.as_deref()).try_for_each(check_writable)?;
    let machine = Machine::detect();
    let options = args.options(&machine);
    options.check(&machine)?;
    if let Some(warning) = text::build_warning(&machine.build) {
        eprintln!("{warning}");
    }
    let report = tokio::select! {
        report = measure(args, options, machine) => report?,
        stopped = stop_signal() => return Err(stopped),
    };
    if let Some(path) = json {
        output::write_file(path, output::json(&report).as_bytes())?;
    }
    if let Some(path) = &args.html {
        output::write_file(path, page::html(&report).as_bytes())?;
    }
    output::print(&if to_stdout { output::json(&report) } else { text::report(&report) })?;
    Ok(Exit::Success)
}

impl Args {
    fn options(&self, machine: &Machine) -> Options {
        let usual = Options::for_machine(machine);
        if self.quick {
            return usual.quick();
        }
        Options {
            budget: Duration::from_secs(self.seconds) * MEASURED_PERCENT / 100,
            gallery_bytes: self.gallery_bytes.unwrap_or(usual.gallery_bytes),
            ..usual
        }
    }
}

/// Waits until somebody wants this process to end. It must then end its server first.
async fn stop_signal() -> Error {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return Error::Task };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Error::Interrupted
}

/// Everything: first what needs the network, while nothing else takes memory, then the rest.
async fn measure(args: &Args, options: Options, machine: Machine) -> Result<Report, Error> {
    let started = Instant::now();
    let (end_to_end, end_to_end_skipped) = match Tytod::find(args.tytod.as_deref()) {
        Ok(path) => (Some(measure_served(&path, &options).await?), None),
        Err(reason) => {
            eprintln!("end to end: skipped, {reason}");
            (None, Some(reason))
        }
    };
    let local = Interruptible::default();
    let is_interrupted = Arc::clone(&local.0);
    let report = tokio::task::spawn_blocking(move || {
        let control =
            Control { is_interrupted: &is_interrupted, progress: &|what| eprintln!("measuring: {what}") };
        tyto_measure::run(&options, machine, &control)
    });
    let report = report.await.map_err(|_| Error::Task)??;
    Ok(Report { elapsed_s: started.elapsed().as_secs_f64(), end_to_end, end_to_end_skipped, ..report })
}

async fn measure_served(path: &Path, options: &Options) -> Result<EndToEnd, Error> {
    let server = Tytod::start(path).await?;
    eprintln!("measuring: end to end, with {}", path.display());
    let measured = end_to_end::measure(&server.endpoint, options).await;
    server.stop().await;
    measured
}

/// Stops the measurement that holds its flag as soon as nobody waits for it any more.
#[derive(Default)]
struct Interruptible(Arc<AtomicBool>);

impl Drop for Interruptible {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whether a result can be written to a file later. Leaves no file behind.
fn check_writable(path: &Path) -> Result<(), Error> {
    let failed = |source| Error::Write { path: path.to_owned(), source };
    match OpenOptions::new().append(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            tempfile::tempfile_in(folder.unwrap_or(Path::new("."))).map(drop).map_err(failed)
        }
        opened => opened.map(drop).map_err(failed),
    }
}

/// `512M` and the like: powers of 1024.
pub(super) fn parse_bytes(text: &str) -> Result<u64, String> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let unit: u64 = match unit {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return Err("expected a number of bytes, as in 1073741824, 512M or 4G".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "expected a number of bytes".to_owned())?;
    number.checked_mul(unit).ok_or_else(|| "too many bytes".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_unit() {
        assert_eq!(parse_bytes("4096"), Ok(4096));
        assert_eq!(parse_bytes("512M"), Ok(512 << 20));
        assert_eq!(parse_bytes("4G"), Ok(4 << 30));
        for wrong in ["", "M", "1.5G", "-1", "4 G", "4GB", "99999999999G"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_is_seen_before_and_none_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let new = folder.path().join("new.json");
        check_writable(&new).unwrap();
        assert!(!new.exists());
        std::fs::write(&new, "kept").unwrap();
        check_writable(&new).unwrap();
        assert_eq!(std::fs::read(&new).unwrap(), b"kept");
        let nowhere = folder.path().join("absent").join("a.json");
        assert!(matches!(check_writable(&nowhere), Err(Error::Write { path, .. }) if path == nowhere));
        assert!(check_writable(folder.path()).is_err());
    }
}
