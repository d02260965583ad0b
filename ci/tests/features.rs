//! Holds `ci/features.md` to its word: each test that it names is there, and something runs it.

use std::collections::BTreeSet;
use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Features that the table answers for, from the list that it follows.
const FEATURES: [std::ops::RangeInclusive<u32>; 4] = [1..=22, 40..=78, 88..=92, 98..=98];
/// What a line says where it names no test.
const WITHOUT_A_TEST: [&str; 3] = ["several nodes", "of the client", "to come"];

/// One line of the table.
struct Line<'a> {
    number: u32,
    shown_by: &'a str,
    tests: Vec<Named<'a>>,
}

/// A test by its file, relative to `ci/` or the root, and its name there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Named<'a> {
    file: &'a str,
    name: &'a str,
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(Path::new(ROOT).join(path)).ok()
}

fn lines(table: &str) -> Vec<Line<'_>> {
    let cells = table.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = cells.filter_map(|cells| {
        let (number, rest) = cells.split_once(" | ")?;
        let (_, shown_by) = rest.rsplit_once(" | ")?;
        Some(Line { number: number.parse().ok()?, shown_by, tests: named(shown_by) })
    });
    rows.collect()
}

/// What stands between backticks with `::` in it.
fn named(cell: &str) -> Vec<Named<'_>> {
    let quoted = cell.split('`').skip(1).step_by(2);
    quoted
        .filter_map(|text| text.split_once("::").map(|(file, name)| Named { file, name }))
        .collect()
}

/// Why a test cannot be what shows something; none if it can.
fn complaint(named: Named<'_>, steps: &str, manifest: &str) -> Option<String> {
    let Named { file, name } = named;
    let path = if file.starts_with("src/") { file.to_owned() } else { format!("ci/{file}") };
    let Some(text) = read(&path) else { return Some(format!("{path} is not there")) };
    let is_run = match file.split_once('/') {
        Some(("src", _)) => true,
        Some(("tests", _)) => manifest.contains(&format!("path = \"{path}\"")),
        _ => program_of(file).is_some_and(|program| runs(steps, program)),
    };
    if !is_run {
        return Some(format!("nothing runs {path}"));
    }
    let is_test = match file.rsplit('.').next() {
        Some("rs") => is_rust_test(&text, name),
        Some("py") => is_python_check(&text, name),
        Some("go") => {
            let list = sibling(&path, "main.go");
            text.contains(&format!("func {name}(")) && has_word(&list, name)
        }
        Some("java") => text.contains(&format!("void {name}(")) && has_call(&text, name),
        Some("js") => text.contains(&format!("function {name}(")) && text.matches(name).count() > 1,
        // A program of the shell: a function that `check` runs, or another program.
        _ => is_shell_check(&text, name),
    };
    (!is_test).then(|| format!("{path} has no test {name} that it runs"))
}

/// The name after `check-` of the program that runs a file of `clients/`.
fn program_of(file: &str) -> Option<String> {
    let inside = file.strip_prefix("clients/")?;
    let name = match inside.split('/').collect::<Vec<_>>()[..] {
        ["java", .., "CheckGroups.java"] => "check-java-groups",
        ["java", .., "CheckStreams.java"] => "check-streams",
        ["go", program, _] => program,
        [.., file] => file.split('.').next()?,
        [] => return None,
    };
    Some(name.strip_prefix("check")?.trim_start_matches(['-', '_']).replace('_', "-"))
}

/// Whether `ci/test` has this program among the words of its steps.
fn runs(steps: &str, program: String) -> bool {
    let code = steps.lines().filter(|line| !line.trim_start().starts_with('#'));
    let mut words = code.flat_map(|line| line.split([' ', ';', '"', '/', '$']));
    words.any(|word| word == program || word.strip_prefix("check-") == Some(&program))
}

fn sibling(path: &str, name: &str) -> String {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    read(&format!("{folder}/{name}")).unwrap_or_default()
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|letter| !is_word(letter)).any(|found| found == word)
}

fn has_call(text: &str, name: &str) -> bool {
    text.contains(&format!("::{name})")) || text.contains(&format!("-> {name}("))
}

