//! Starts that must fail, and say why; starts that are odd, and work; and what a broker says of
//! itself when it is ready.

mod process;

use highwater::cli::client::{Acks, Client, FetchLimits};
use highwater::model::{ErrorCode, Offset};
use highwater::protocol::write::DescribeClusterRequest;
use highwater::runtime::machine;
use highwater::runtime::probe::{Features, file_system_name, kernel_release};
use process::{
    PATIENCE, Process, append, batch, eventually, free_address, highwater, read_from, refused,
    values,
};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A start that must fail: it does, and says all these words.
fn check_refused(folder: &Path, arguments: &[&str], words: &[&str]) {
    let mut command = highwater();
    command.arg("serve").args(arguments);
    let mut broker = Process::launch(folder, free_address(), command);
    let status = broker.ended();
    let log = broker.log();
    assert!(!status.success(), "{arguments:?} was accepted:\n{log}");
    assert!(status.code().is_some(), "{arguments:?} ended by a signal:\n{log}");
    for word in words {
        assert!(log.contains(word), "{arguments:?}: it says '{word}':\n{log}");
    }
    assert!(!log.contains("panicked") && !log.contains("\u{1b}["), "{log}");
}

/// The same on a data folder and an address of its own, with these settings; nothing is made.
fn check_setting_refused(setting: &str, words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let (data, address) = (data(folder.path()), free_address().to_string());
    let arguments = ["--data", &data, "--listen", &address, "--override", setting];
    check_refused(folder.path(), &arguments, words);
    assert!(!Path::new(&data).exists(), "{setting}: a refused start leaves no folder");
}

/// Starts with more arguments, waits until it is ready and gives what it said until then.
fn banner(folder: &Path, more: &[&str]) -> (Process, String) {
    let broker = Process::attempt(folder, free_address(), more).ready();
    let log = broker.log();
    (broker, log)
}

fn data(folder: &Path) -> String {
    folder.join("data").display().to_string()
}

/// The line of the banner that begins with this word.
fn line<'a>(banner: &'a str, word: &str) -> &'a str {
    let found = banner.lines().find_map(|line| line.strip_prefix(word));
    found.unwrap_or_else(|| panic!("a line '{word}':\n{banner}")).trim()
}

/// Writes a settings file and starts with nothing but it.
fn start_with_file(folder: &Path, address: SocketAddr, file: &str) -> Process {
    let path = folder.join("server.properties");
    std::fs::write(&path, file).unwrap();
    let mut command = highwater();
    command.args(["serve", "-c"]).arg(path);
    Process::launch(folder, address, command)
}

/// Appends a record and reads it back: the broker works.
fn check_works(broker: &Process) {
    let mut client = broker.client();
    let topic = process::fresh_name("works");
    client.create_topic(&topic, 2, &[]).unwrap();
    client.await_topic(&topic, PATIENCE).unwrap();
    for partition in 0..2 {
        assert_eq!(append(&mut client, &topic, partition, &batch(&["x"])), Offset::ZERO);
        let read = read_from(&mut client, &topic, partition, Offset::ZERO);
        assert_eq!(values(&read), ["x"]);
    }
}

// --- who was there first ------------------------------------------------------------------------

#[test]
fn a_port_that_is_taken_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap().to_string();
    let arguments = ["--data", &data(folder.path()), "--listen", &address];
    let words = [&address, "another process has this port", "--listen"];
    check_refused(folder.path(), &arguments, &words);
    assert!(!folder.path().join("data").exists(), "the data folder is not touched");
}

#[test]
fn two_brokers_never_share_a_port() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let address = free_address();
    let mut broker = Process::start_in(folder.path(), address);
    let address = address.to_string();
    let arguments = ["--data", &data(other.path()), "--listen", &address];
    check_refused(other.path(), &arguments, &[&address]);
    // Nor when one of them asks for all addresses of the host.
    let everywhere = address.replace("127.0.0.1", "0.0.0.0");
    let arguments = ["--data", &data(other.path()), "--listen", &everywhere];
    check_refused(other.path(), &arguments, &[&everywhere]);
    assert!(broker.runs());
    broker.client();
}

