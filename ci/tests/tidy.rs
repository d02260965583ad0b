//! Holds the house to its plan: floors, heads, fences, sizes, doors, and what may lie at the top.
//!
//! Each rule is a function from one file (path and text) to complaints, so that each has a test beside it which
//! shows on a bad sample that the rule can fail. `the_house_is_tidy` runs all of them over the files that git
//! tracks or would track.

#[path = "tidy/code.rs"]
mod code;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use code::{Token, blank, tokens};

/// The rooms of `src/`, floor by floor from the ground: a room imports only from lower floors, never from its own.
/// `limits.rs`, a room of one file, stands on the foundations, whose bounds it relates to each other, and below all
/// that it bounds.
const FLOORS: &[&[&str]] = &[
    &["base"],
    &["model"],
    &["record", "config", "runtime"],
    &["limits"],
    &["log", "protocol", "replication", "coordinator", "security", "quota"],
    &["controller", "group"],
    &["broker"],
    &["api"],
    &["server"],
    &["admin", "cli"],
    &["sim"],
];

/// Files of `src/` that belong to no room.
const FRONT: &[&str] = &["src/main.rs", "src/lib.rs", "src/limits.rs", "src/ARCHITECTURE.md"];

/// Entries at the root that may be there; any name with a dot in front may be there too.
const TOP: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "LICENSE",
    "CHANGELOG.md",
    "README.md",
    "src",
    "tuning",
    "benches",
    "flamegraphs",
    "ci",
    "target",
];

/// The fence around `unsafe`.
const UNSAFE_FILES: &[&str] = &[
    "src/runtime/ring.rs",
    "src/runtime/syscall.rs",
    "src/runtime/buffer.rs",
    "src/runtime/mailbox.rs",
    "src/runtime/machine.rs",
];

const LINES_MAX: usize = 800;

/// Written by the generator, so as long as it must be.
const GENERATED: &str = "src/protocol/message/";

/// Absolute paths that exist on the machines of its authors and on nobody else's.
const FOREIGN_PATHS: &[&str] = &[concat!("/", "work"), concat!("/", "root")];

#[derive(Debug)]
struct Source {
    /// Relative to the root of the checkout.
    path: String,
    text: String,
}

#[derive(Debug, PartialEq, Eq)]
struct Complaint {
    path: String,
    line: usize,
    what: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

impl Source {
    fn complaint(&self, line: usize, what: impl Into<String>) -> Complaint {
        Complaint { path: self.path.clone(), line, what: what.into() }
    }

    fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "rs")
    }

    fn is_generated(&self) -> bool {
        self.path.starts_with(GENERATED)
    }

    /// The room that the file belongs to: `log` for `src/log/read/span.rs`, `limits` for `src/limits.rs`.
    fn room(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        match inside.split_once('/') {
            Some((room, _)) => Some(room),
            None => inside.strip_suffix(".rs").filter(|name| floor(name).is_some()),
        }
    }

    /// How many `super` lead from the file's own module to the crate.
    fn depth(&self) -> usize {
        let inside = self.path.trim_start_matches("src/").trim_end_matches("/mod.rs");
        inside.split('/').count()
    }
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

// --- rules -----------------------------------------------------------------------------------------------------

/// Imports only go down the floors; neighbours do not know each other.
fn floors(source: &Source) -> Vec<Complaint> {
    if !source.is_rust()
        || !source.path.starts_with("src/")
        || FRONT[..2].contains(&source.path.as_str())
    {
        return Vec::new();
    }
    let Some(room) = source.room() else {
        return vec![source.complaint(1, "belongs to no room: src/ARCHITECTURE.md lists them")];
    };
    let Some(own) = floor(room) else {
        return vec![
            source
                .complaint(1, format!("room `{room}` is on no floor: name it in ci/tests/tidy.rs")),
        ];
    };
    let blanked = blank(&source.text);
    imports(&tokens(&blanked), source.depth())
        .into_iter()
        .filter(|token| token.text != room)
        .filter_map(|token| match (token.text, floor(token.text)) {
            ("*", _) => {
                Some(source.complaint(token.line, "imports everything from the crate's root"))
            }
            (_, Some(other)) if other >= own => {
                let direction = if other == own { "sideways" } else { "up" };
                let what =
                    format!("imports {direction}: room `{room}` names room `{}`", token.text);
                Some(source.complaint(token.line, what))
            }
            _ => None,
        })
        .collect()
}

