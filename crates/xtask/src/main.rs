//! Generates the files that are generated (`generate`) and proves them fresh (`check`). Never shipped.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

fn main() -> anyhow::Result<ExitCode> {
    match std::env::args().nth(1).as_deref() {
        Some("generate") => generate(),
        Some("check") => check(),
        _ => anyhow::bail!("usage: xtask generate | check"),
    }
}

/// Every generated file: its path from the root of the repository, and what must stand in it.
fn files() -> anyhow::Result<Vec<(PathBuf, String)>> {
    let openapi = serde_json::to_string_pretty(&control::openapi())? + "\n";
    let files = [
        ("docs/openapi.json", openapi),
        ("docs/authz.txt", control::authz_table()),
        (
            "docs/errors.md",
            format!(
                "{}\n{}",
                gateway::error_reference(),
                control::error_reference()
            ),
        ),
        ("docs/config.md", keybearer::config::reference()),
        ("docs/cli.md", keybearer::cli::reference()),
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Ok(files.map(|(path, text)| (root.join(path), text)).into())
}

fn generate() -> anyhow::Result<ExitCode> {
    for (path, text) in files()? {
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

#[expect(
    clippy::print_stderr,
    reason = "a developer's tool speaks on standard error"
)]
fn check() -> anyhow::Result<ExitCode> {
    let mut stale = 0;
    for (path, text) in files()? {
        if std::fs::read_to_string(&path).ok().as_deref() != Some(text.as_str()) {
            eprintln!("stale: {}; run `make generate`", path.display());
            stale += 1;
        }
    }
    Ok(if stale == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
