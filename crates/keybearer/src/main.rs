//! The entry point; see the library beside it.

fn main() -> std::process::ExitCode {
    keybearer::cli::run()
}
