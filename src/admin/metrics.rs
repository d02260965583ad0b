//! The metrics as Prometheus reads them: its text format, names as Kafka's own metrics get from
//! the usual exporter where one fits, `highwater_*` else. A few series per core, none per partition.

use crate::api::registry;
use crate::base::Counter;
use crate::broker::metrics::{AppendMetrics, CoreMetrics, Metrics};
use crate::runtime::core::Counters;
use crate::runtime::panics;
use std::fmt::{Display, Write as _};
use std::sync::Arc;

/// Where the counters are, and what they are counted of.
pub struct Page {
    metrics: Arc<Metrics>,
    /// Log directories, in the order of the settings.
    dirs: Vec<String>,
}

/// A counter of a core: name, help, where it is.
type Of<T> = (&'static str, &'static str, fn(&T) -> &Counter);

/// Summed over the cores, as Kafka counts per broker.
const SUMS: &[Of<CoreMetrics>] = &[
    (
        "kafka_server_brokertopicmetrics_messagesin_total",
        "Records appended by producers.",
        |core| &core.records_in,
    ),
    (
        "kafka_server_brokertopicmetrics_bytesin_total",
        "Bytes of record batches appended by producers.",
        |core| &core.bytes_in,
    ),
    (
        "kafka_server_brokertopicmetrics_bytesout_total",
        "Bytes of record batches in answers to fetches.",
        |core| &core.bytes_out,
    ),
    (
        "kafka_server_brokertopicmetrics_failedproducerequests_total",
        "Partitions of produce requests that were answered with an error.",
        |core| &core.failed_produces,
    ),
    (
        "kafka_server_brokertopicmetrics_failedfetchrequests_total",
        "Partitions of fetch requests that were answered with an error.",
        |core| &core.failed_fetches,
    ),
    (
        "kafka_network_socketserver_expiredconnectionskilled_total",
        "Connections that were closed after connections.max.idle.ms.",
        |core| &core.connections_expired,
    ),
];

/// Core by core.
const PER_CORE: &[Of<CoreMetrics>] = &[
    ("highwater_connections_accepted_total", "Connections that this core has taken.", |core| {
        &core.connections_accepted
    }),
    (
        "highwater_connections_refused_total",
        "Connections that were closed at once because of a limit.",
        |core| &core.connections_refused,
    ),
    (
        "highwater_connections_ended_total",
        "Connections that were closed because of what they sent.",
        |core| &core.connections_ended,
    ),
    (
        "highwater_receive_parks_total",
        "Receives that found no buffer in the core's receive ring.",
        |core| &core.receive_parks,
    ),
    (
        "highwater_core_stuck_turns_total",
        "Turns of the core's loop that took more than a second.",
        |core| &core.stuck_turns,
    ),
    (
        "highwater_fetch_slices_warmed_total",
        "Slices of segment files that were not in the page cache and were brought in first.",
        |core| &core.slices_warmed,
    ),
    (
        "highwater_fetch_bytes_copied_total",
        "Bytes of segment files that were read and sent as a copy, not by sendfile.",
        |core| &core.bytes_copied,
    ),
];

/// Of the cores' loops.
const LOOPS: &[Of<Counters>] = &[
    ("highwater_core_turns_total", "Turns of the core's loop.", |turns| &turns.turns),
    ("highwater_core_sleeps_total", "Turns in which the core slept.", |turns| &turns.sleeps),
    ("highwater_core_operations_total", "Operations begun.", |turns| &turns.ops),
    ("highwater_core_ring_enters_total", "System calls of the ring.", |turns| &turns.enters),
    ("highwater_core_inline_calls_total", "Writes, reads and sends made in place.", |turns| {
        &turns.inline_calls
    }),
    (
        "highwater_core_inline_stalls_total",
        "Calls made in place that took more than 5 ms.",
        |turns| &turns.inline_stalls,
    ),
];

impl Page {
    pub fn new(metrics: Arc<Metrics>, dirs: Vec<String>) -> Self {
        Self { metrics, dirs }
    }

