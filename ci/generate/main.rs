//! Writes `src/protocol/message/` from the schemas in `src/protocol/schema/`.
//!
//! Run it after a change to either: `cargo run --example generate`. What it writes is checked in
//! and `ci/tests/generated.rs` fails when it is not fresh. It needs nothing but the standard
//! library, so that it can be built with `rustc` alone when generated code does not compile.

mod output;
mod read;
mod registry;
mod rust;
mod schema;
mod value;
mod write;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(Path::new(option_env!("CARGO_MANIFEST_DIR").unwrap_or("."))) {
        Ok(count) => {
            println!("{count} files are fresh");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("generate: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Makes the folder of generated code hold exactly what the schemas say.
fn run(root: &Path) -> Result<usize, String> {
    let files = output::generate(root)?;
    for path in output::stale(root, &files)? {
        std::fs::remove_file(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    for (path, text) in &files {
        let path = root.join(path);
        if std::fs::read_to_string(&path).is_ok_and(|old| old == *text) {
            continue;
        }
        let folder = path.parent().expect("generated files lie in folders");
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, text))
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(files.len())
}
