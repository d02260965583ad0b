//! The frames of `ci/golden`: what real clients and a real Kafka said to each other.
#![allow(dead_code, reason = "each program uses its part")]

use highwater::protocol::ApiKey;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Which half of an exchange.
#[derive(Clone, Copy, Debug)]
pub enum Half {
    Request,
    Answer,
}

/// One request with its answer, as recorded.
pub struct Exchange {
    /// File and line, for messages.
    pub place: String,
    pub client: String,
    pub version: i16,
    pub correlation_id: i32,
    pub request: Vec<u8>,
    /// None where a request has no answer.
    pub answer: Option<Vec<u8>>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ci/golden")
}

/// All exchanges, by API; the file's name says which.
pub fn exchanges() -> BTreeMap<ApiKey, Vec<Exchange>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "hex") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap();
        let (key, api_name) = name.split_once('-').expect("files are named NN-Api.hex");
        let api = ApiKey::from_key(key.parse().unwrap()).expect("an API that we have");
        assert_eq!(api.name(), api_name);
        all.insert(api, read_file(&path));
    }
    all
}

fn read_file(path: &Path) -> Vec<Exchange> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut found: Vec<Exchange> = Vec::new();
    let mut half = None;
    for (index, line) in text.lines().enumerate() {
        let place = format!("{}:{}", path.file_name().unwrap().display(), index + 1);
        let last = found.last_mut();
        match line {
            "" => half = None,
            "request" => half = Some(Half::Request),
            "response" => {
                half = Some(Half::Answer);
                last.expect("an exchange was named").answer = Some(Vec::new());
            }
            "no response" => half = None,
            line if line.starts_with("exchange ") => found.push(named(line, place)),
            line => {
                let exchange = last.expect("an exchange was named");
                let bytes = match half.expect("the half was named") {
                    Half::Request => &mut exchange.request,
                    Half::Answer => exchange.answer.as_mut().expect("the half was named"),
                };
                bytes.extend(unhex(line).unwrap_or_else(|| panic!("{place}: not hex")));
            }
        }
    }
    found
}

/// `exchange version 9 client java correlation 3`
fn named(line: &str, place: String) -> Exchange {
    let words: Vec<&str> = line.split(' ').collect();
    let ["exchange", "version", version, "client", client, "correlation", correlation] = words[..]
    else {
        panic!("{place}: {line}")
    };
    Exchange {
        place,
        client: client.to_owned(),
        version: version.parse().unwrap(),
        correlation_id: correlation.parse().unwrap(),
        request: Vec::new(),
        answer: None,
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.chars().map(|digit| digit.to_digit(16)).collect::<Option<Vec<_>>>()?;
    digits
        .len()
        .is_multiple_of(2)
        .then(|| digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
}
