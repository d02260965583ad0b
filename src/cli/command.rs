//! The tree of commands, from which parsing, help and completions derive; and the run of one.
//!
//! Help of a command fits one screen and ends with examples. The flags of all commands are listed
//! once, with the program's own help.

use super::common::{self, Common};
use super::exit::Exit;
use super::failure::Failure;
#[cfg(feature = "sim")]
use super::sim;
use super::{
    completions, consume, dump_log, group, load, produce, serve, settings, topic, version,
};
use crate::server;
use clap::parser::ValueSource;
use clap::{
    Arg, ArgAction, ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand,
};
use std::process::ExitCode;

/// Commands that speak to no cluster in the way of the others, and take none of the common flags.
const APART: &[&str] = &["serve", "load", "completions", "dump-log", "sim"];

/// A Kafka-compatible broker for Linux, and the commands to work with it or any other Kafka.
#[derive(Parser)]
#[command(name = "highwater", version, about, after_help = AFTER)]
#[command(subcommand_required = true, arg_required_else_help = true)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the broker
    Serve(serve::ServeArgs),
    /// Look at topics, and change them
    Topic(topic::Args),
    /// Look at settings, and change them
    Config(settings::Args),
    /// Write records to a topic
    Produce(produce::Args),
    /// Read records of topics
    Consume(consume::Args),
    /// Look at consumer groups, and change them
    Group(group::Args),
    /// Show or verify the files of a log, without a broker
    DumpLog(dump_log::DumpLogArgs),
    /// What this program is
    Version(version::Args),
    /// Completions for a shell
    Completions(completions::Args),
    /// Load a broker over the wire and measure it
    Load(load::Args),
    /// Run simulations for long
    #[cfg(feature = "sim")]
    Sim(sim::Args),
}

const AFTER: &str = "\
Examples:
  highwater serve
  highwater topic create orders -p 6 --config retention.ms=86400000
  highwater -B kafka-1:9092,kafka-2:9092 topic describe orders --output json

A flag of every command can be a variable: HIGHWATER_BROKERS, HIGHWATER_OUTPUT, HIGHWATER_YES, ...
Exit status: 0 done, 1 failed or some did, 2 usage, 3 no connection, 4 not authorized, 5 not found,
  6 exists or conflict, 7 timeout, 9 damaged data, 10 refused for safety (--yes), 130 interrupted";

/// Parses the command line and runs what it says; `watch` shows a broker's counters.
pub fn main(watch: server::Watch) -> ExitCode {
    let matches = match tree().try_get_matches() {
        Ok(matches) => matches,
        // Help that was asked for is no error; clap knows.
        Err(error) => error.exit(),
    };
    if let Err(error) = refuse_common_flags(&matches) {
        error.exit();
    }
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    run(arguments, watch)
}

/// The tree as clap holds it.
pub fn tree() -> clap::Command {
    // One help for both spellings, short enough for a screen.
    let help = Arg::new("help").short('h').long("help").action(ArgAction::HelpShort);
    let help = help.global(true).help("Print help");
    let tree = Arguments::command().disable_help_flag(true).arg(help);
    let common: Vec<_> = tree
        .get_arguments()
        .filter(|arg| common::FLAGS.contains(&arg.get_id().as_str()))
        .map(|arg| arg.clone().hide(true))
        .collect();
    let names: Vec<_> = tree.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    names.into_iter().fold(tree, |tree, name| {
        let is_apart = APART.contains(&name.as_str());
        tree.mut_subcommand(name, |mut sub| {
            let note = "Options of every command: highwater --help";
            if !is_apart && sub.get_after_help().is_none() {
                sub = sub.after_help(note);
            }
            sub.args(common.clone())
        })
    })
}

fn run(arguments: Arguments, watch: server::Watch) -> ExitCode {
    let common = &arguments.common;
    let done = match arguments.command {
        Command::Serve(args) => return serve::run(&args, watch),
        Command::Load(args) => {
            return match load::run(&args) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    common.output().error(&error.to_string());
                    ExitCode::FAILURE
                }
            };
        }
        #[cfg(feature = "sim")]
        Command::Sim(args) => {
            return match sim::run(&args) {
                Ok(true) => ExitCode::SUCCESS,
                Ok(false) => ExitCode::FAILURE,
                Err(error) => {
                    common.output().error(&error.to_string());
                    ExitCode::FAILURE
                }
            };
        }
        Command::Topic(args) => topic::run(&args, common),
        Command::Config(args) => settings::run(&args, common),
        Command::Produce(args) => produce::run(&args, common),
        Command::Consume(args) => consume::run(&args, common),
        Command::Group(args) => group::run(&args, common),
        Command::DumpLog(args) => dump_log::run(&args),
        Command::Version(args) => version::run(&args, common),
        Command::Completions(args) => completions::run(&args),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(Failure::OutputClosed) => Exit::Done.into(),
        Err(failure) => {
            common.output().error(&failure.to_string());
            failure.exit().into()
        }
    }
}

