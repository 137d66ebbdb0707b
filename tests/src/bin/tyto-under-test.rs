//! `tyto`, for tests that run it as its users do.

fn main() -> std::process::ExitCode {
    tyto_cli::run(std::env::args_os())
}
