//! `tyto session ping`.

use serde::Serialize;
use tyto_client::SessionPing;

use crate::args::Global;
use crate::output::OutputArgs;
use crate::{Error, Exit, connection};

/// Sealed sessions.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a session with the server and one call in it, and say how long both took.
    Ping(PingArgs),
}

/// Arguments of `session ping`.
#[derive(Debug, clap::Args)]
pub struct PingArgs {
    /// Output.
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Serialize)]
struct Ping {
    endpoint: String,
    session: String,
    suite: String,
    server: String,
    key_id: String,
    principal: String,
    lifetime_s: u64,
    calls_left: u32,
    handshake_ms: f64,
    call_ms: f64,
}

impl Ping {
    fn new(endpoint: &str, ping: &SessionPing) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            session: ping.session.to_string(),
            suite: ping.suite.to_string(),
            server: ping.server.to_string(),
            key_id: ping.key_id.to_string(),
            principal: ping.principal.to_string(),
            // What is left of a second counts as one.
            lifetime_s: ping.lifetime_ms.div_ceil(1000),
            calls_left: ping.calls_left,
            handshake_ms: ping.handshake.as_secs_f64() * 1e3,
            call_ms: ping.call.as_secs_f64() * 1e3,
        }
    }

    fn text(&self) -> String {
        format!(
            "session    {} with {} at {}\nsuite      {}\nkey        {}\ntaken for  {}\nlives for  {} s, {} more calls\n\
             handshake  {:.2} ms\ncall       {:.2} ms\n",
            self.session,
            self.server.escape_debug(),
            self.endpoint,
            self.suite,
            self.key_id,
            self.principal.escape_debug(),
            self.lifetime_s,
            self.calls_left,
            self.handshake_ms,
            self.call_ms
        )
    }
}

/// Runs the command.
///
/// # Errors
/// [`Error::NotSealed`]; as [`connection::config`]; [`Error::Client`].
pub async fn run(command: &Command, global: &Global) -> Result<Exit, Error> {
    let Command::Ping(args) = command;
    let config = connection::config(global)?;
    if config.sealed.is_none() {
        return Err(Error::NotSealed);
    }
    let ping = Ping::new(&global.endpoint, &tyto_client::ping(&config).await?);
    args.output.print(&ping, Ping::text)?;
    Ok(Exit::Success)
}
