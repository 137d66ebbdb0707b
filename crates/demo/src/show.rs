//! Plain output.

use std::time::Duration;

/// Width of the first column.
const NAME_WIDTH: usize = 19;

/// Begins a part.
pub(crate) fn heading(text: &str) {
    println!("\n{text}\n{}", "-".repeat(text.len()));
}

/// A named fact.
pub(crate) fn fact(name: &str, value: &str) {
    println!("  {name:<NAME_WIDTH$}{value}");
}

/// A sentence.
pub(crate) fn note(text: &str) {
    println!("  {text}");
}

/// Milliseconds.
pub(crate) fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

/// The middle of some durations.
pub(crate) fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    durations.get(durations.len() / 2).copied().unwrap_or_default()
}
