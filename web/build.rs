//! Embeds what `tools/pwa` built; without it there are no pages, and `/` says so.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let pwa = root.join("../mobile-pwa");
    let dist = pwa.join("dist");
    println!("cargo:rerun-if-changed=build.rs");
    // A path that is not there would have cargo run this at every build.
    let watched = [&dist, &pwa].into_iter().find(|path| path.exists());
    if let Some(path) = watched {
        println!("cargo:rerun-if-changed={}", path.display());
    }
    let mut files = Vec::new();
    if dist.exists() {
        walk(&dist, "", &mut files)?;
    }
    files.sort();
    let mut text = "static EMBEDDED: &[Page] = &[\n".to_owned();
    for path in files.iter().filter(|path| !packed(path, &files)) {
        let bytes =
            |path: &str| format!("include_bytes!({:?})", format!("{}{path}", dist.display()));
        let other = |ending: &str| {
            let path = format!("{path}.{ending}");
            match files.binary_search(&path) {
                Ok(_) => format!("Some({})", bytes(&path)),
                Err(_) => "None".to_owned(),
            }
        };
        let (plain, br, gzip) = (bytes(path), other("br"), other("gz"));
        writeln!(
            text,
            "Page {{ path: {path:?}, plain: {plain}, br: {br}, gzip: {gzip} }},"
        )
        .expect("a string takes it");
    }
    text.push_str("];\n");
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("pages.rs"), text)
}

/// Paths of every file below, without those that begin with a dot.
fn walk(directory: &Path, path: &str, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_str().expect("npm's tools write plain names");
        let path = format!("{path}/{name}");
        match entry.file_type()?.is_dir() {
            _ if name.starts_with('.') => {}
            true => walk(&entry.path(), &path, files)?,
            false => files.push(path),
        }
    }
    Ok(())
}

/// A file that was compressed beside its plain form.
fn packed(path: &str, files: &[String]) -> bool {
    let plain = path.strip_suffix(".br").or(path.strip_suffix(".gz"));
    plain.is_some_and(|plain| {
        files
            .binary_search_by(|file| file.as_str().cmp(plain))
            .is_ok()
    })
}
