//! `highwater version`: what this program is and what it found on this machine.

use super::common::Common;
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Block, Cell, Table};
use crate::runtime::probe::{Features, kernel_release, ring_operations};
use serde::Serialize;

/// Print the version; with --verbose, how it was built and what the kernel has.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {}

const EXAMPLES: &str = "\
Examples:
  highwater version
  highwater version --verbose
  highwater version --verbose --output json";

#[derive(Serialize)]
struct Version {
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    build: Option<Build>,
    #[serde(skip_serializing_if = "Option::is_none")]
    machine: Option<Machine>,
}

#[derive(Serialize)]
struct Build {
    /// None where whoever built it did not say.
    commit: Option<&'static str>,
    rustc: &'static str,
    profile: &'static str,
    features: Vec<&'static str>,
    allocator: &'static str,
}

#[derive(Serialize)]
struct Machine {
    kernel: String,
    /// None where io_uring is refused.
    io_uring: Option<Vec<Operation>>,
    refused: Option<String>,
    cachestat: bool,
    no_iowait: bool,
}

#[derive(Serialize)]
struct Operation {
    name: &'static str,
    supported: bool,
}

/// Runs the command.
pub fn run(_: &Args, common: &Common) -> Result<Exit, Failure> {
    let output = common.output();
    let is_verbose = output.verbose > 0;
    let version = Version {
        version: env!("CARGO_PKG_VERSION"),
        build: is_verbose.then(build),
        machine: is_verbose.then(machine),
    };
    let mut blocks = Vec::new();
    if let (Some(build), Some(machine)) = (&version.build, &version.machine) {
        blocks = verbose_blocks(version.version, build, machine);
    } else {
        blocks.push(Block::Words(format!("highwater {}", version.version)));
    }
    output.show("version", &version, &blocks)?;
    Ok(Exit::Done)
}

fn build() -> Build {
    Build {
        commit: option_env!("HIGHWATER_COMMIT"),
        rustc: env!("HIGHWATER_RUSTC"),
        profile: if cfg!(debug_assertions) { "debug" } else { "release" },
        features: if cfg!(feature = "sim") { vec!["sim"] } else { Vec::new() },
        allocator: "mimalloc",
    }
}

fn machine() -> Machine {
    let features = Features::probe(&[]);
    let (io_uring, refused) = match ring_operations() {
        Ok(found) => {
            let operation = |(name, supported)| Operation { name, supported };
            (Some(found.into_iter().map(operation).collect()), None)
        }
        Err(error) => (None, Some(error.to_string())),
    };
    Machine {
        kernel: kernel_release(),
        io_uring,
        refused,
        cachestat: features.cachestat,
        no_iowait: features.no_iowait,
    }
}

fn verbose_blocks(version: &str, build: &Build, machine: &Machine) -> Vec<Block> {
    let has = |there: bool| Cell::from(if there { "yes" } else { "no" });
    let mut facts = vec![
        ("Version", Cell::from(version)),
        (
            "Commit",
            build.commit.unwrap_or("unknown (HIGHWATER_COMMIT was not set in the build)").into(),
        ),
        ("Compiler", build.rustc.into()),
        ("Profile", build.profile.into()),
        ("Features", Cell::list(&build.features)),
        ("Allocator", build.allocator.into()),
        ("Kernel", machine.kernel.as_str().into()),
        ("cachestat", has(machine.cachestat)),
        ("no-iowait", has(machine.no_iowait)),
    ];
    if let Some(refused) = &machine.refused {
        facts.push(("io_uring", Cell::Text(format!("refused: {refused}"))));
    }
    let mut blocks = vec![Block::Facts(facts)];
    if let Some(operations) = &machine.io_uring {
        let mut table = Table::new(["io_uring operation", "supported"]);
        for operation in operations {
            table.row([operation.name.into(), has(operation.supported)]);
        }
        blocks.push(Block::Table(table));
    }
    blocks
}