/// What follows directly upon the crate's root, however it is written: `crate::x`, `crate::{x::y, z}`, `super::x`
/// with enough `super`.
fn imports<'a>(tokens: &[Token<'a>], depth: usize) -> Vec<Token<'a>> {
    let is = |index: usize, text: &str| tokens.get(index).is_some_and(|token| token.text == text);
    let separator = |index: usize| is(index, ":") && is(index + 1, ":");
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let supers = (0..tokens.len())
            .take_while(|n| is(at + 3 * n, "super") && separator(at + 3 * n + 1))
            .count();
        let root = is(at, "crate") && separator(at + 1);
        let after = if root { at + 3 } else { at + 3 * supers };
        if root || supers >= depth {
            found.extend(heads(&tokens[after.min(tokens.len())..]));
        }
        at = after.max(at + 1);
    }
    found
}

/// The first words of a path or of a group of paths.
fn heads<'a>(rest: &[Token<'a>]) -> Vec<Token<'a>> {
    match rest.first() {
        None => Vec::new(),
        Some(first) if first.text != "{" => vec![*first],
        Some(_) => {
            let (mut depth, mut found, mut expect) = (0, Vec::new(), false);
            for token in rest {
                match token.text {
                    "{" => (depth, expect) = (depth + 1, depth == 0),
                    "}" => depth -= 1,
                    "," => expect = depth == 1,
                    _ if expect && depth == 1 => {
                        found.push(*token);
                        expect = false;
                    }
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
            found
        }
    }
}

/// Every file of Rust says first what it is for.
fn head(source: &Source) -> Vec<Complaint> {
    let first = source.text.lines().find(|line| !line.starts_with("#!"));
    if source.is_rust() && !first.is_some_and(|line| line.starts_with("//! ")) {
        return vec![
            source.complaint(1, "does not start with a `//!` head that says what it is for"),
        ];
    }
    Vec::new()
}

/// `unsafe` stays in a few files of `runtime`. Tests and benches, which no user runs, have their own lints.
fn fence(source: &Source) -> Vec<Complaint> {
    if !source.is_rust()
        || !source.path.starts_with("src/")
        || UNSAFE_FILES.contains(&source.path.as_str())
    {
        return Vec::new();
    }
    let blanked = blank(&source.text);
    tokens(&blanked)
        .iter()
        .filter(|token| token.text == "unsafe")
        .map(|token| {
            source.complaint(token.line, format!("`unsafe` outside {}", UNSAFE_FILES.join(", ")))
        })
        .collect()
}

/// A file that has grown beyond this lacks a noun.
fn size(source: &Source) -> Vec<Complaint> {
    let lines = source.text.lines().count();
    let is_code = ["rs", "py", "sh", "toml"].iter().any(|known| {
        Path::new(&source.path).extension().is_some_and(|extension| extension == *known)
    });
    if is_code && lines > LINES_MAX && !source.is_generated() {
        return vec![source.complaint(lines, format!("{lines} lines: more than {LINES_MAX}"))];
    }
    Vec::new()
}

/// A door has no logic: no function with a body, no `impl`.
fn doors(source: &Source) -> Vec<Complaint> {
    let is_door = source.path.ends_with("/mod.rs") || source.path == "src/lib.rs";
    if !is_door || !source.path.starts_with("src/") || source.is_generated() {
        return Vec::new();
    }
    let blanked = blank(&source.text);
    let tokens = tokens(&blanked);
    let ends = |token: &&Token| token.text == ";" || token.text == "{";
    tokens
        .iter()
        .enumerate()
        .filter(|(index, token)| match token.text {
            "impl" => true,
            "fn" => tokens[*index..].iter().find(ends).is_some_and(|end| end.text == "{"),
            _ => false,
        })
        .map(|(_, token)| {
            source.complaint(token.line, format!("logic in a door: `{}`", token.text))
        })
        .collect()
}

/// Nothing unfinished, nothing for debugging, no test that does not run.
fn finished(source: &Source) -> Vec<Complaint> {
    if !source.is_rust() {
        return Vec::new();
    }
    let blanked = blank(&source.text);
    let tokens = tokens(&blanked);
    let next =
        |index: usize, ahead: usize| tokens.get(index + ahead).map_or("", |token| token.text);
    tokens
        .iter()
        .enumerate()
        .filter(|(index, token)| match token.text {
            "todo" | "unimplemented" | "dbg" => next(*index, 1) == "!" && next(*index, 2) != "=",
            "ignore" => {
                *index >= 1 && tokens[index - 1].text == "[" && matches!(next(*index, 1), "]" | "=")
            }
            _ => false,
        })
        .map(|(_, token)| source.complaint(token.line, format!("unfinished: `{}`", token.text)))
        .collect()
}

/// No path of an author's machine.
fn no_foreign_paths(source: &Source) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        for foreign in FOREIGN_PATHS {
            if line.match_indices(foreign).any(|(at, _)| stands_alone(line, at, foreign.len())) {
                complaints.push(
                    source.complaint(index + 1, format!("a path of somebody's machine: {foreign}")),
                );
            }
        }
    }
    complaints
}

