//! `config diff`.

use super::args::ScopeArgs;
use crate::cli::cluster::configs::{ConfigEntry, Scope};
use crate::cli::common::Common;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{Block, Table};
use serde::Serialize;
use std::collections::BTreeMap;

/// Show settings that differ from the defaults, or from those of another
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    scope: ScopeArgs,

    /// The other broker, topic or group; without it the defaults
    #[arg(long, value_name = "NAME", conflicts_with = "cluster")]
    with: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  highwater config diff --broker 1
  highwater config diff --topic orders --with payments
  highwater config diff --broker 1 --with 2 --output json

Options of every command: highwater --help";

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Difference {
    setting: String,
    value: Option<String>,
    source: &'static str,
    other: Option<String>,
    other_source: &'static str,
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let scope = args.scope.scope();
    let other = match &args.with {
        Some(name) => Some(another(&scope, name)?),
        None => None,
    };
    let mut cluster = common.connect()?;
    let ours = cluster.configs(&scope)?;
    let differences = match &other {
        Some(other) => between(&ours, &cluster.configs(other)?),
        None => from_defaults(&ours),
    };
    let mut table = Table::new(["setting", "value", "source", "other", "other source"]);
    for one in &differences {
        table.row([
            one.setting.as_str().into(),
            one.value.clone().into(),
            one.source.into(),
            one.other.clone().into(),
            one.other_source.into(),
        ]);
    }
    common.output().show("config.diff", &differences, &[Block::Table(table)])?;
    Ok(Exit::Done)
}

fn another(scope: &Scope, name: &str) -> Result<Scope, Failure> {
    Ok(match scope {
        Scope::Topic(_) => Scope::Topic(name.to_owned()),
        Scope::Group(_) => Scope::Group(name.to_owned()),
        Scope::Broker(_) => {
            let id = name.parse().ok().filter(|id| *id >= 0);
            let bad = || Failure::Usage(format!("--with {name}: write the other broker's id"));
            Scope::Broker(id.ok_or_else(bad)?)
        }
        Scope::Cluster => {
            let text =
                "--with names another broker, topic or group: give --broker, --topic or --group";
            return Err(Failure::Usage(text.to_owned()));
        }
    })
}

fn from_defaults(ours: &[ConfigEntry]) -> Vec<Difference> {
    let differs = |entry: &&ConfigEntry| entry.value != entry.default && !entry.sensitive;
    let difference = |entry: &ConfigEntry| Difference {
        setting: entry.name.clone(),
        value: entry.value.clone(),
        source: entry.source,
        other: entry.default.clone(),
        other_source: "default",
    };
    ours.iter().filter(differs).map(difference).collect()
}

/// What one has and the other has not is a difference too.
fn between(ours: &[ConfigEntry], theirs: &[ConfigEntry]) -> Vec<Difference> {
    let of = |entries: &[ConfigEntry]| -> BTreeMap<String, (Option<String>, &'static str)> {
        let pair = |e: &ConfigEntry| (e.name.clone(), (e.value.clone(), e.source));
        entries.iter().map(pair).collect()
    };
    let (ours, mut theirs) = (of(ours), of(theirs));
    let mut found = Vec::new();
    for (setting, (value, source)) in ours {
        let (other, other_source) = theirs.remove(&setting).unwrap_or((None, "absent"));
        if value != other {
            found.push(Difference { setting, value, source, other, other_source });
        }
    }
    for (setting, (other, other_source)) in theirs.into_iter().filter(|(_, (v, _))| v.is_some()) {
        found.push(Difference { setting, value: None, source: "absent", other, other_source });
    }
    found.sort_by(|a, b| a.setting.cmp(&b.setting));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, value: &str, default: &str) -> ConfigEntry {
        ConfigEntry {
            name: name.into(),
            value: Some(value.into()),
            source: "topic",
            default: Some(default.into()),
            read_only: false,
            sensitive: false,
            layers: Vec::new(),
        }
    }

    #[test]
    fn only_what_differs_is_told() {
        let ours = [entry("a", "1", "1"), entry("b", "2", "1")];
        let names =
            |found: Vec<Difference>| found.into_iter().map(|one| one.setting).collect::<Vec<_>>();
        assert_eq!(names(from_defaults(&ours)), ["b"]);
        let theirs = [entry("a", "1", "1"), entry("b", "1", "1"), entry("c", "1", "1")];
        assert_eq!(names(between(&ours, &theirs)), ["b", "c"]);
        assert_eq!(names(between(&ours, &ours)), Vec::<String>::new());
    }
}
