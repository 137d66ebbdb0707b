//! Progress bars: on a terminal, and never where a program reads the output.

use std::io::{IsTerminal as _, stderr};

use indicatif::{ProgressBar, ProgressStyle};

/// Whether progress is shown.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    is_shown: bool,
}

impl Progress {
    /// Shown if the standard error is a terminal and the output is for people.
    pub fn new(is_json: bool) -> Self {
        Self { is_shown: !is_json && stderr().is_terminal() }
    }

    /// Never shown.
    pub fn hidden() -> Self {
        Self { is_shown: false }
    }

    /// A bar for `length` steps of work called `name`. It vanishes when it is finished or dropped.
    pub fn bar(self, length: u64, name: &'static str) -> ProgressBar {
        if !self.is_shown {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("{msg:<12} [{bar:40}] {human_pos}/{human_len}  {eta} left")
            .expect("the template is well-formed")
            .progress_chars("=> ");
        let bar = ProgressBar::new(length).with_style(style).with_message(name);
        bar.with_finish(indicatif::ProgressFinish::AndClear)
    }
}
