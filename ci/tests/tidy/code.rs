//! Rust source with everything that is not code blanked out, and its words.
//!
//! Rules look for words; a word in a comment or in a string is not a use of it. Blanking keeps every line where
//! it was, so that a complaint can name the line.

/// The text with comments, strings and character literals replaced by spaces, line by line as long as before.
pub fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = at + not_code(&bytes[at..], at.checked_sub(1).map(|before| bytes[before]));
        if end == at {
            out.push(bytes[at]);
            at += 1;
        } else {
            out.extend(bytes[at..end].iter().map(|&b| if b == b'\n' { b'\n' } else { b' ' }));
            at = end;
        }
    }
    String::from_utf8(out).expect("only whole literals and comments were replaced")
}

/// Length of the comment, string or character literal that starts here; 0 if code does.
fn not_code(rest: &[u8], before: Option<u8>) -> usize {
    match rest {
        [b'/', b'/', ..] => rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment(rest),
        [b'"', ..] => string(rest),
        [b'r', b'"' | b'#', ..] if !before.is_some_and(is_word) => raw_string(rest),
        [b'b', b'r', ..] if !before.is_some_and(is_word) => match raw_string(&rest[1..]) {
            0 => 0,
            length => length + 1,
        },
        [b'\'', ..] => character(rest),
        _ => 0,
    }
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `r"..."`, `r#"..."#` and so on; 0 for a raw identifier (`r#type`).
fn raw_string(rest: &[u8]) -> usize {
    let hashes = rest.iter().skip(1).take_while(|&&b| b == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return 0;
    }
    let closing = [&b"\""[..], &b"#".repeat(hashes)].concat();
    let body = 2 + hashes;
    rest[body..]
        .windows(closing.len())
        .position(|window| window == closing)
        .map_or(rest.len(), |found| body + found + closing.len())
}

/// `'a'`, `'\n'`, `'\u{1F980}'`; 0 for a lifetime.
fn character(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        let closing = rest.iter().skip(3).position(|&b| b == b'\'');
        return closing.map_or(rest.len(), |found| found + 4);
    }
    // One character of up to four bytes, then the quote.
    let first = rest.get(1).copied().unwrap_or_default();
    let length = match first {
        0x00..=0x7F => 1,
        0x80..=0xDF => 2,
        0xE0..=0xEF => 3,
        _ => 4,
    };
    if rest.get(1 + length) == Some(&b'\'') { length + 2 } else { 0 }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// A word (identifier, keyword, number) or one other character, and its line counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    pub text: &'a str,
    pub line: usize,
}

/// The tokens of blanked source.
pub fn tokens(blanked: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    for (index, line) in blanked.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let word = rest.bytes().take_while(|&b| is_word(b)).count();
            let (text, after) =
                rest.split_at(word.max(if word == 0 { first.len_utf8() } else { 0 }));
            found.push(Token { text, line: index + 1 });
            rest = after.trim_start();
        }
    }
    found
}

#[test]
fn comments_strings_and_characters_are_blanked_and_lines_stay() {
    let blanked = |text: &str| blank(text).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(blanked("a // unsafe\nb"), "a b");
    assert_eq!(blanked("a /* x /* y */ z */ b"), "a b");
    assert_eq!(blanked(r#"a "un\"safe" b"#), "a b");
    assert_eq!(blanked("a r##\"x\"# y\"## b"), "a b");
    assert_eq!(blanked("a b\"x\" c br\"y\" d"), "a b c d");
    assert_eq!(blanked(r"a '\'' b '\u{7f}' c 'x' d"), "a b c d");
    assert_eq!(blanked("fn f<'a>(x: &'a str) {}"), "fn f<'a>(x: &'a str) {}");
    assert_eq!(blanked("let r#type = 1;"), "let r#type = 1;");
    assert_eq!(blanked("'ö' a \"ö\""), "a");
    assert_eq!(blank("x /* \n */ y\n\"\n\" z").lines().count(), 4);
}

#[test]
fn tokens_know_their_lines() {
    let texts: Vec<_> = tokens("use a::b;\n  c_1").iter().map(|t| (t.text, t.line)).collect();
    assert_eq!(texts, [("use", 1), ("a", 1), (":", 1), (":", 1), ("b", 1), (";", 1), ("c_1", 2)]);
}
