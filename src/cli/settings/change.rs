//! Settings changed, with what each was before and is afterwards.

use crate::cli::cluster::configs::{Change, ConfigEntry, Scope};
use crate::cli::common::Common;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{Block, Table};
use serde::Serialize;

#[derive(Serialize)]
struct Changed<'a> {
    setting: &'a str,
    before: Option<String>,
    after: Option<String>,
    changed: bool,
}

/// Changes settings of one thing, all or none of them, or checks whether they could be changed.
pub fn run(
    command: &str,
    scope: &Scope,
    changes: &[Change],
    validate_only: bool,
    common: &Common,
) -> Result<Exit, Failure> {
    for (index, change) in changes.iter().enumerate() {
        if changes[..index].iter().any(|other| other.key() == change.key()) {
            return Err(Failure::Usage(format!("{} is named twice", change.key())));
        }
    }
    let mut cluster = common.connect()?;
    let before = cluster.configs(scope)?;
    cluster.alter_configs(scope, changes, validate_only)?;
    let mut rows = Vec::new();
    for change in changes {
        let found = before.iter().find(|entry| entry.name == change.key());
        let is_secret = found.is_some_and(|entry| entry.sensitive);
        rows.push(Changed {
            setting: change.key(),
            before: found.and_then(|entry| entry.value.clone()),
            after: after(change, found, scope).filter(|_| !is_secret),
            changed: !validate_only,
        });
    }
    let mut table = Table::new(["setting", "before", "after", "state"]);
    let state = if validate_only { "could be changed" } else { "changed" };
    for row in &rows {
        table.row([
            row.setting.into(),
            row.before.clone().into(),
            row.after.clone().into(),
            state.into(),
        ]);
    }
    common.output().show(command, &rows, &[Block::Table(table)])?;
    Ok(Exit::Done)
}

/// What a setting is after the change: its own value gone, the next layer counts.
fn after(change: &Change, found: Option<&ConfigEntry>, scope: &Scope) -> Option<String> {
    match change {
        Change::Set(_, value) => Some(value.trim().to_owned()),
        Change::Unset(_) => {
            let own = match scope {
                Scope::Cluster => "cluster",
                Scope::Broker(_) => "broker",
                Scope::Topic(_) => "topic",
                Scope::Group(_) => "group",
            };
            let found = found?;
            match found.layers.iter().find(|layer| layer.source != own) {
                Some(layer) => layer.value.clone(),
                None => found.default.clone(),
            }
        }
    }
}
