//! From nothing to the first acknowledged record: a broker is started on an empty folder, again
//! and again, and timed from exec to the answer of a produce to a topic that nobody made.

use super::error::LoadError;
use super::work::{Batch, Shape};
use crate::cli::client::{Acks, Client};
use crate::cli::client_error::ClientError;
use crate::runtime::clock;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Between two looks at a broker that does not serve yet.
const LOOK_AGAIN: Duration = Duration::from_micros(200);
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How brokers are started.
#[derive(Clone, Debug)]
pub struct Starts {
    pub address: SocketAddr,
    /// The folder of the broker: made for each start, gone after it.
    pub folder: PathBuf,
    /// A shell command before each start, not timed; `{folder}` and `{address}` are filled in.
    pub prepare: Option<String>,
    /// Program and arguments, likewise filled in.
    pub command: Vec<String>,
    pub turns: usize,
    pub serve_within: Duration,
}

/// Starts, times, and kills a broker `turns` times. Gives the times in order of the starts.
pub fn measure(starts: &Starts) -> Result<Vec<Duration>, LoadError> {
    let batch = Batch::new(Shape { record_bytes: 100, batch_bytes: 1 })?;
    (0..starts.turns).map(|_| once(starts, &batch)).collect()
}

fn once(starts: &Starts, batch: &Batch) -> Result<Duration, LoadError> {
    let file = |source| LoadError::File { path: starts.folder.clone(), source };
    std::fs::create_dir(&starts.folder).map_err(file)?;
    let result = prepared(starts).and_then(|()| timed(starts, batch));
    std::fs::remove_dir_all(&starts.folder).map_err(file)?;
    result
}

fn prepared(starts: &Starts) -> Result<(), LoadError> {
    let Some(prepare) = &starts.prepare else { return Ok(()) };
    let text = starts.filled(prepare);
    let mut shell = Command::new("sh");
    let status = shell.arg("-c").arg(&text).stdout(Stdio::null()).status();
    match status.map_err(|source| LoadError::Io { during: "prepare", source })? {
        status if status.success() => Ok(()),
        status => Err(LoadError::Ended { command: text, status: status.to_string() }),
    }
}

fn timed(starts: &Starts, batch: &Batch) -> Result<Duration, LoadError> {
    let command: Vec<String> = starts.command.iter().map(|word| starts.filled(word)).collect();
    let (program, arguments) = command.split_first().ok_or(LoadError::Setting {
        what: "the broker's command",
        bound: "a program and its arguments",
        found: "nothing".to_owned(),
    })?;
    let log = std::fs::File::create(starts.folder.join("broker.log"))
        .map_err(|source| LoadError::File { path: starts.folder.clone(), source })?;
    let io = |source| LoadError::Io { during: "start the broker", source };
    let mut process = Command::new(program);
    process.args(arguments).stdin(Stdio::null()).stdout(log.try_clone().map_err(io)?).stderr(log);
    let begin = clock::monotonic();
    let mut broker = process.spawn().map_err(io)?;
    let result = serving(starts, &mut broker, batch);
    let time = clock::monotonic().since(begin);
    // Killed, not asked: the next start has a folder of its own.
    broker.kill().map_err(io)?;
    broker.wait().map_err(io)?;
    result.map(|()| time)
}

/// Tries until a record is acknowledged.
fn serving(starts: &Starts, broker: &mut Child, batch: &Batch) -> Result<(), LoadError> {
    let give_up = clock::monotonic() + starts.serve_within;
    loop {
        let Err(last) = first_record(starts.address, batch) else { return Ok(()) };
        let command = || starts.command.join(" ");
        let ended = broker.try_wait().map_err(|source| LoadError::Io { during: "wait", source })?;
        if let Some(status) = ended {
            return Err(LoadError::Ended { command: command(), status: status.to_string() });
        }
        if clock::monotonic() > give_up {
            let waited = starts.serve_within;
            return Err(LoadError::NotServing { command: command(), waited, last });
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

fn first_record(address: SocketAddr, batch: &Batch) -> Result<(), ClientError> {
    let mut client = Client::connect(address, CALL_TIMEOUT)?;
    client.topic("first-record", true)?;
    client.produce("first-record", 0, Acks::All, &batch.bytes).map(drop)
}

impl Starts {
    fn filled(&self, text: &str) -> String {
        text.replace("{folder}", &path_text(&self.folder))
            .replace("{address}", &self.address.to_string())
            .replace("{port}", &self.address.port().to_string())
    }
}

fn path_text(path: &Path) -> String {
    path.display().to_string()
}