/// Common flags of commands that would not heed them are refused, not dropped.
fn refuse_common_flags(matches: &ArgMatches) -> Result<(), clap::Error> {
    let Some((name, sub)) = matches.subcommand() else { return Ok(()) };
    if !APART.contains(&name) {
        return Ok(());
    }
    for flag in common::FLAGS {
        if sub.value_source(flag) == Some(ValueSource::CommandLine) {
            let flag = flag.replace('_', "-");
            let text = format!("--{flag} has no meaning for `highwater {name}`\n");
            return Err(tree().error(clap::error::ErrorKind::UnknownArgument, text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines and columns of a terminal that is large enough.
    const SCREEN: (usize, usize) = (48, 110);

    fn each(tree: &mut clap::Command, path: &str, look: &mut impl FnMut(&str, &mut clap::Command)) {
        look(path, tree);
        let names: Vec<_> = tree.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
        for name in names {
            let sub = tree.find_subcommand_mut(&name).expect("it was just listed");
            each(sub, &format!("{path} {name}"), look);
        }
    }

    fn built() -> clap::Command {
        let mut tree = tree();
        tree.build();
        tree
    }

    #[test]
    fn the_tree_is_without_contradictions() {
        tree().debug_assert();
    }

    #[test]
    fn help_of_every_command_fits_a_screen() {
        each(&mut built(), "highwater", &mut |path, command| {
            let help = command.render_help().to_string();
            assert!(path.contains(" help") || help.contains("--help"), "{path}");
            // A terminal breaks what is wider than it is.
            let rows = |line: &str| line.chars().count().div_ceil(SCREEN.1).max(1);
            let lines: usize = help.lines().map(rows).sum();
            assert!(lines <= SCREEN.0, "{path}: {lines} lines\n{help}");
        });
    }

    #[test]
    fn every_command_has_examples_and_they_are_right() {
        each(&mut built(), "highwater", &mut |path, command| {
            let help = command.render_help().to_string();
            let is_ours = !path.starts_with("highwater load") && !path.contains(" help");
            if !is_ours || command.get_subcommands().next().is_some() {
                return;
            }
            let examples = examples(&help);
            assert!(!examples.is_empty(), "{path} has no examples\n{help}");
            for example in examples {
                let words = words(&example);
                let start = words.iter().position(|word| word == "highwater").expect(&example);
                let end = words.iter().position(|word| word == "|" || word == ">");
                let words = &words[start..end.filter(|end| *end > start).unwrap_or(words.len())];
                if let Err(error) = tree().try_get_matches_from(words) {
                    panic!("{path}: {example}\n{error}");
                }
                // The text that a command gives of itself is about that command.
                let own: Vec<&str> = path.split(' ').collect();
                let is_own = own.iter().all(|word| words.iter().any(|w| w == word));
                assert!(is_own, "{path}: {example}");
            }
        });
    }

    #[test]
    fn common_flags_are_taken_before_and_behind_a_command() {
        for line in [
            "highwater -B a:1 topic list --output json",
            "highwater topic -B a:1 --output json list",
            "highwater topic list -B a:1 --output=json",
        ] {
            let arguments =
                Arguments::from_arg_matches(&tree().try_get_matches_from(line.split(' ')).unwrap())
                    .unwrap();
            assert!(arguments.common.output().is_json(), "{line}");
        }
    }

    #[test]
    fn flags_without_a_meaning_are_refused() {
        for line in ["highwater serve --output json", "highwater -y serve"] {
            let matches = tree().try_get_matches_from(line.split(' ')).unwrap();
            assert!(refuse_common_flags(&matches).is_err(), "{line}");
        }
        let matches = tree().try_get_matches_from(["highwater", "serve"]).unwrap();
        assert!(refuse_common_flags(&matches).is_ok());
    }

    /// Lines below "Examples:" until an empty one.
    fn examples(help: &str) -> Vec<String> {
        let lines = help.lines().skip_while(|line| line.trim() != "Examples:").skip(1);
        lines
            .take_while(|line| !line.trim().is_empty())
            .map(|line| line.trim().to_owned())
            .collect()
    }

    /// As a shell splits them, as far as examples need it.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
        for c in line.chars() {
            match (c, quote) {
                (c, Some(end)) if c == end => quote = None,
                (c, Some(_)) => word.push(c),
                ('\'' | '"', None) => quote = Some(c),
                (' ', None) => words.push(std::mem::take(&mut word)),
                (c, None) => word.push(c),
            }
        }
        words.push(word);
        words.retain(|word| !word.is_empty());
        // A comment ends the command.
        let end = words.iter().position(|word| word == "#").unwrap_or(words.len());
        words.truncate(end);
        words
    }
}
