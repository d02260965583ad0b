//! What the broker says of itself when it is ready.

use super::bind::BoundListener;
use super::startup::Plan;
use crate::broker::open::OpenReport;
use crate::config::BrokerConfig;
use crate::controller::Image;
use crate::runtime::machine;
use crate::runtime::probe::kernel_release;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;

/// Everything that the banner tells.
pub struct Banner<'a> {
    pub config: &'a BrokerConfig,
    pub image: &'a Image,
    pub plan: &'a Plan,
    pub paths: Vec<PathBuf>,
    pub file_systems: Vec<String>,
    pub reports: &'a [OpenReport],
    pub is_clean: bool,
}

/// Prints the banner to standard output. A thread of its own does it, for a core does not wait for who
/// reads that; should there be no thread, there is no banner.
pub fn print(text: String) {
    let printing = machine::start_aside("banner", move || {
        // A closed standard output must not stop a broker.
        let _ = std::io::stdout().lock().write_all(text.as_bytes());
        let _ = std::io::stdout().lock().flush();
    });
    if let Err(error) = printing {
        tracing::warn!("ready, and the banner could not be printed: {error}");
    }
}

impl Banner<'_> {
    /// Lines for a person; the last one says `ready`.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let node = self.config.node_id;
        let cluster = &self.image.cluster_id;
        let version = env!("CARGO_PKG_VERSION");
        line(&mut out, "highwater", &format!("{version}, node {node} of cluster {cluster}"));
        for listener in &self.plan.listeners {
            listening(&mut out, listener);
        }
        for (dir, (path, file_system)) in self.paths.iter().zip(&self.file_systems).enumerate() {
            line(&mut out, "data", &format!("{} ({file_system})", path.display()));
            let append = self.reports.first().and_then(|report| report.append_paths.get(dir));
            if let Some(append) = append {
                line(&mut out, "appends", append);
            }
        }
        if let Some(address) = self.plan.watched_at {
            line(&mut out, "metrics", &format!("http://{address}/metrics"));
            if !address.ip().is_loopback() {
                line(&mut out, "WARNING", "the metrics are open to the network");
            }
        }
        line(&mut out, "cores", &self.cores());
        line(&mut out, "kernel", &self.kernel());
        line(&mut out, "acks", &self.acknowledgement());
        self.findings(&mut out);
        for notice in &self.plan.notices {
            line(&mut out, "setting", notice);
        }
        let topics = self.image.topics().len();
        let partitions = self.image.partition_count();
        line(&mut out, "ready", &format!("{topics} topics, {partitions} partitions"));
        out
    }

    fn cores(&self) -> String {
        let mut text = format!("{} pinned:", self.plan.cpus.len());
        for (cpu, report) in self.plan.cpus.iter().zip(self.reports) {
            let _ = write!(text, " cpu {cpu} owns {} partitions,", report.log_count);
        }
        text + " connections are dealt out in turn"
    }

    fn kernel(&self) -> String {
        let has = |is_there| if is_there { "yes" } else { "no" };
        let features = &self.plan.features;
        format!(
            "{}, io_uring (deferred task work), cachestat {}, no-iowait {}, {} open files",
            kernel_release(),
            has(features.cachestat),
            has(features.no_iowait),
            self.plan.file_limit
        )
    }

    /// What a client may believe when it has an acknowledgement.
    fn acknowledgement(&self) -> String {
        match self.config.topic_defaults.flush_messages {
            Some(1) => "an acknowledged record is on disk (log.flush.interval.messages=1)".into(),
            Some(count) => format!(
                "an acknowledged record survives a crash of this process; of a power loss at most \
                 {} records per partition may be lost (log.flush.interval.messages={count})",
                count - 1
            ),
            None => "an acknowledged record is in the page cache: it survives a crash of this \
                     process, not a power loss (flush.messages=1 makes it wait for the disk)"
                .into(),
        }
    }

    fn findings(&self, out: &mut String) {
        let scanned: u64 = self.reports.iter().map(|report| report.bytes_scanned).sum();
        if !self.is_clean && scanned > 0 {
            let text = format!("the last stop was not clean: {scanned} bytes of log were checked");
            line(out, "recovery", &text);
        }
        for finding in self.reports.iter().flat_map(|report| &report.findings) {
            line(out, "recovery", finding);
        }
    }
}

/// Where the broker listens, and what it tells its clients.
fn listening(out: &mut String, listener: &BoundListener) {
    let (facts, bound) = (&listener.facts, listener.bound);
    let port = facts.advertised_port;
    let told = match facts.advertised_host.as_deref() {
        Some(host) if host.contains(':') => format!("clients are told [{host}]:{port}"),
        Some(host) => format!("clients are told {host}:{port}"),
        None => format!("each client is told the address that it came to, port {port}"),
    };
    line(out, "listening", &format!("{} on {bound}, {told}", facts.name));
    if let Some(trouble) = &listener.trouble {
        line(out, "WARNING", trouble);
    }
    let is_told_loopback = !facts.advertised_addresses.is_empty()
        && facts.advertised_addresses.iter().all(IpAddr::is_loopback);
    if !bound.ip().is_loopback() {
        line(out, "WARNING", "this listener is open to the network without authentication");
        if is_told_loopback {
            let text = "clients of other machines are told to come to their own: set \
                        advertised.listeners to an address of this one, or remove it";
            line(out, "note", text);
        }
    }
}

fn line(out: &mut String, what: &str, text: &str) {
    let _ = writeln!(out, "{what:<10} {text}");
}