    /// The whole page.
    pub fn text(&self) -> String {
        let mut out = String::with_capacity(16 << 10);
        let version = env!("CARGO_PKG_VERSION");
        head(&mut out, "highwater_build_info", "gauge", "The version that runs.");
        line(&mut out, "highwater_build_info", &[("version", &version)], 1);
        for (name, help, of) in SUMS {
            head(&mut out, name, "counter", help);
            line(&mut out, name, &[], self.sum(of));
        }
        self.requests(&mut out);
        self.levels(&mut out);
        for (name, help, of) in PER_CORE {
            head(&mut out, name, "counter", help);
            for (index, core) in self.metrics.cores().iter().enumerate() {
                line(&mut out, name, &[("core", &index)], of(core).get());
            }
        }
        for (name, help, of) in LOOPS {
            head(&mut out, name, "counter", help);
            for (index, core) in self.metrics.cores().iter().enumerate() {
                let count = core.turns().map_or(0, |turns| of(turns).get());
                line(&mut out, name, &[("core", &index)], count);
            }
        }
        self.turns(&mut out);
        self.appends(&mut out);
        out
    }

    fn turns(&self, out: &mut String) {
        let name = "highwater_core_longest_turn_seconds";
        head(out, name, "gauge", "The longest turn of the core's loop so far, sleep aside.");
        for (index, core) in self.metrics.cores().iter().enumerate() {
            let longest =
                core.turns().map_or(0.0, |turns| turns.doing.longest_turn().as_secs_f64());
            line(out, name, &[("core", &index)], longest);
        }
        let name = "highwater_caught_panics_total";
        let help = "Requests on which the broker's own code failed; their connections were closed.";
        head(out, name, "counter", help);
        line(out, name, &[], panics::caught_count());
    }

    fn sum(&self, of: impl Fn(&CoreMetrics) -> &Counter) -> u64 {
        self.metrics.cores().iter().map(|core| of(core).get()).sum()
    }

    /// One series per API that is served.
    fn requests(&self, out: &mut String) {
        let name = "kafka_network_requestmetrics_requests_total";
        head(out, name, "counter", "Requests begun, by API.");
        for row in registry::ROWS {
            let cores = self.metrics.cores().iter();
            let count: u64 = cores.map(|core| core.requests(row.api.key())).sum();
            line(out, name, &[("request", &row.api.name())], count);
        }
    }

    fn levels(&self, out: &mut String) {
        let partitions = self.sum(|core| &core.partitions);
        let of_metadata = |of: fn(&CoreMetrics) -> &Counter| self.sum(of);
        // One node leads what it has, and has no replicas that could be behind.
        let levels: [(&str, &str, u64); 9] = [
            (
                "kafka_server_replicamanager_partitioncount",
                "Partitions of this broker.",
                partitions,
            ),
            ("kafka_server_replicamanager_leadercount", "Partitions that it leads.", partitions),
            (
                "kafka_server_replicamanager_underreplicatedpartitions",
                "Partitions that it leads and that have replicas out of sync.",
                0,
            ),
            (
                "kafka_controller_kafkacontroller_activecontrollercount",
                "1 where the controller of the cluster is active.",
                1,
            ),
            (
                "kafka_controller_kafkacontroller_activebrokercount",
                "Brokers of the cluster that are not fenced.",
                1,
            ),
            (
                "kafka_controller_kafkacontroller_globaltopiccount",
                "Topics of the cluster.",
                of_metadata(|core| &core.topics),
            ),
            (
                "kafka_controller_kafkacontroller_globalpartitioncount",
                "Partitions of the cluster.",
                of_metadata(|core| &core.cluster_partitions),
            ),
            (
                "kafka_coordinator_group_groupmetadatamanager_numgroups",
                "Groups that this broker coordinates.",
                self.sum(|core| &core.groups),
            ),
            (
                "kafka_log_logmanager_offlinelogdirectorycount",
                "Log directories that are out of service.",
                of_metadata(|core| &core.offline_dirs),
            ),
        ];
        for (name, help, level) in levels {
            head(out, name, "gauge", help);
            line(out, name, &[], level);
        }
        let name = "kafka_server_socketservermetrics_connection_count";
        head(out, name, "gauge", "Open connections, by core.");
        for (index, core) in self.metrics.cores().iter().enumerate() {
            line(out, name, &[("core", &index)], core.connections.get());
        }
    }