/// Whether an absolute path starts here, and its first name ends where the text does.
fn stands_alone(line: &str, at: usize, length: usize) -> bool {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '}' | ')');
    let before = line[..at].chars().next_back();
    let after = line[at + length..].chars().next();
    !before.is_some_and(part)
        && !after.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
}

/// What lies at the root, and directly in `src/`, is in the house's plan.
fn plan(path: &str) -> Option<Complaint> {
    let top = path.split('/').next().unwrap_or(path);
    let in_plan = top.starts_with('.') || TOP.contains(&top);
    let in_front =
        path.matches('/').count() != 1 || !path.starts_with("src/") || FRONT.contains(&path);
    (!in_plan || !in_front).then(|| Complaint {
        path: path.to_string(),
        line: 1,
        what: "is not in the house's plan: src/ARCHITECTURE.md".to_string(),
    })
}

/// Tests are not found by themselves (`autotests = false`): one that `Cargo.toml` does not name would never run.
fn named_test(path: &str, manifest: &str) -> Option<Complaint> {
    let name =
        path.strip_prefix("ci/tests/").filter(|name| !name.contains('/'))?.strip_suffix(".rs")?;
    let named =
        manifest.lines().any(|line| line.trim() == format!("path = \"ci/tests/{name}.rs\""));
    (!named).then(|| Complaint {
        path: path.to_string(),
        line: 1,
        what: "is not named as [[test]] in Cargo.toml, so it never runs".to_string(),
    })
}

// --- the house -------------------------------------------------------------------------------------------------

const RULES: &[fn(&Source) -> Vec<Complaint>] =
    &[floors, head, fence, size, doors, finished, no_foreign_paths];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Paths of all files that git tracks, or would track if they were added.
fn paths() -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(root())
        .output()
        .expect("git lists the files of the checkout");
    assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    String::from_utf8(listed.stdout)
        .expect("paths are UTF-8")
        .split_terminator('\0')
        .filter(|path| root().join(path).is_file())
        .map(str::to_string)
        .collect()
}

#[test]
fn the_house_is_tidy() {
    let paths = paths();
    assert!(paths.iter().any(|path| path == "src/lib.rs"), "git lists no src/lib.rs: {paths:?}");
    let manifest =
        std::fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml is readable");
    let mut complaints = Vec::new();
    for path in paths {
        complaints.extend(plan(&path));
        complaints.extend(named_test(&path, &manifest));
        let bytes = std::fs::read(root().join(&path)).expect("a listed file is readable");
        // What is no text (an archive) has no rules of text.
        if let Ok(text) = String::from_utf8(bytes) {
            let source = Source { path, text };
            complaints.extend(RULES.iter().flat_map(|rule| rule(&source)));
        }
    }
    let told: Vec<_> = complaints.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "{} complaints:\n{}", told.len(), told.join("\n"));
}

/// Fields of the typed settings that nobody reads yet, and why that ignores nothing.
const UNREAD: &[(&str, &str)] = &[
    ("min_insync_replicas", "Kafka takes the number of replicas where that is less: here it is 1"),
    ("unclean_leader_election", "not served, and said so at start"),
    ("compaction", "not served, and said so at start"),
];

/// Names of the public fields of a struct.
fn fields<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let start = text.find(&format!("pub struct {name} {{")).expect("the struct is there");
    let body = &text[start..];
    let body = &body[..body.find("\n}").expect("a struct ends")];
    let lines = body.lines().filter_map(|line| line.strip_prefix("    pub "));
    lines.filter_map(|line| line.split_once(':')).map(|(field, _)| field).collect()
}

