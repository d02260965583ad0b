//! The generated codec is what its schemas say.

#[path = "../generate/output.rs"]
mod output;
#[path = "../generate/read.rs"]
mod read;
#[path = "../generate/registry.rs"]
mod registry;
#[path = "../generate/rust.rs"]
mod rust;
#[path = "../generate/schema.rs"]
mod schema;
#[path = "../generate/value.rs"]
mod value;
#[path = "../generate/write.rs"]
mod write;

use std::path::Path;

#[test]
fn generated_code_is_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = output::generate(root).unwrap();
    for (path, text) in &files {
        let old = std::fs::read_to_string(root.join(path)).unwrap_or_default();
        assert!(old == *text, "{}: run `cargo run --example generate`", path.display());
    }
    assert_eq!(output::stale(root, &files).unwrap(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_schema_that_makes_no_sense_is_refused_with_its_line() {
    let check = |body: &str, expected: &str| {
        let text = format!("api 1 X 0-3 flexible 2+\nrequest\n{body}\n");
        let error = schema::parse("x", &text).unwrap_err();
        assert!(error.contains(expected), "{error}");
    };
    check("  A int9", "x:3: unknown type int9");
    check("  A int8 5-6", "x:3: A lives longer than what holds it");
    check("  A int8 2+ tag 0\n  B int8 2+ tag 0", "tag 0 is taken");
    check("  A int8 tag 0", "tags need flexible versions");
    check("  A []Nobody", "no struct Nobody");
    check("  A int8\n    B int8", "x:3: only a struct has fields");
    check("  A int8 sometimes", "x:3: unknown word sometimes");
    check("  A int8\n  A int8", "is there twice");
}
