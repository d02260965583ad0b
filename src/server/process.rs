//! The broker as a process: checks what it runs on, binds its listeners, starts one thread per
//! core, and waits to be told to stop.

use super::bind;
use super::startup::{self, Plan};
use crate::broker::letter::Letter;
use crate::broker::{Facts, Metrics, Shard};
use crate::config::{BrokerConfig, Cores, Notices};
use crate::limits;
use crate::runtime::log;
use crate::runtime::machine::{self, MachineOptions};
use crate::runtime::probe::{self, Features, Refusal};
use crate::runtime::{BLOCK_BYTES, RingOptions, mailbox};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

/// Status of a process that was asked to stop twice, and so did not stop cleanly.
const EXIT_AT_ONCE: i32 = 3;

/// Why the broker did not start, or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("{0}")]
    Ring(#[from] Refusal),
    #[error("cannot listen on {name} {address}: {error}\n  {}", listen_hint(error))]
    Listen { name: String, address: String, error: io::Error },
    #[error("{name} names the host '{host}', which cannot be resolved: {error}")]
    Resolve { name: String, host: String, error: String },
    #[error("the setting highwater.cores asks for {asked}; this process may run on {allowed:?}")]
    Cores { asked: String, allowed: Vec<usize> },
    #[error(
        "the setting highwater.disable.features names '{name}', which is no feature; there are: \
         {}, and all for all of them", Features::NAMES.join(", ")
    )]
    Feature { name: String },
    #[error("cannot start the cores: {0}")]
    Machine(io::Error),
    #[error("{0}")]
    Startup(String),
}

fn listen_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another process has this port; stop it, or choose another (--listen HOST:PORT, or \
             listeners= in the file)"
        }
        io::ErrorKind::PermissionDenied => "ports below 1024 need the right to bind them",
        io::ErrorKind::AddrNotAvailable => "no interface of this host has that address",
        _ => "check listeners= in the file",
    }
}

/// Shows the broker's counters to whoever asks, and says at which address; `None`: to nobody.
pub type Watch = fn(&BrokerConfig, &Arc<Metrics>) -> Option<SocketAddr>;

/// Runs the broker until SIGTERM or SIGINT.
pub fn serve(config: BrokerConfig, notices: &Notices) -> Result<(), ServeError> {
    serve_watched(config, notices, |_, _| None)
}

/// The same with somebody who watches its counters.
pub fn serve_watched(
    config: BrokerConfig,
    notices: &Notices,
    watch: Watch,
) -> Result<(), ServeError> {
    machine::decline_huge_pages();
    machine::hold_stop_signals();
    let file_limit = machine::raise_open_files();
    check_features(&config.disabled_features)?;
    let features = Features::probe(&config.disabled_features);
    let cpus = choose_cpus(&config.cores)?;
    let options = machine_options(&config, &cpus, features);
    probe::check_ring(&options.ring)?;
    let listeners = bind::all(&config)?;
    let crowd = bind::crowd(&config)?;

    let (mut ports, doorbells) =
        mailbox::mesh::<Letter>(cpus.len(), 1).map_err(ServeError::Machine)?;
    let control = ports.pop().expect("one guest: this thread");
    let metrics = Metrics::new(cpus.len(), config.log_dirs.len());
    let watched_at = watch(&config, &metrics);
    super::watchdog::start(Arc::clone(&metrics)).map_err(ServeError::Machine)?;
    let facts = Arc::new(Facts {
        metrics,
        listeners: listeners.iter().map(|bound| bound.facts.clone()).collect(),
        config,
    });
    let notices = notices.lines();
    let failure = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&failure);
    let give_up = Arc::new(move |reason| {
        if let Ok(mut slot) = slot.lock() {
            *slot = Some(reason);
        }
        machine::ask_to_stop();
    });
    let greet = super::banner::print;
    let plan =
        Plan { listeners, crowd, notices, cpus, features, file_limit, watched_at, greet, give_up };
    let threads = {
        let plan = Mutex::new(Some(plan));
        let facts = Arc::clone(&facts);
        let slots: Vec<_> = ports.into_iter().map(|port| Mutex::new(Some(port))).collect();
        machine::start(&options, &doorbells, move |core| {
            let port = slots[core.index()].lock().ok().and_then(|mut slot| slot.take());
            let port = port.expect("each core begins once");
            let shard = Shard::new(core.clone(), Rc::new(port), Arc::clone(&facts));
            let door = super::connections::hang_under(&shard);
            if core.index() == crate::broker::control::CONTROLLER_SHARD {
                let plan = plan.lock().ok().and_then(|mut plan| plan.take());
                let plan = plan.expect("one core starts the broker");
                startup::begin(&shard, plan, door);
            }
        })
        .map_err(ServeError::Machine)?
    };
    let signal = machine::wait_for_stop_signal();
    tracing::info!("{signal}: stopping");
    end_at_next_signal();
    control.send(crate::broker::control::CONTROLLER_SHARD, Letter::Stop);
    for thread in threads {
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
    let failure = failure.lock().ok().and_then(|mut failure| failure.take());
    failure.map_or(Ok(()), |reason| Err(ServeError::Startup(reason)))
}

