//! What a person runs: the commands of the program, and the client that they speak to brokers with.
//!
//! `serve` runs the broker. `connection` moves frames and pairs answers with requests; `client`
//! calls a broker in Kafka's nouns and picks versions; `load` measures a broker over many
//! connections from one thread.

pub mod batches;
pub mod client;
pub mod client_error;
pub mod connection;
pub mod load;
pub mod serve;