    /// How appends reach the files of each log directory.
    fn appends(&self, out: &mut String) {
        let name = "highwater_append_path";
        head(out, name, "gauge", "1 for the path that appends to busy files take.");
        self.each_dir(|core, dir, appends| {
            for (path, is_taken) in
                [("inline", 1 - appends.is_ring.get()), ("ring", appends.is_ring.get())]
            {
                line(out, name, &[("core", core), ("dir", dir), ("path", &path)], is_taken);
            }
        });
        let name = "highwater_append_writes_total";
        head(out, name, "counter", "Writes to open segment files, by path.");
        self.each_dir(|core, dir, appends| {
            for (path, count) in
                [("inline", &appends.inline_writes), ("ring", &appends.ring_writes)]
            {
                line(out, name, &[("core", core), ("dir", dir), ("path", &path)], count.get());
            }
        });
        let name = "highwater_append_ring_ends_total";
        head(out, name, "counter", "Counted ring writes: done at once, or by a worker.");
        self.each_dir(|core, dir, appends| {
            for (end, count) in
                [("at_once", &appends.ring_at_once), ("worker", &appends.ring_punted)]
            {
                line(out, name, &[("core", core), ("dir", dir), ("end", &end)], count.get());
            }
        });
        let name = "highwater_append_over_budget_total";
        head(out, name, "counter", "Writes that took the ring because much was dirty.");
        self.each_dir(|core, dir, appends| {
            line(out, name, &[("core", core), ("dir", dir)], appends.over_budget.get());
        });
    }

    fn each_dir(&self, mut with: impl FnMut(&dyn Display, &dyn Display, &AppendMetrics)) {
        for (index, core) in self.metrics.cores().iter().enumerate() {
            for (dir, appends) in self.dirs.iter().zip(&core.appends) {
                with(&index, dir, appends);
            }
        }
    }
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(out: &mut String, name: &str, labels: &[(&str, &dyn Display)], value: impl Display) {
    out.push_str(name);
    for (place, (label, text)) in labels.iter().enumerate() {
        out.push(if place == 0 { '{' } else { ',' });
        let _ = write!(out, "{label}=\"");
        escape(out, &text.to_string());
        out.push('"');
    }
    let _ = writeln!(out, "{} {value}", if labels.is_empty() { "" } else { "}" });
}

/// What would end a label's value is escaped.
fn escape(out: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_adds_up_the_cores_and_escapes_what_people_name_their_folders() {
        let metrics = Metrics::new(2, 1);
        for core in metrics.cores() {
            core.note_append(3, 700);
            core.note_request(0);
        }
        metrics.cores()[1].appends[0].is_ring.set(1);
        let text = Page::new(Arc::clone(&metrics), vec!["/a \"b\"\\c".into()]).text();
        let has = |line: &str| assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        has("kafka_server_brokertopicmetrics_messagesin_total 6");
        has("kafka_server_brokertopicmetrics_bytesin_total 1400");
        has("kafka_network_requestmetrics_requests_total{request=\"Produce\"} 2");
        has(r#"highwater_append_path{core="0",dir="/a \"b\"\\c",path="inline"} 1"#);
        has(r#"highwater_append_path{core="1",dir="/a \"b\"\\c",path="ring"} 1"#);
        has(r#"highwater_core_turns_total{core="1"} 0"#);
    }

    #[test]
    fn each_name_has_one_head_before_its_series() {
        let metrics = Metrics::new(3, 2);
        let text = Page::new(Arc::clone(&metrics), vec!["/a".into(), "/b".into()]).text();
        let mut heads = std::collections::BTreeSet::new();
        let mut current = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                current = rest.split_once(' ').unwrap().0;
                assert!(heads.insert(current), "{current} has two heads");
            } else if !line.starts_with('#') {
                let name = line.split(['{', ' ']).next().unwrap();
                assert_eq!(name, current);
                assert!(line.rsplit_once(' ').unwrap().1.parse::<f64>().is_ok());
            }
        }
    }
    #[test]
    fn a_large_machine_has_few_enough_series_whatever_it_stores() {
        let metrics = Metrics::new(64, 1);
        metrics.cores()[0].partitions.set(10_000);
        let text = Page::new(metrics, vec!["/a".into()]).text();
        let series = text.lines().filter(|line| !line.starts_with('#')).count();
        assert!(series < 3000, "{series}");
    }
}
