//! The command line of Tyto, as a library: the binary `tyto` is one call of [`run`], and the quickstart uses the
//! readers, the trial runner and the table writer.

pub mod args;
pub mod commands;
pub mod connection;
pub mod embeddings;
pub mod error;
pub mod evaluation;
pub mod exit;
pub mod input;
pub mod output;
pub mod passphrase;
pub mod progress;
pub mod shown;
mod svg;
pub mod time;
pub mod trial;
pub mod trust;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

pub use error::Error;
pub use exit::Exit;

/// Runs a command line, the program's name first, and says how the process should end.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match args::Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors and go to the standard output.
            let _ = error.print();
            return if error.use_stderr() { Exit::BadInput } else { Exit::Success }.into();
        }
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return Exit::Local.into();
        }
    };
    let outcome = runtime.block_on(commands::run(&cli));
    // A call that hangs, such as one that was interrupted, must not keep the process.
    runtime.shutdown_background();
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("error: {}", error.describe());
            Exit::of(&error).into()
        }
    }
}
