//! What every command that speaks to a cluster takes: brokers, format, time, consent.

use super::cluster::Cluster;
use super::cluster::address::{Address, AddressError};
use super::failure::Failure;
use super::grammar::{self, GrammarError};
use super::output::{Format, Output, visible};
use clap::ArgAction;
use clap::builder::BoolishValueParser;
use std::io::{self, BufRead as _, Write as _};
use std::time::Duration;

/// Names of these flags, which `serve` and `load` have no use for.
pub const FLAGS: &[&str] =
    &["brokers", "output", "no_headers", "timeout", "yes", "dry_run", "quiet", "verbose"];

const HEADING: &str = "Options of every command, before or behind its name";

/// Flags of every command. Each can be given as a variable: HIGHWATER_BROKERS, HIGHWATER_OUTPUT, ...
#[derive(Clone, Debug, clap::Args)]
pub struct Common {
    /// Brokers to start from, separated by commas
    #[arg(
        short = 'B',
        long,
        global = true,
        value_name = "HOST:PORT",
        env = "HIGHWATER_BROKERS",
        hide_env = true
    )]
    #[arg(default_value = "127.0.0.1:9092", value_delimiter = ',', help_heading = HEADING)]
    #[arg(value_parser = address)]
    brokers: Vec<Address>,

    /// Form of the data: table, json, json-rows, tsv or plain
    #[arg(
        long,
        global = true,
        value_enum,
        env = "HIGHWATER_OUTPUT",
        hide_env = true,
        value_name = "FORMAT"
    )]
    #[arg(default_value = "table", hide_possible_values = true, help_heading = HEADING)]
    output: Format,

    /// No headings above columns
    #[arg(long, global = true, env = "HIGHWATER_NO_HEADERS", hide_env = true, help_heading = HEADING)]
    #[arg(value_parser = BoolishValueParser::new())]
    no_headers: bool,

    /// Longest wait for a broker
    #[arg(long, global = true, value_name = "SPAN", env = "HIGHWATER_TIMEOUT", hide_env = true)]
    #[arg(default_value = "30s", value_parser = span, help_heading = HEADING)]
    timeout: Duration,

    /// Agree to what cannot be undone
    #[arg(short = 'y', long, global = true, env = "HIGHWATER_YES", hide_env = true, help_heading = HEADING)]
    #[arg(value_parser = BoolishValueParser::new())]
    yes: bool,

    /// Show what would be done, and do nothing
    #[arg(long, global = true, env = "HIGHWATER_DRY_RUN", hide_env = true, help_heading = HEADING)]
    #[arg(value_parser = BoolishValueParser::new())]
    dry_run: bool,

    /// Say only what failed
    #[arg(short, long, global = true, env = "HIGHWATER_QUIET", hide_env = true, help_heading = HEADING)]
    #[arg(value_parser = BoolishValueParser::new())]
    quiet: bool,

    /// Say more of what is done; twice, also causes
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = HEADING)]
    #[arg(env = "HIGHWATER_VERBOSE", hide_env = true)]
    verbose: u8,
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    Given,
    /// The plan was all that was wanted (--dry-run).
    PlanOnly,
}

impl Common {
    pub fn output(&self) -> Output {
        Output {
            format: self.output,
            no_headers: self.no_headers,
            quiet: self.quiet,
            verbose: self.verbose,
        }
    }

    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether nothing may be changed.
    pub fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// Connects to the first broker that answers.
    pub fn connect(&self) -> Result<Cluster, Failure> {
        let output = self.output();
        let cluster = Cluster::connect(&self.brokers, self.timeout)?;
        for node in cluster.nodes() {
            output.detail(&format!("broker {} at {}", node.id, node.address));
        }
        Ok(cluster)
    }

    /// Shows what will be destroyed and asks for consent: at a terminal by a question, elsewhere by
    /// the flag --yes. Without consent it is a failure.
    pub fn agree(&self, plan: &str, question: &str) -> Result<Consent, Failure> {
        let output = self.output();
        if self.dry_run {
            output.note(plan);
            output.note("nothing was done: this was a dry run");
            return Ok(Consent::PlanOnly);
        }
        if self.yes {
            output.note(plan);
            return Ok(Consent::Given);
        }
        // Who is asked, or refused, must see what about, quiet or not.
        eprintln_ignored(plan);
        if !Output::can_ask() {
            return Err(Failure::NobodyToAsk);
        }
        eprint_ignored(&format!("{question} [y/N] "));
        let mut answer = String::new();
        let read = io::stdin().lock().read_line(&mut answer);
        read.map_err(|source| Failure::Io { during: "read the answer".to_owned(), source })?;
        match answer.trim() {
            "y" | "Y" | "yes" => Ok(Consent::Given),
            _ => Err(Failure::Declined),
        }
    }
}

fn address(text: &str) -> Result<Address, AddressError> {
    Address::parse(text.trim())
}

fn span(text: &str) -> Result<Duration, GrammarError> {
    let span = grammar::span(text)?;
    // Sockets refuse a timeout of zero.
    if span.is_zero() { Err(GrammarError::Span(text.to_owned())) } else { Ok(span) }
}

/// `KEY=VALUE` of a command line.
pub fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.to_owned()))
        }
        _ => Err(format!("{}: write KEY=VALUE", visible(text))),
    }
}

/// Standard error may be closed; there is nobody to tell then.
fn eprintln_ignored(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

fn eprint_ignored(text: &str) {
    let mut out = io::stderr().lock();
    let _ = write!(out, "{text}");
    let _ = out.flush();
}
