//! `config get`.

use super::args::ScopeArgs;
use crate::base::nearest;
use crate::cli::cluster::configs::{ConfigEntry, DEFAULT, Scope};
use crate::cli::common::Common;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{Block, Cell, Table};

/// Show settings with where each value comes from
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// These settings; without any, those that differ from the defaults
    #[arg(value_name = "KEY")]
    keys: Vec<String>,

    #[command(flatten)]
    scope: ScopeArgs,

    /// Also those that are the defaults
    #[arg(short, long, conflicts_with = "keys")]
    all: bool,
}

const EXAMPLES: &str = "\
Sources: topic, group, broker (one), cluster (all brokers), file (server.properties), default.

Examples:
  highwater config get --topic orders
  highwater config get retention.ms flush.messages --topic orders
  highwater config get --broker 1 --all --output tsv

Options of every command: highwater --help";

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let scope = args.scope.scope();
    let found = common.connect()?.configs(&scope)?;
    let entries = choose(found, args, &scope)?;
    let mut table = Table::new(["setting", "value", "source", "default"]);
    for entry in &entries {
        table.row([
            entry.name.as_str().into(),
            shown(entry),
            entry.source.into(),
            entry.default.clone().into(),
        ]);
    }
    common.output().show("config.get", &entries, &[Block::Table(table)])?;
    Ok(Exit::Done)
}

fn choose(
    found: Vec<ConfigEntry>,
    args: &Args,
    scope: &Scope,
) -> Result<Vec<ConfigEntry>, Failure> {
    if args.keys.is_empty() {
        let is_wanted = |entry: &ConfigEntry| args.all || entry.source != DEFAULT;
        return Ok(found.into_iter().filter(is_wanted).collect());
    }
    let mut chosen = Vec::new();
    for key in &args.keys {
        let Some(entry) = found.iter().find(|entry| entry.name == *key) else {
            let names = found.iter().map(|entry| entry.name.as_str());
            let meant = nearest(key, names).map(str::to_owned).or_else(|| scope.meant(key));
            let name = format!("{key} of {scope}");
            return Err(Failure::Unknown { what: "setting", name, meant });
        };
        chosen.push(entry.clone());
    }
    Ok(chosen)
}

/// A secret is not told by the broker.
pub(super) fn shown(entry: &ConfigEntry) -> Cell {
    if entry.sensitive && entry.value.is_none() && entry.source != DEFAULT {
        return "[hidden]".into();
    }
    entry.value.clone().into()
}