#[test]
fn a_second_process_on_a_data_folder_is_told_who_holds_it() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let mut broker = Process::start_in(folder.path(), address);
    let (data, pid) = (data(folder.path()), format!("pid {}", broker.pid()));
    let other = free_address().to_string();
    let arguments = ["--data", &data, "--listen", &other];
    check_refused(folder.path(), &arguments, &[&data, &pid]);
    assert!(broker.runs());
    check_works(&broker);
    // A folder is free again once its broker was killed.
    broker.kill();
    check_works(&Process::start_in(folder.path(), address));
}

// --- settings -----------------------------------------------------------------------------------

#[test]
fn a_setting_that_cannot_be_is_refused_by_name() {
    check_setting_refused("num.partitions=many", &["num.partitions", "many"]);
    check_setting_refused("log.segment.bytes=10", &["log.segment.bytes", "10", "1048576"]);
    check_setting_refused("highwater.append.path=magic", &["highwater.append.path", "magic"]);
    check_setting_refused("process.roles=broker", &["process.roles", "broker,controller"]);
    check_setting_refused("no-equals-sign", &["no-equals-sign", "KEY=VALUE"]);
    check_setting_refused("log.dirs=", &["log.dirs"]);
}

#[test]
fn a_listener_that_is_not_served_is_refused_by_name() {
    for protocol in ["SSL", "SASL_PLAINTEXT", "SASL_SSL"] {
        let listener = format!("{protocol}://127.0.0.1:9093");
        let setting = format!("listeners={listener}");
        check_setting_refused(&setting, &["listeners", &listener, "not served yet"]);
    }
    check_setting_refused("listeners=nonsense", &["listeners", "nonsense"]);
    let unresolved = "listeners=PLAINTEXT://no-such-host.invalid:9092";
    check_setting_refused(unresolved, &["no-such-host.invalid"]);
}

#[test]
fn a_feature_that_nobody_knows_is_refused_by_name() {
    let setting = "highwater.disable.features=cachestat,warp-drive";
    check_setting_refused(setting, &["highwater.disable.features", "'warp-drive'", "cachestat"]);
}

#[test]
fn settings_without_effect_are_named() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let file = format!(
        "node.id=1\nlisteners=PLAINTEXT://{address}\nlog.dirs={}\nmy.own.setting=1\n\
         background.threads=3\nnum.partitions=2\nnum.partitions=3\n",
        data(folder.path())
    );
    let broker = start_with_file(folder.path(), address, &file).ready();
    let log = broker.log();
    let settings: Vec<&str> =
        log.lines().filter_map(|line| line.strip_prefix("setting")).map(str::trim).collect();
    for wanted in [
        "without effect: background.threads=3 (cores replace threads: see highwater.cores)",
        "unknown, without effect: my.own.setting (line 4)",
        "set more than once, the last counts: num.partitions",
    ] {
        assert!(settings.contains(&wanted), "it says '{wanted}':\n{log}");
    }
    let mut client = broker.client();
    client.topic("made", true).ok();
    assert_eq!(client.await_topic("made", PATIENCE).unwrap().partition_count, 3);
}

#[test]
fn the_settings_of_kafkas_own_file_work() {
    let (folder, address, controller) =
        (tempfile::tempdir().unwrap(), free_address(), free_address());
    let (port, controller) = (address.port(), controller.port());
    let file = include_str!("../golden/server.properties")
        .replace(":9092", &format!(":{port}"))
        .replace(":9093", &format!(":{controller}"))
        .replace("/tmp/kraft-combined-logs", &data(folder.path()));
    let broker = start_with_file(folder.path(), address, &file).ready();
    check_works(&broker);
    let log = broker.log();
    let listening = format!("clients are told localhost:{port}");
    assert!(line(&log, "listening").ends_with(&listening), "{log}");
    assert!(!log.contains("offsets.topic.replication.factor"), "groups are served: {log}");
    assert!(log.contains(&format!("not opened: controller listener CONTROLLER://:{controller}")));
    assert!(TcpListener::bind(("127.0.0.1", controller)).is_ok(), "it is not opened");
    // The listener is open to the network, and that is said.
    assert!(log.contains("WARNING"), "{log}");
    assert!(broker.stop().success());
}

