//! Kafka's wire: frames, headers, and a codec generated from our own notation of the messages.
//!
//! What comes in is never copied and never trusted. `Reader` walks a frame that may lie in several
//! receive buffers; a message is parsed into a borrowed view (`read`), which checks everything once
//! and allocates nothing, however many elements a count announces. What goes out is a plain struct
//! (`write`) or, on the two hot roads, a stream of calls (`ProduceAnswer`, `FetchAnswer`), put into
//! a `Writer` that leaves gaps where records of segment files belong.
//!
//! ```text
//!   schema/*.wire --(ci/generate)--> message/{read,write}/*.rs, api_key.rs
//!
//!   bytes --> frame::RequestHeader --> read::XRequest --> the API
//!   wire  <-- Writer <-- write::XResponse, ProduceAnswer, FetchAnswer <-- the API
//! ```

pub mod array;
pub mod configs_answer;
pub mod error;
pub mod fetch_answer;
pub mod frame;
pub mod message;
pub mod metadata_record;
pub mod produce_answer;
#[cfg(test)]
mod random;
pub mod reader;
pub mod value;
#[cfg(test)]
mod watch;
pub mod writer;

pub use array::{Array, Element, Elements, Records};
pub use configs_answer::ConfigsAnswer;
pub use error::ProtocolError;
pub use fetch_answer::{FetchAnswer, FetchHead};
pub use frame::RequestHeader;
pub use message::{ApiFacts, ApiKey, Encode, Message, Parse, Request, read, write};
pub use produce_answer::ProduceAnswer;
pub use reader::Reader;
pub use value::{Fields, ToValue, Value};
pub use writer::{FrameStart, Gap, Part, RecordsGap, Writer};