/// Whoever asks a second time wants the end, not a good one.
fn end_at_next_signal() {
    let end = || {
        let signal = machine::wait_for_stop_signal();
        tracing::error!(
            "{signal} again: ending at once. What was acknowledged is safe from the end of this \
             process; requests under way get no answer, and the next start checks the logs"
        );
        log::end();
        machine::exit_now(EXIT_AT_ONCE);
    };
    if let Err(error) = machine::start_aside("signals", end) {
        tracing::warn!("a second signal will be ignored until the stop is done: {error}");
    }
}

/// A misspelt name would leave the feature on.
fn check_features(disabled: &[String]) -> Result<(), ServeError> {
    let is_known = |name: &str| name == "all" || Features::NAMES.contains(&name);
    match disabled.iter().find(|name| !is_known(name)) {
        Some(name) => Err(ServeError::Feature { name: name.clone() }),
        None => Ok(()),
    }
}

fn choose_cpus(cores: &Cores) -> Result<Vec<usize>, ServeError> {
    let allowed = machine::allowed_cpus();
    let refuse = |asked: String| ServeError::Cores { asked, allowed: allowed.clone() };
    match cores {
        Cores::Auto if allowed.is_empty() => Err(refuse("auto".into())),
        Cores::Auto => Ok(allowed),
        Cores::Count(count) if (1..=allowed.len()).contains(&(*count as usize)) => {
            Ok(allowed[..*count as usize].to_vec())
        }
        Cores::Count(count) => Err(refuse(format!("{count} cores"))),
        Cores::List(list) => {
            let cpus: Vec<usize> = list.iter().map(|cpu| *cpu as usize).collect();
            if cpus.iter().all(|cpu| allowed.contains(cpu)) {
                Ok(cpus)
            } else {
                Err(refuse(format!("the CPUs {list:?}")))
            }
        }
    }
}

fn machine_options(config: &BrokerConfig, cpus: &[usize], features: Features) -> MachineOptions {
    let l2 = probe::l2_cache_bytes() / limits::RECEIVE_BLOCK_BYTES;
    let receive_blocks =
        (2 * l2).next_power_of_two().clamp(limits::RECEIVE_BLOCKS_MIN, limits::RECEIVE_BLOCKS_MAX);
    // Half for bodies that arrive; a request of the largest size must fit one core.
    let per_core = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX) / cpus.len();
    let share = match (config.memory_bytes, probe::memory_bytes()) {
        (Some(bytes), _) => per_core(bytes / 2),
        (None, Some(memory)) => per_core(memory / 8).min(limits::BODY_BYTES_PER_CORE),
        (None, None) => limits::BODY_BYTES_PER_CORE,
    };
    let share = config.queued_request_bytes_max.map_or(share, |bytes| share.min(per_core(bytes)));
    let per_core = share.max(config.request_bytes_max as usize + 2 * BLOCK_BYTES);
    MachineOptions {
        cpus: cpus.iter().map(|cpu| Some(*cpu)).collect(),
        ring: RingOptions {
            spin_max: config.spin_max,
            receive_blocks: receive_blocks as u16,
            receive_block_bytes: limits::RECEIVE_BLOCK_BYTES,
            no_iowait: features.no_iowait,
        },
        block_count: (per_core / BLOCK_BYTES).clamp(16, 1 << 20) as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks of each of two cores, by `highwater.memory` and `queued.max.request.bytes`.
    fn blocks(memory: Option<u64>, queued: Option<u64>) -> usize {
        let (config, _) = BrokerConfig::load(&BrokerConfig::standalone()).unwrap();
        let config = BrokerConfig {
            memory_bytes: memory,
            queued_request_bytes_max: queued,
            request_bytes_max: 1_000_000,
            ..config
        };
        machine_options(&config, &[0, 1], Features::probe(&[])).block_count as usize
    }

    #[test]
    fn the_bytes_of_requests_in_flight_are_bounded_by_either_setting() {
        let memory = Some(400_000_000);
        assert_eq!(blocks(memory, None), 100_000_000 / BLOCK_BYTES);
        assert_eq!(blocks(memory, Some(50_000_000)), 25_000_000 / BLOCK_BYTES);
        assert_eq!(blocks(memory, Some(900_000_000)), 100_000_000 / BLOCK_BYTES);
        assert_eq!(blocks(None, Some(50_000_000)), 25_000_000 / BLOCK_BYTES);
        // A request of the largest size fits a core all the same.
        assert!(blocks(None, Some(1_000_000)) * BLOCK_BYTES >= 1_000_000);
    }
}
