//! One run of everything that needs no network.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::machine::Machine;
use crate::report::{REPORT_VERSION, Report};
use crate::{Error, engine, kernel, tenant};

/// What is measured, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// About how long the measurements take in all, set-up apart.
    pub budget: Duration,
    /// Bytes of the largest gallery.
    pub gallery_bytes: u64,
    /// Fewer dimensions, for tests: the figures mean little.
    pub is_quick: bool,
}

/// Least bytes of a gallery: some blocks at every dimension.
pub const MIN_GALLERY_BYTES: u64 = 32 << 20;
/// Most bytes of a gallery that nobody asked for.
const DEFAULT_GALLERY_BYTES: u64 = 1 << 30;
/// Of the memory that is available, the part that one gallery may take. As much again is needed beside it at times.
const MEMORY_SHARE: u64 = 4;

impl Options {
    /// The usual run: two minutes; 1 GiB, or a quarter of the available memory if that is less.
    pub fn for_machine(machine: &Machine) -> Self {
        let quarter = machine.available_bytes.map_or(DEFAULT_GALLERY_BYTES / 4, |bytes| bytes / MEMORY_SHARE);
        let gallery_bytes = quarter.clamp(MIN_GALLERY_BYTES, DEFAULT_GALLERY_BYTES);
        Self { budget: Duration::from_secs(100), gallery_bytes, is_quick: false }
    }

    /// A run of some seconds, for tests.
    #[must_use]
    pub fn quick(self) -> Self {
        Self { budget: Duration::from_secs(2), gallery_bytes: MIN_GALLERY_BYTES, is_quick: true }
    }

    /// Checks that the gallery fits.
    ///
    /// # Errors
    /// [`Error::Memory`], [`Error::TooSmall`].
    pub fn check(&self, machine: &Machine) -> Result<(), Error> {
        let wanted_bytes = self.gallery_bytes;
        if wanted_bytes < MIN_GALLERY_BYTES {
            return Err(Error::TooSmall { wanted_bytes, min_bytes: MIN_GALLERY_BYTES });
        }
        let needed_bytes = wanted_bytes.saturating_mul(3) / 2;
        match machine.available_bytes {
            Some(available_bytes) if needed_bytes > available_bytes => {
                Err(Error::Memory { wanted_bytes, needed_bytes, available_bytes })
            }
            _ => Ok(()),
        }
    }

    /// A part of the budget.
    pub fn share(&self, percent: u32) -> Duration {
        self.budget * percent / 100
    }
}

/// How a run is followed and stopped.
pub struct Control<'a> {
    /// Set by whoever wants it to stop.
    pub is_interrupted: &'a AtomicBool,
    /// Told what is measured next.
    pub progress: &'a dyn Fn(&str),
}

impl Control<'_> {
    /// Says what comes next.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn step(&self, what: &str) -> Result<(), Error> {
        if self.is_interrupted.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        (self.progress)(what);
        Ok(())
    }
}

/// Measures everything but [`Report::end_to_end`].
///
/// # Errors
/// As [`Options::check`]; [`Error::Interrupted`]; [`Error::WrongResult`].
pub fn run(options: &Options, machine: Machine, control: &Control<'_>) -> Result<Report, Error> {
    options.check(&machine)?;
    let (began, started) = (SystemTime::now(), Instant::now());
    control.step("transforms")?;
    let ntt = kernel::transforms(options.share(1))?;
    let matching = kernel::matching(options, control)?;
    let sizes = kernel::sizes(options, control)?;
    let threads = engine::threads(options, &machine, control)?;
    control.step("verification, without network")?;
    let verification = engine::verification(options.share(3))?;
    let tenant = tenant::costs(options, control)?;
    Ok(Report {
        version: REPORT_VERSION,
        started_unix_s: began.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        elapsed_s: started.elapsed().as_secs_f64(),
        is_quick: options.is_quick,
        gallery_bytes: options.gallery_bytes,
        machine,
        ntt,
        matching,
        sizes,
        threads,
        verification,
        tenant,
        end_to_end: None,
        end_to_end_skipped: None,
    })
}