/// A setting that is read from a file and then used nowhere is ignored in silence.
#[test]
fn every_setting_that_is_typed_is_used() {
    let is_code = |path: &String| {
        path.starts_with("src/") && Path::new(path).extension().is_some_and(|end| end == "rs")
    };
    let is_user = |path: &String| is_code(path) && !path.starts_with("src/config/");
    let read = |path: &str| std::fs::read_to_string(root().join(path)).expect("it is readable");
    // Without what is said in comments and texts.
    let code = |path: &String| blank(&read(path));
    let users: Vec<String> = paths().iter().filter(|path| is_user(path)).map(code).collect();
    let is_used = |field: &str| {
        let access = format!(".{field}");
        let is_end = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        let ends = |text: &String| {
            text.match_indices(&access).any(|(at, found)| is_end(&text[at + found.len()..]))
        };
        users.iter().any(ends)
    };
    for (file, name) in [("broker", "BrokerConfig"), ("topic", "TopicConfig")] {
        let text = read(&format!("src/config/{file}.rs"));
        let fields = fields(&text, name);
        assert!(fields.len() > 10, "{fields:?}");
        for field in fields {
            let is_listed = UNREAD.iter().any(|(unread, _)| *unread == field);
            assert_eq!(is_used(field), !is_listed, "{name}::{field} is read outside src/config");
        }
    }
}

// --- each rule can fail ----------------------------------------------------------------------------------------

/// Lines on which the rule complains about the text as the file of that path.
#[cfg(test)]
fn lines(rule: fn(&Source) -> Vec<Complaint>, path: &str, text: &str) -> Vec<usize> {
    let source = Source { path: path.to_string(), text: text.to_string() };
    rule(&source).into_iter().map(|complaint| complaint.line).collect()
}

#[test]
fn an_import_goes_down_and_never_up_or_sideways() {
    let none: [usize; 0] = [];
    assert_eq!(lines(floors, "src/log/read.rs", "use crate::record::Batch;"), none);
    assert_eq!(lines(floors, "src/log/read.rs", "use crate::log::Segment;"), none);
    assert_eq!(lines(floors, "src/log/read.rs", "//\nuse crate::protocol::Frame;"), [2]);
    assert_eq!(lines(floors, "src/log/read.rs", "fn f() { crate::broker::g() }"), [1]);
    assert_eq!(lines(floors, "src/record/batch.rs", "use crate::config::Settings;"), [1]);
    assert_eq!(lines(floors, "src/limits.rs", "use crate::runtime::BLOCK_BYTES;"), none);
    assert_eq!(lines(floors, "src/limits.rs", "use crate::log::Log;"), [1]);
    assert_eq!(lines(floors, "src/runtime/ring.rs", "use crate::limits::X;"), [1]);
    assert_eq!(lines(floors, "src/runtime/ring.rs", "use crate::sim::Disk;"), [1]);
    assert_eq!(lines(floors, "src/sim/disk.rs", "use crate::runtime::Op;"), none);
}

#[test]
fn an_import_is_found_however_it_is_written() {
    let none: [usize; 0] = [];
    assert_eq!(
        lines(
            floors,
            "src/log/read.rs",
            "use crate::{\n base::{Pieces, x},\n api::A, model,\n quota\n};"
        ),
        [3, 4]
    );
    assert_eq!(lines(floors, "src/log/read.rs", "use crate::*;"), [1]);
    assert_eq!(lines(floors, "src/log/mod.rs", "use super::broker;"), [1]);
    assert_eq!(lines(floors, "src/log/read.rs", "use super::super::broker::X;"), [1]);
    assert_eq!(lines(floors, "src/log/read.rs", "mod t { use super::super::segment; }"), none);
    assert_eq!(lines(floors, "src/log/read.rs", "use super::broker;"), none);
    assert_eq!(
        lines(floors, "src/log/read.rs", "// crate::broker\nlet x = \"crate::broker\";"),
        none
    );
}

#[test]
fn a_file_belongs_to_a_room_on_a_floor() {
    assert_eq!(lines(floors, "src/helpers.rs", ""), [1]);
    assert_eq!(lines(floors, "src/manager/mod.rs", ""), [1]);
}

