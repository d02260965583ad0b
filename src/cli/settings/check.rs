//! `config check`, and what `serve` does with a file before it starts: settings read, all that is
//! wrong with them told at once.

use crate::cli::common::Common;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{Block, Table};
use crate::config::{BrokerConfig, Origin, Properties, StartError, StartErrors, describe_broker};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Check a server.properties: all that is wrong, and what has no effect; no broker is asked
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

const EXAMPLES: &str = "\
Exit status 0: a broker starts with it; 2: it does not. KAFKA_* variables are not looked at;
`highwater serve --check` looks at them and at its flags too.

Examples:
  highwater config check server.properties
  highwater config check server.properties --output json

Options of every command: highwater --help";

#[derive(Serialize)]
struct Checked {
    file: String,
    starts: bool,
    errors: Vec<Finding>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Finding {
    line: Option<u32>,
    message: String,
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let properties = read(&args.file)?;
    let file = args.file.display().to_string();
    let checked = match BrokerConfig::load(&properties) {
        Ok((_, notices)) => {
            Checked { file, starts: true, errors: Vec::new(), notes: notices.lines() }
        }
        Err(errors) => {
            Checked { file, starts: false, errors: findings(&errors), notes: Vec::new() }
        }
    };
    let mut blocks = Vec::new();
    if checked.starts {
        blocks.push(Block::Words(format!("{}: a broker starts with it", checked.file)));
    } else {
        let mut table = Table::new(["line", "what is wrong"]);
        for finding in &checked.errors {
            table.row([finding.line.map(i64::from).into(), finding.message.as_str().into()]);
        }
        blocks.push(Block::Table(table));
    }
    blocks.extend(checked.notes.iter().map(|note| Block::Words(format!("note: {note}"))));
    common.output().show("config.check", &checked, &blocks)?;
    Ok(if checked.starts { Exit::Done } else { Exit::Usage })
}

/// The settings of a file.
pub fn read(path: &Path) -> Result<Properties, Failure> {
    let shown = path.display();
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::Usage(format!("cannot read {shown}: {error}")))?;
    Properties::parse(&bytes).map_err(|error| Failure::Usage(format!("{shown}: {error}")))
}

/// Every value that a broker would start with, and where it comes from: a line each.
pub fn print(config: &BrokerConfig, properties: &Properties) -> Result<String, Failure> {
    let entries =
        describe_broker(&config.layers).map_err(|error| Failure::Usage(error.to_string()))?;
    let mut lines = String::new();
    for entry in entries {
        let origin = properties.get(entry.name).map(|property| match &property.origin {
            Origin::Ours => "without a file".to_owned(),
            origin => origin.to_string(),
        });
        let value = match (entry.is_sensitive, entry.value) {
            (true, _) if origin.is_some() => "[hidden]".to_owned(),
            (_, value) => value.unwrap_or_default(),
        };
        lines.push_str(&[entry.name, "=", &value, "\t# "].concat());
        lines.push_str(origin.as_deref().unwrap_or("default"));
        lines.push('\n');
    }
    Ok(lines)
}

fn findings(errors: &StartErrors) -> Vec<Finding> {
    let finding = |error: &StartError| {
        let (line, message) = (error.line(), error.to_string());
        // The column says it already.
        let prefix = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        let message = message.strip_prefix(&prefix).unwrap_or(&message).to_owned();
        Finding { line, message }
    };
    errors.all().iter().map(finding).collect()
}
