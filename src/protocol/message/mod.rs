//! The codec, one file per schema and half: `read` holds borrowed views of what came in, `write`
//! plain structs of what goes out. Both halves have every message, since a broker reads requests
//! and writes answers, and a client (the command line, the bench, a follower) does the reverse.

pub mod api_key;
pub mod codec;
#[allow(clippy::all, clippy::pedantic)]
pub mod read;
#[cfg(test)]
mod tests;
#[allow(clippy::all, clippy::pedantic)]
pub mod write;

pub use api_key::ApiKey;
pub use codec::{ApiFacts, Encode, Message, Parse, Put, Request};
