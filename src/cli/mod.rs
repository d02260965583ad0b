//! What a person runs: the commands of the program, and the client that they speak to brokers with.
//!
//! ```text
//! command (the tree) -> one command -> Output   data on standard output, words on standard error
//!                            |      -> Exit     one number, the same for all commands
//!                         Cluster -> Client -> Connection
//! ```
//!
//! `serve` runs the broker, and `dump_log` reads a log's files without one; all other commands are
//! clients of any Kafka. `connection` moves frames and pairs answers with requests; `client` calls a
//! broker in Kafka's nouns and picks versions; `cluster` finds the right broker. `record_format` and
//! `record_json` say how `produce` reads and `consume` writes records. `load` measures a broker over
//! many connections from one thread.

pub mod batches;
pub mod client;
pub mod client_error;
pub mod cluster;
pub mod command;
pub mod common;
pub mod completions;
pub mod connect_error;
pub mod connection;
pub mod consume;
pub mod dump_log;
pub mod exit;
pub mod failure;
pub mod grammar;
pub mod group;
pub mod interrupt;
pub mod load;
pub mod output;
pub mod part;
pub mod produce;
pub mod record_format;
pub mod record_json;
pub mod serve;
pub mod settings;
#[cfg(feature = "sim")]
pub mod sim;
pub mod topic;
pub mod version;