/// A function with `#[test]` above it, or a golden story: a name with its file.
fn is_rust_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let starts = format!("fn {name}(");
    lines.iter().enumerate().any(|(at, line)| {
        let is_marked = || lines[at.saturating_sub(3)..at].contains(&"#[test]");
        (line.starts_with(&starts) && is_marked())
            || line.strip_prefix(name).is_some_and(|rest| rest.trim().ends_with(".story\","))
    })
}

/// A function with `@check` or `@each` above it.
fn is_python_check(text: &str, name: &str) -> bool {
    let starts = [format!("def {name}("), format!("async def {name}(")];
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().enumerate().any(|(at, line)| {
        let above = || lines[..at].iter().rev().take_while(|line| !line.is_empty());
        let is_marked =
            || above().any(|line| line.starts_with("@check") || line.starts_with("@each"));
        starts.iter().any(|start| line.starts_with(start.as_str())) && is_marked()
    })
}

fn is_shell_check(text: &str, name: &str) -> bool {
    // check "what is true" NAME ARGUMENT...
    let is_fact = |line: &str| {
        let rest = line.trim_start().strip_prefix("check \"").and_then(|line| line.split_once('"'));
        rest.is_some_and(|(_, command)| command.split_whitespace().next() == Some(name))
    };
    let is_defined = text.lines().any(|line| line.starts_with(&format!("{name}() {{")));
    let hands_over = || text.lines().any(|line| line.contains("exec ") && has_word(line, name));
    (is_defined && text.lines().any(is_fact)) || hands_over()
}

#[test]
fn every_test_that_shows_a_feature_is_there_and_is_run() {
    let table = read("ci/features.md").expect("the table");
    let (steps, manifest) = (read("ci/test").unwrap(), read("Cargo.toml").unwrap());
    let tests = lines(&table).into_iter().flat_map(|line| line.tests);
    let complaints: Vec<String> =
        tests.filter_map(|named| complaint(named, &steps, &manifest)).collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn every_feature_is_answered_for_once() {
    let table = read("ci/features.md").expect("the table");
    let lines = lines(&table);
    let numbers: Vec<u32> = lines.iter().map(|line| line.number).collect();
    let expected: Vec<u32> = FEATURES.into_iter().flatten().collect();
    assert_eq!(numbers, expected);
    for line in &lines {
        let is_excused = WITHOUT_A_TEST.iter().any(|words| line.shown_by.contains(words));
        assert!(!line.tests.is_empty() || is_excused, "{}: {}", line.number, line.shown_by);
    }
    let named: BTreeSet<&str> =
        lines.iter().flat_map(|line| line.tests.iter().map(|named| named.name)).collect();
    assert!(named.len() > 80, "{} different tests", named.len());
}

#[test]
fn a_test_that_is_gone_is_noticed() {
    let manifest = "path = \"ci/tests/features.rs\"";
    let steps =
        "clients_of_one_broker clients kcat confluent\nfacts ci/clients/check-fresh\n# recipes";
    let check = |text: &'static str, is_good: bool| {
        let [found] = named(text)[..] else { panic!("{text}") };
        let complaint = complaint(found, steps, manifest);
        assert_eq!(complaint.is_none(), is_good, "{text}: {complaint:?}");
    };
    check("`tests/features.rs::a_test_that_is_gone_is_noticed`", true);
    check("`tests/features.rs::a_test_that_is_gone`", false);
    check("`tests/features.rs::complaint`", false);
    check("`tests/no_such_file.rs::a`", false);
    check("`tests/road.rs::a_waiting_fetch_is_woken_by_an_append`", false);
    check("`src/group/story.rs::story_of_old_offsets`", true);
    check("`src/group/story.rs::story_of_nothing`", false);
    check("`clients/check-kcat::round_trip`", true);
    check("`clients/check-kcat::lines`", false);
    check("`clients/check-fresh::first_group`", true);
    check("`clients/check_confluent.py::seek`", true);
    check("`clients/check_confluent.py::read_from`", false);
    // In a comment alone it is not run.
    check("`clients/check-recipes::metrics`", false);
}
