//! Lists the files of the built console, `console/dist`, for `src/console.rs` to hold. Where nothing is built, the list
//! is empty: cargo alone builds a binary that says how to build the rest.

#![expect(
    clippy::disallowed_methods,
    reason = "cargo talks to build scripts through the environment"
)]
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?);
    let built = manifest.join("../../console/dist");
    println!("cargo::rerun-if-changed={}", built.display());
    let mut files = Vec::new();
    if built.is_dir() {
        walk(&built, &mut files)?;
    }
    files.sort();

    let mut list = String::from("&[\n");
    for file in &files {
        let path = name(&built, file);
        // The forms of a file that its browser build has compressed lie beside it.
        if path.ends_with(".br") || path.ends_with(".gz") || path.starts_with('.') {
            continue;
        }
        let beside = |extension: &str| {
            let compressed = PathBuf::from(format!("{}.{extension}", file.display()));
            match files.binary_search(&compressed) {
                Ok(_) => format!(
                    "Some(include_bytes!({:?}))",
                    compressed.display().to_string()
                ),
                Err(_) => "None".to_owned(),
            }
        };
        writeln!(
            list,
            "    File {{ path: {path:?}, plain: include_bytes!({:?}), brotli: {}, gzip: {} }},",
            file.display().to_string(),
            beside("br"),
            beside("gz")
        )
        .map_err(io::Error::other)?;
    }
    list.push(']');
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    fs::write(out.join("console_files.rs"), list)
}

fn walk(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// The file's path below `built`, with slashes.
fn name(built: &Path, file: &Path) -> String {
    let below = file.strip_prefix(built).unwrap_or(file);
    let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}
