//! `config explain`: what a setting is. No broker is asked.

use crate::cli::common::Common;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{Block, Cell, Table};
use crate::config::{Disposition, Listed, catalog, explain};
use serde::Serialize;

/// Say what a setting is, what it may be, and what follows from it; no broker is asked
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Without a key, all settings are listed
    #[arg(value_name = "KEY")]
    key: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  highwater config explain flush.messages
  highwater config explain compression.type --output json
  highwater config explain --output plain

Options of every command: highwater --help";

#[derive(Serialize)]
struct Explained {
    key: &'static str,
    scope: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    default: Option<&'static str>,
    allowed: String,
    update: &'static str,
    sensitive: bool,
    /// `live`, `ignored` or `refused`
    effect: &'static str,
    reason: Option<&'static str>,
    text: &'static str,
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let Some(key) = &args.key else { return list(common) };
    let found: Vec<_> = explain(key).into_iter().map(explained).collect();
    if found.is_empty() {
        return Err(Failure::unknown("setting", key, catalog().iter().map(|listed| listed.key)));
    }
    let blocks: Vec<_> = found.iter().map(|one| Block::Facts(facts(one))).collect();
    common.output().show("config.explain", &found, &blocks)?;
    Ok(Exit::Done)
}

fn list(common: &Common) -> Result<Exit, Failure> {
    let all: Vec<_> = catalog().into_iter().map(explained).collect();
    let mut table = Table::new(["setting", "scope", "type", "default", "change", "effect"]);
    for one in &all {
        table.row([
            one.key.into(),
            one.scope.into(),
            one.kind.into(),
            one.default.into(),
            one.update.into(),
            one.effect.into(),
        ]);
    }
    common.output().show("config.explain", &all, &[Block::Table(table)])?;
    Ok(Exit::Done)
}

fn explained(listed: Listed) -> Explained {
    let (effect, reason) = match listed.disposition {
        Disposition::Live => ("live", None),
        Disposition::Ignored(reason) => ("ignored", Some(reason)),
        Disposition::Refused(reason) => ("refused", Some(reason)),
    };
    Explained {
        key: listed.key,
        scope: listed.scope,
        kind: listed.kind,
        default: listed.default,
        allowed: listed.allowed,
        update: listed.update,
        sensitive: listed.is_sensitive,
        effect,
        reason,
        text: listed.doc,
    }
}

fn facts(one: &Explained) -> Vec<(&'static str, Cell)> {
    let update = match one.update {
        "read-only" => "at a start only",
        "per-broker" => "while it runs, for one broker or for all",
        "cluster-wide" => "while it runs, for all brokers or for one",
        "per-topic" => "while it runs, for each topic",
        _ => "while it runs, for each group",
    };
    let effect = match (one.effect, one.reason) {
        ("ignored", Some(reason)) => format!("none: {reason}"),
        ("refused", Some(reason)) => {
            format!("no other value than the default is accepted: {reason}")
        }
        _ => "it is served".to_owned(),
    };
    let mut facts: Vec<(&'static str, Cell)> = vec![
        ("Setting", one.key.into()),
        ("Of", one.scope.into()),
        ("What", one.text.into()),
        ("Type", one.kind.to_lowercase().into()),
        ("Default", one.default.unwrap_or("unset").into()),
    ];
    if !one.allowed.is_empty() {
        facts.push(("Allowed", one.allowed.as_str().into()));
    }
    facts.push(("Changes", update.into()));
    facts.push(("Effect", effect.into()));
    facts
}
