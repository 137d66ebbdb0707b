//! The server's binary.

fn main() -> std::process::ExitCode {
    tyto_server::run_main()
}