#[test]
fn a_settings_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let check = |name: &str, words: &[&str]| {
        let file = path(name);
        check_refused(folder.path(), &["-c", &file], &[words, &[&file]].concat());
    };
    check("missing.properties", &["cannot read", "No such file"]);
    std::fs::create_dir(path("folder.properties")).unwrap();
    check("folder.properties", &["cannot read", "directory"]);
    std::fs::write(path("binary.properties"), b"node.id=1\na=\xff\xfe\n").unwrap();
    check("binary.properties", &["line 2", "UTF-8"]);
    std::fs::write(path("escape.properties"), "a=\\u12\n").unwrap();
    check("escape.properties", &["line 1", "\\u"]);
}

// --- cores --------------------------------------------------------------------------------------

#[test]
fn a_list_of_cores_is_what_runs() {
    let allowed = machine::allowed_cpus();
    let (first, last) = (allowed[0], *allowed.last().unwrap());
    let all = allowed.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    for (asked, expected) in [
        ("auto".to_owned(), allowed.clone()),
        ("1".to_owned(), vec![first]),
        // A single number would be a count.
        (if allowed.len() > 1 { all } else { format!("{first}-{first}") }, allowed.clone()),
        (format!("{last}-{last}"), vec![last]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (broker, log) = banner(folder.path(), &["--cores", &asked]);
        let cores = line(&log, "cores");
        assert!(cores.starts_with(&format!("{} pinned:", expected.len())), "{asked}: {cores}");
        for cpu in &expected {
            assert!(cores.contains(&format!(" cpu {cpu} owns 0 partitions,")), "{asked}: {cores}");
        }
        assert_eq!(pinned(broker.pid()), expected, "{asked}");
        check_works(&broker);
    }
}

/// The CPUs that threads of a process are pinned to, each alone.
fn pinned(pid: u32) -> Vec<usize> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let mut cpus: Vec<usize> = tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("status")).ok())
        .filter(|status| status.lines().next().is_some_and(|name| name.contains("core-")))
        .filter_map(|status| {
            let allowed = status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:"))?;
            allowed.trim().parse().ok()
        })
        .collect();
    cpus.sort_unstable();
    cpus
}

#[test]
fn cores_that_cannot_be_had_are_refused_by_name() {
    for asked in ["0", "99999", "0-1,x"] {
        check_setting_refused(&format!("highwater.cores={asked}"), &["highwater.cores", asked]);
    }
    let missing = machine::allowed_cpus().last().unwrap() + 1000;
    let asked = format!("highwater.cores={missing}-{missing}");
    check_setting_refused(&asked, &["highwater.cores", &missing.to_string(), "may run on"]);
}

// --- data folders -------------------------------------------------------------------------------

#[test]
fn a_missing_data_folder_is_made_with_its_parents() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a/b/c");
    let setting = format!("log.dirs={}", deep.display());
    let (broker, log) = banner(folder.path(), &["--override", &setting]);
    check_works(&broker);
    assert!(line(&log, "data").starts_with(&deep.display().to_string()), "{log}");
    assert!(deep.join("meta.properties").exists());
    assert!(!folder.path().join("data").exists());
}

#[test]
fn a_folder_of_another_node_is_refused_and_unharmed() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let (broker, _) = banner(folder.path(), &[]);
    check_works(&broker);
    assert!(broker.stop().success());
    let before = contents(&folder.path().join("data"));
    let (data, other) = (data(folder.path()), free_address().to_string());
    let arguments = ["--data", &data, "--listen", &other, "--override", "node.id=7"];
    let words = [&data, "belongs to node 1", "node 7", "node.id=1"];
    check_refused(folder.path(), &arguments, &words);
    let after = contents(&folder.path().join("data"));
    assert!(after == before, "its files are what they were");
    let broker = Process::start_in(folder.path(), address);
    assert!(!broker.log().contains("not clean"), "{}", broker.log());
}

/// Names and bytes of the files in a folder, without the lock's.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).unwrap();
    for path in entries.map(|entry| entry.unwrap().path()).filter(|path| !path.ends_with(".lock")) {
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}

#[test]
fn several_data_folders_are_of_one_cluster() {
    let folder = tempfile::tempdir().unwrap();
    let dir = |name: &str| folder.path().join(name).display().to_string();
    let both = format!("log.dirs={},{}", dir("one"), dir("two"));
    let (broker, log) = banner(folder.path(), &["--override", &both]);
    check_works(&broker);
    for name in ["one", "two"] {
        assert!(log.lines().any(|line| line.starts_with("data") && line.contains(&dir(name))));
    }
    assert!(broker.stop().success());
    let (broker, _) = banner(folder.path(), &[]);
    assert!(broker.stop().success());
    let mixed = format!("log.dirs={},{}", dir("one"), data(folder.path()));
    let address = free_address().to_string();
    let arguments = ["--data", &dir("one"), "--listen", &address, "--override", &mixed];
    check_refused(folder.path(), &arguments, &["cluster", &data(folder.path()), "log.dirs"]);
}

