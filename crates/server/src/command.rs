//! The command line of `tytod`.

mod keys;

use crate::access::bootstrap;
use crate::app::Keys;
use crate::config::{Config, LogConfig, LogFormat, ProcessConfig};
use crate::error::Error;
use crate::server::Server;
use crate::{process, sessions, status};
use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[derive(Parser)]
#[command(name = "tytod", version, about = "The Tyto server: matches templates that it cannot read")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT.
    Serve(Options),
    /// Print the key that signs attestations, as clients keep it; makes it if there is none.
    Key(Options),
    /// Make a credential for an operator, who is above all tenants, and print it: it is shown this once. No server may run
    /// on the data directory meanwhile.
    OperatorKey {
        /// The operator's name; another key is made if there is an operator of this name.
        #[arg(long)]
        name: String,
        #[command(flatten)]
        options: Options,
    },
    /// Look after the wrapped private keys of a data directory that no server has open.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Print the key that signs handshakes of sealed sessions, as clients keep it; makes it if there is none.
    SessionKey(Options),
}

/// What overrides the file: the command line first, then the environment.
#[derive(Args)]
struct Options {
    /// Configuration file (TOML); without it the defaults hold.
    #[arg(long, env = "TYTO_CONFIG")]
    config: Option<PathBuf>,
    /// Where everything is kept.
    #[arg(long, env = "TYTO_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Where gRPC is served.
    #[arg(long, env = "TYTO_LISTEN")]
    listen: Option<SocketAddr>,
    /// Where metrics are served.
    #[arg(long, env = "TYTO_ADMIN_LISTEN")]
    admin_listen: Option<SocketAddr>,
    /// The private keys are wrapped under the passphrase in this file.
    #[arg(long, env = "TYTO_KEYS_PASSPHRASE_FILE")]
    keys_passphrase_file: Option<PathBuf>,
    /// The name under which attestations are issued.
    #[arg(long, env = "TYTO_ISSUER")]
    issuer: Option<String>,
    /// Log levels by module.
    #[arg(long, env = "TYTO_LOG")]
    log: Option<String>,
}

impl Options {
    fn config(self) -> Result<Config, Error> {
        let mut config = self.config.as_deref().map_or_else(|| Ok(Config::default()), Config::read)?;
        config.data_dir = self.data_dir.unwrap_or(config.data_dir);
        config.listen = self.listen.unwrap_or(config.listen);
        config.admin_listen = self.admin_listen.or(config.admin_listen);
        config.keys.passphrase_file = self.keys_passphrase_file.or(config.keys.passphrase_file);
        config.issuer = self.issuer.unwrap_or(config.issuer);
        config.log.filter = self.log.unwrap_or(config.log.filter);
        config.check()?;
        // Nothing secret was read yet.
        guard(&config.process)?;
        Ok(config)
    }
}

/// The binary `tytod`: reads the command line and serves, or prints a key.
pub fn run_main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(options) => options.config().and_then(serve),
        Command::Key(options) => options.config().and_then(|config| print_key(&config)),
        Command::OperatorKey { name, options } => {
            options.config().and_then(|config| print_operator_key(&config, &name))
        }
        Command::Keys(command) => keys::run(command),
        Command::SessionKey(options) => options.config().and_then(|config| print_session_key(&config)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tytod: {}", status::chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn print_key(config: &Config) -> Result<(), Error> {
    let keys = process::with_locked_memory(&config.process, || Keys::load_or_create(config))?;
    print!("{}", keys.trusted().to_text());
    Ok(())
}

fn print_operator_key(config: &Config, name: &str) -> Result<(), Error> {
    let key = runtime()?.block_on(bootstrap::operator_key(&config.data_dir, name))?;
    println!("{}", *key.to_text());
    Ok(())
}

fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|source| Error::Runtime { action: "start the runtime", source })
}

fn guard(config: &ProcessConfig) -> Result<(), Error> {
    if config.core_dumps {
        return Ok(());
    }
    let failed =
        |error: rustix::io::Errno| Error::Runtime { action: "forbid core files", source: error.into() };
    process::forbid_core_dumps().map_err(failed)
}

fn print_session_key(config: &Config) -> Result<(), Error> {
    let keys = Keys::load_or_create(config)?;
    print!("{}", sessions::trusted(config, keys.session.verifying_key().clone())?.to_text());
    Ok(())
}

fn serve(config: Config) -> Result<(), Error> {
    start_log(&config.log)?;
    tyto_pqc::self_test()?;
    runtime()?.block_on(async {
        // Registered first: a signal during a long start ends the process as soon as it serves.
        let failed = |source| Error::Runtime { action: "receive signals", source };
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let server = Server::start(config).await?;
        // For whoever started it with port 0. The last line says that it serves.
        if let Some(address) = server.admin_addr() {
            println!("tytod serves metrics on {address}");
        }
        println!("tytod listens on {}", server.local_addr());
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        server.shutdown().await
    })
}

fn start_log(config: &LogConfig) -> Result<(), Error> {
    let filter = EnvFilter::try_new(&config.filter).map_err(|_| Error::LogFilter(config.filter.clone()))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}
