//! `tytod`, for tests that need it in a process of its own.

fn main() -> std::process::ExitCode {
    tyto_server::run_main()
}