/// Topics of one partition each, their first record in, by the folder that holds them: (one, two).
fn topics_in(folder: &Path, client: &mut Client, count: usize) -> [Vec<String>; 2] {
    let mut places = [Vec::new(), Vec::new()];
    for number in 0..count {
        let name = format!("topic{number}");
        client.create_topic(&name, 1, &[("flush.messages", "2")]).unwrap();
        client.await_topic(&name, PATIENCE).unwrap();
        append(client, &name, 0, &batch(&["first"]));
        let is_in = |dir: &str| folder.join(dir).join(format!("{name}-0")).is_dir();
        assert!(is_in("one") != is_in("two"));
        places[usize::from(is_in("two"))].push(name);
    }
    places
}

fn two_folders(folder: &Path) -> String {
    format!("log.dirs={},{}", folder.join("one").display(), folder.join("two").display())
}

#[test]
fn new_partitions_go_to_the_data_folder_with_the_fewest() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--override", &two_folders(folder.path()), "--cores", "1"];
    let (broker, _) = banner(folder.path(), &arguments);
    let mut client = broker.client();
    for (name, count) in [("many", 5), ("few", 3)] {
        client.create_topic(name, count, &[]).unwrap();
        client.await_topic(name, PATIENCE).unwrap();
        for partition in 0..count {
            append(&mut client, name, partition, &batch(&["x"]));
        }
    }
    let count = |dir: &str| list_partitions(&folder.path().join(dir)).len();
    assert_eq!((count("one"), count("two")), (4, 4));
    client.delete_topic("few").unwrap();
    client.create_topic("next", 3, &[]).unwrap();
    client.await_topic("next", PATIENCE).unwrap();
    for partition in 0..3 {
        append(&mut client, "next", partition, &batch(&["x"]));
    }
    assert_eq!((count("one"), count("two")), (4, 4));
}

/// The folders of partitions.
fn list_partitions(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let is_one = |name: &String| {
        !name.starts_with("__")
            && name.rsplit_once('-').is_some_and(|(_, index)| index.parse::<u32>().is_ok())
    };
    names.filter(is_one).collect()
}

#[test]
fn a_start_goes_on_without_a_bad_data_folder_and_makes_nothing_of_it_anew() {
    let folder = tempfile::tempdir().unwrap();
    let dirs = two_folders(folder.path());
    let (broker, _) = banner(folder.path(), &["--override", &dirs]);
    let [good, lost] = topics_in(folder.path(), &mut broker.client(), 8);
    assert!(!good.is_empty() && !lost.is_empty());
    assert!(broker.stop().success());
    let (two, aside) = (folder.path().join("two"), folder.path().join("aside"));
    std::fs::rename(&two, &aside).unwrap();
    std::fs::write(&two, "a disk that cannot be used").unwrap();

    let (broker, log) = banner(folder.path(), &["--override", &dirs]);
    assert!(log.contains(&two.display().to_string()) && log.contains("OUT OF SERVICE"), "{log}");
    let mut client = broker.client();
    for name in &lost {
        let error = refused(client.produce(name, 0, Acks::All, &batch(&["lost"])));
        assert_eq!(error, ErrorCode::KafkaStorageError);
        let error = refused(client.fetch(name, 0, Offset::ZERO, FetchLimits::default()));
        assert_eq!(error, ErrorCode::KafkaStorageError);
    }
    for name in &good {
        assert_eq!(append(&mut client, name, 0, &batch(&["second"])), Offset(1));
    }
    client.create_topic("fresh", 4, &[]).unwrap();
    client.await_topic("fresh", PATIENCE).unwrap();
    for partition in 0..4 {
        append(&mut client, "fresh", partition, &batch(&["x"]));
    }
    assert!(broker.stop().success());
    assert_eq!(std::fs::read(&two).unwrap(), b"a disk that cannot be used");

    std::fs::remove_file(&two).unwrap();
    std::fs::rename(&aside, &two).unwrap();
    let (broker, _) = banner(folder.path(), &["--override", &dirs]);
    let mut client = broker.client();
    for (names, records) in [(&lost, 1), (&good, 2)] {
        for name in names {
            let read = read_from(&mut client, name, 0, Offset::ZERO);
            assert_eq!(values(&read).len(), records, "{name}");
        }
    }
    assert!(broker.stop().success());

    // The one with the metadata log: then there is nothing to go on with.
    let one = folder.path().join("one");
    std::fs::rename(&one, &aside).unwrap();
    std::fs::write(&one, "").unwrap();
    let address = free_address().to_string();
    let arguments = ["--listen", &address, "--override", &dirs];
    check_refused(folder.path(), &arguments, &["metadata log", &one.display().to_string()]);
}

