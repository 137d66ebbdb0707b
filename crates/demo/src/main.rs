//! The quickstart: a server and a client in one process.
//!
//! It starts a server with the embedded store, makes a key and two galleries, enrols a population, verifies,
//! identifies, checks an attestation offline, compares every decrypted score with the plaintext, and looks at what
//! the server kept. It ends with exit code 1 if a single score differs or a single template is found.

mod disk;
mod matching;
mod options;
mod population;
mod show;
mod site;
mod wire;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;
use tyto_cli::trial;
use tyto_cli::{Error, Exit, commands::evaluate::write_plots, progress::Progress};

use crate::options::Options;
use crate::population::Population;
use crate::show::{fact, heading, note};
use crate::site::Site;

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return Exit::Local.into();
        }
    };
    match runtime.block_on(run(&options)) {
        Ok(exit) => exit.into(),
        Err(error) => {
            let ours = error.downcast_ref::<Error>();
            let text = ours.map_or_else(|| format!("{error:#}"), Error::describe);
            eprintln!("error: {text}");
            ours.map_or(Exit::Local, Exit::of).into()
        }
    }
}

async fn run(options: &Options) -> anyhow::Result<Exit> {
    let begun = Instant::now();
    println!("Tyto quickstart: a server and its client in one process.");
    let population = Population::new(options)?;
    population.describe();
    let site = Site::open(options).await?;
    site.describe();

    let galleries = site.enrol(&population).await?;
    let mut tested = matching::Tested::default();
    matching::verify(&galleries, &population, &mut tested).await?;
    matching::identify(&galleries, &population, &mut tested).await?;
    let attestation_holds = site.check_attestation(&tested)?;
    wire::describe(&galleries, &tested).await?;

    let mut is_exact = tested.mismatches == 0;
    if options.evaluate {
        heading("evaluation");
        let outcome = trial::run(&site.client, population.trial(options)?, Progress::new(false)).await?;
        print!("{}", outcome.text());
        is_exact &= outcome.is_exact();
        if let Some(folder) = &options.plots {
            write_plots(&outcome, folder)?;
        }
    }
    let folders = site.shut_down().await?;
    let is_clean = disk::describe(&folders.server, &galleries, &population).await?;

    heading("result");
    let compared = tested.compared;
    fact(
        "scores",
        &format!("{compared} decrypted and compared with plaintext: {} mismatches", tested.mismatches),
    );
    fact("attestation", if attestation_holds { "verified offline; altered copy refused" } else { "FAILED" });
    fact("plaintext on disk", if is_clean { "none found" } else { "FOUND" });
    fact("time", &format!("{:.1} s", begun.elapsed().as_secs_f64()));
    if !population.is_real() {
        note("The population is synthetic: no figure here says anything about people or sensors.");
    }
    folders.finish(options);
    Ok(if is_exact && attestation_holds && is_clean { Exit::Success } else { Exit::No })
}
