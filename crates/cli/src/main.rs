//! The binary `tyto`.

fn main() -> std::process::ExitCode {
    tyto_cli::run(std::env::args_os())
}