/// Puts a file in the place of a partition's folder: the next sync of the folder fails.
fn break_folder(folder: &Path) {
    let mut aside = folder.as_os_str().to_owned();
    aside.push(".aside");
    std::fs::rename(folder, aside).unwrap();
    std::fs::write(folder, "").unwrap();
}

#[test]
fn a_data_folder_that_fails_takes_its_partitions_out_of_service_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let (broker, _) = banner(folder.path(), &["--override", &two_folders(folder.path())]);
    let mut client = broker.client();
    let [good, lost] = topics_in(folder.path(), &mut client, 8);
    let record = batch(&["second"]);
    break_folder(&folder.path().join("two").join(format!("{}-0", lost[0])));
    let error = refused(client.produce(&lost[0], 0, Acks::All, &record));
    assert_eq!(error, ErrorCode::KafkaStorageError);
    // Partitions of other cores, too, once the news is there.
    for name in &lost {
        eventually("the directory is out of service on every core", || {
            let fetched = client.fetch(name, 0, Offset::ZERO, FetchLimits::default());
            (fetched.is_err() && refused(fetched) == ErrorCode::KafkaStorageError).then_some(())
        });
        let error = refused(client.produce(name, 0, Acks::All, &record));
        assert_eq!(error, ErrorCode::KafkaStorageError);
    }
    for name in &good[1..] {
        assert_eq!(append(&mut client, name, 0, &record), Offset(1));
    }
    broker.says("OUT OF SERVICE");
    // The other one holds the metadata log: without it there is nothing to go on with.
    break_folder(&folder.path().join("one").join(format!("{}-0", good[0])));
    let _ = client.produce(&good[0], 0, Acks::All, &record);
    let mut broker = broker;
    assert!(!broker.ended().success());
    assert!(broker.log().contains("metadata log has failed"), "{}", broker.log());
}

#[test]
fn a_data_folder_that_is_no_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "text").unwrap();
    for path in ["file", "file/below"] {
        let path = folder.path().join(path).display().to_string();
        let address = free_address().to_string();
        check_refused(folder.path(), &["--data", &path, "--listen", &address], &[&path]);
    }
    assert_eq!(std::fs::read(folder.path().join("file")).unwrap(), b"text");
}

#[test]
fn a_data_folder_that_is_read_only_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    std::fs::create_dir(&data).unwrap();
    let address = free_address();
    let mut command = Command::new("unshare");
    // Root may write whatever the mode says, but not on a read-only mount.
    let script = r#"mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@""#;
    command.args(["--mount", "sh", "-c", script, "sh", &data]);
    command.arg(highwater().get_program());
    command.args(["serve", "--data", &data, "--listen", &address.to_string()]);
    let mut broker = Process::launch(folder.path(), address, command);
    let status = broker.ended();
    let log = broker.log();
    assert!(!status.success(), "{log}");
    assert!(log.contains(&data) && log.contains("Read-only file system"), "{log}");
    assert!(!log.contains("panicked"), "{log}");
}

// --- what a broker says of itself ---------------------------------------------------------------