#[test]
fn a_file_without_a_head_is_noticed() {
    let none: [usize; 0] = [];
    assert_eq!(lines(head, "src/base/x.rs", "//! What it is.\n"), none);
    assert_eq!(lines(head, "src/base/x.rs", "use a;\n//! What it is.\n"), [1]);
    assert_eq!(lines(head, "src/base/x.rs", "/// What it is.\n"), [1]);
    assert_eq!(lines(head, "src/base/x.rs", ""), [1]);
    assert_eq!(lines(head, "ci/tests/x.rs", "fn a() {}"), [1]);
}

#[test]
fn unsafe_outside_its_fence_is_noticed() {
    let none: [usize; 0] = [];
    assert_eq!(lines(fence, "src/log/read.rs", "fn f() {\n unsafe { g() } }"), [2]);
    assert_eq!(lines(fence, "src/runtime/ring.rs", "unsafe { g() }"), none);
    assert_eq!(
        lines(fence, "src/log/read.rs", "// unsafe\n#![deny(unsafe_code)] \"unsafe\""),
        none
    );
}

#[test]
fn a_file_that_is_too_long_is_noticed() {
    let none: [usize; 0] = [];
    assert_eq!(lines(size, "src/log/read.rs", &"x\n".repeat(LINES_MAX)), none);
    assert_eq!(lines(size, "src/log/read.rs", &"x\n".repeat(LINES_MAX + 1)), [LINES_MAX + 1]);
    assert_eq!(lines(size, "src/protocol/message/fetch.rs", &"x\n".repeat(LINES_MAX + 1)), none);
}

#[test]
fn logic_in_a_door_is_noticed() {
    let none: [usize; 0] = [];
    assert_eq!(lines(doors, "src/log/mod.rs", "//! Door.\nmod read;\npub use read::Read;"), none);
    assert_eq!(lines(doors, "src/log/mod.rs", "fn f()\n-> u32 { 1 }"), [1]);
    assert_eq!(lines(doors, "src/log/mod.rs", "//\nimpl Read {}"), [2]);
    assert_eq!(lines(doors, "src/log/mod.rs", "trait T { fn f(); }"), none);
    assert_eq!(lines(doors, "src/lib.rs", "pub fn f() {}"), [1]);
    assert_eq!(lines(doors, "src/log/read.rs", "fn f() {}"), none);
}

#[test]
fn unfinished_code_is_noticed() {
    let none: [usize; 0] = [];
    assert_eq!(lines(finished, "src/a/b.rs", "todo!()\nunimplemented!(\"x\")\ndbg!(1)"), [1, 2, 3]);
    assert_eq!(lines(finished, "src/a/b.rs", "#[test]\n#[ignore]\nfn f() {}"), [2]);
    assert_eq!(lines(finished, "src/a/b.rs", "#[ignore = \"slow\"]"), [1]);
    assert_eq!(
        lines(finished, "src/a/b.rs", "// todo!()\nlet ignore = [ignored]; if todo != 1 {}"),
        none
    );
}

#[test]
fn a_path_of_an_authors_machine_is_noticed() {
    let none: [usize; 0] = [];
    let [first, second] = FOREIGN_PATHS else { panic!("two paths") };
    assert_eq!(lines(no_foreign_paths, "README.md", &format!("cd {first}/main")), [1]);
    assert_eq!(lines(no_foreign_paths, "ci/x", &format!("x\n\"{second}\"")), [2]);
    assert_eq!(lines(no_foreign_paths, "ci/x", &format!("{second}\n{first}")), [1, 2]);
    assert_eq!(
        lines(
            no_foreign_paths,
            "ci/x",
            &format!("{first}load src{second} $X{first} {second}-cause")
        ),
        none
    );
}

#[test]
fn what_is_not_in_the_plan_is_noticed() {
    for good in ["Cargo.toml", "src/log/mod.rs", ".ci/run", "ci/test", "src/lib.rs", "tuning/x/y"] {
        assert_eq!(plan(good), None, "{good}");
    }
    for bad in ["Makefile", "scripts/x", "docs/a.md", "src/util.rs", "NOTES.md"] {
        assert!(plan(bad).is_some(), "{bad}");
    }
}

#[test]
fn a_test_that_nobody_names_is_noticed() {
    let manifest = "[[test]]\nname = \"tidy\"\npath = \"ci/tests/tidy.rs\"\n";
    assert_eq!(named_test("ci/tests/tidy.rs", manifest), None);
    assert_eq!(named_test("ci/tests/tidy/code.rs", manifest), None);
    assert!(named_test("ci/tests/forgotten.rs", manifest).is_some());
}
