//! Collects `src/formats/*.rs`: a format is one file there, and no list names it a second time.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?).join("src/formats");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        if path.extension().is_some_and(|end| end == "rs") && stem != "mod" && !stem.ends_with("_tests") {
            names.push(stem);
        }
    }
    names.sort();
    let mut code = String::new();
    for name in &names {
        let path = folder.join(format!("{name}.rs"));
        code.push_str(&format!("#[path = {path:?}]\nmod {name};\n"));
    }
    let list: Vec<String> = names.iter().map(|name| format!("&{name}::FORMAT")).collect();
    code.push_str(&format!("pub(crate) static FORMATS: &[&dyn Format] = &[{}];\n", list.join(", ")));
    fs::write(Path::new(&env::var("OUT_DIR").map_err(io::Error::other)?).join("formats.rs"), code)?;
    println!("cargo::rerun-if-changed=src/formats");
    Ok(())
}
