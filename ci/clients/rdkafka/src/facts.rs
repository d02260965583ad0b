//! How a Rust check program speaks: `ok - fact` or `not ok - fact`, as ci/lib/checks.sh does.

use std::fmt::{Debug, Display};
use std::future::Future;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, sleep, timeout};

/// How long anything may take that a check waits for.
pub const LIMIT: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Counts what held.
#[derive(Default)]
pub struct Facts {
    passed: usize,
    failed: usize,
}

impl Facts {
    pub async fn check(&mut self, fact: impl Display, body: impl Future<Output = Outcome>) {
        let outcome = match timeout(2 * LIMIT, body).await {
            Ok(outcome) => outcome,
            Err(_) => Err("the check did not end".into()),
        };
        match outcome {
            Ok(()) => {
                self.passed += 1;
                println!("ok - {fact}");
            }
            Err(error) => {
                self.failed += 1;
                println!("not ok - {fact}\n    {error}");
            }
        }
    }

    pub fn finish(self) -> ExitCode {
        if self.passed + self.failed == 0 {
            println!("not ok - checked nothing");
        }
        if self.failed == 0 && self.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

pub fn same<T: PartialEq + Debug>(what: impl Display, expected: T, actual: T) -> Outcome {
    if expected == actual {
        return Ok(());
    }
    Err(format!("{what}: expected {expected:?}, got {actual:?}").into())
}

/// Asks until the answer is yes; for what can only be observed from outside.
pub async fn until(
    what: impl Display,
    mut question: impl FnMut() -> Result<bool, String>,
) -> Outcome {
    let deadline = Instant::now() + LIMIT;
    loop {
        if question()? {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("waited in vain: {what}").into());
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// A name that no earlier run on the same broker used.
pub fn fresh(name: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{name}-{}-{}", now.as_nanos() % 100_000_000_000_000, std::process::id())
}

/// The value of a numbered record: partly compressible, of different lengths.
pub fn value_of(number: u32) -> String {
    format!(
        "{number:06} {:x} {}",
        number.wrapping_mul(2_654_435_761),
        "highwater ".repeat(number as usize % 20)
    )
}