#[test]
fn the_banner_tells_what_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (broker, log) = banner(folder.path(), &[]);
    let version = format!("{}, node 1 of cluster ", env!("CARGO_PKG_VERSION"));
    let cluster = line(&log, "highwater").strip_prefix(&version).expect("version and node");
    let request = DescribeClusterRequest::default();
    let answer = broker.client().call(&request, &[]).unwrap();
    assert_eq!(answer.view().cluster_id, cluster, "clients are told the same");
    let address = broker.address;
    let listening = format!("PLAINTEXT on {address}, clients are told {address}");
    assert_eq!(line(&log, "listening"), listening);
    let file_system = file_system_name(folder.path()).unwrap();
    assert_eq!(line(&log, "data"), format!("{} ({file_system})", data(folder.path())));
    assert!(line(&log, "appends").starts_with("inline pwritev (auto"), "{log}");
    assert!(line(&log, "cores").contains("pinned: cpu "), "{log}");
    let kernel = line(&log, "kernel");
    assert!(kernel.starts_with(&kernel_release()), "{kernel}");
    for feature in Features::NAMES {
        assert!(kernel.contains(feature), "{kernel}");
    }
    let acks = line(&log, "acks");
    assert!(acks.contains("page cache") && acks.contains("not a power loss"), "{acks}");
    assert_eq!(line(&log, "ready"), "0 topics, 0 partitions");
    assert_eq!(log.lines().last().map(|line| line.starts_with("ready")), Some(true), "{log}");
}

#[test]
fn the_banner_counts_topics_and_the_partitions_of_each_core() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let broker = Process::start_in(folder.path(), address);
    let mut client = broker.client();
    client.create_topic("counted", 17, &[]).unwrap();
    client.create_topic("counted-too", 3, &[]).unwrap();
    assert!(broker.stop().success());
    let broker = Process::start_in(folder.path(), address);
    let log = broker.log();
    assert_eq!(line(&log, "ready"), "2 topics, 20 partitions");
    let owned: u32 = line(&log, "cores")
        .split(" owns ")
        .skip(1)
        .map(|rest| rest.split(' ').next().unwrap().parse::<u32>().unwrap())
        .sum();
    assert_eq!(owned, 20, "{log}");
}

#[test]
fn features_that_are_switched_off_are_off() {
    let folder = tempfile::tempdir().unwrap();
    let off = ["--override", "highwater.disable.features=all"];
    let (broker, log) = banner(folder.path(), &off);
    let kernel = line(&log, "kernel");
    for feature in Features::NAMES {
        assert!(kernel.contains(&format!("{feature} no")), "{kernel}");
    }
    check_works(&broker);
}

#[test]
fn the_append_path_is_what_the_setting_says() {
    for (setting, words) in
        [("inline", "inline pwritev (by setting)"), ("ring", "io_uring (by setting)")]
    {
        let folder = tempfile::tempdir().unwrap();
        let setting = format!("highwater.append.path={setting}");
        let (broker, log) = banner(folder.path(), &["--override", &setting]);
        assert_eq!(line(&log, "appends"), words);
        check_works(&broker);
    }
}

#[test]
fn the_meaning_of_an_acknowledgement_follows_the_settings() {
    for (count, words) in [("1", "is on disk"), ("100", "at most 99 records")] {
        let folder = tempfile::tempdir().unwrap();
        let setting = format!("log.flush.interval.messages={count}");
        let (broker, log) = banner(folder.path(), &["--override", &setting]);
        assert!(line(&log, "acks").contains(words), "{log}");
        check_works(&broker);
    }
}

#[test]
fn a_recovery_is_told() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let broker = Process::start_in(folder.path(), address);
    check_works(&broker);
    broker.kill();
    let broker = Process::start_in(folder.path(), address);
    let log = broker.log();
    assert!(line(&log, "recovery").starts_with("the last stop was not clean"), "{log}");
    assert!(broker.stop().success());
    let broker = Process::start_in(folder.path(), address);
    assert!(!broker.log().contains("recovery"), "{}", broker.log());
}

#[test]
fn the_data_folder_is_its_owners_and_one_that_is_not_is_named() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, data) = (tempfile::tempdir().unwrap(), "data");
    let data = folder.path().join(data);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let broker = Process::start_in(folder.path(), free_address());
    let mut client = broker.client();
    client.create_topic("owned", 1, &[]).unwrap();
    client.await_topic("owned", PATIENCE).unwrap();
    append(&mut client, "owned", 0, &batch(&["a"]));
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&data.join("owned-0")), 0o700);
    let segment = data.join("owned-0/00000000000000000000.log");
    assert_eq!(mode(&segment) & 0o007, 0, "others have no right to a file");
    assert!(!broker.log().contains("open to other users"), "{}", broker.log());
    assert!(broker.stop().success());
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
    let broker = Process::start_in(folder.path(), free_address());
    broker.says("is open to other users of this machine (mode 755)");
}
