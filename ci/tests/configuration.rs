//! Where settings come from and which one counts; what is said of those that cannot be; several
//! listeners, and what each client is told.

mod process;

use highwater::cli::client::Client;
use highwater::protocol::write::find_coordinator::FindCoordinatorRequest;
use highwater::protocol::write::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig,
};
use highwater::protocol::write::{
    DescribeClusterRequest, IncrementalAlterConfigsRequest, MetadataRequest,
};
use highwater::runtime::clock;
use process::{PATIENCE, Process, client, eventually, free_address, highwater};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What Kafka ships, in keys and values.
const STOCK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/ci/golden/server.properties");

/// Starts with a file, variables and flags of the test's.
fn launch(
    folder: &Path,
    address: SocketAddr,
    file: &str,
    variables: &[(&str, &str)],
    flags: &[&str],
) -> Process {
    let path = folder.join("server.properties");
    std::fs::write(&path, file).unwrap();
    let mut command = highwater();
    command.args(["serve", "-c"]).arg(path).args(flags).envs(variables.iter().copied());
    Process::launch(folder, address, command)
}

/// A file with these listeners and the rest that a test needs.
fn file(folder: &Path, listeners: &str, more: &[&str]) -> String {
    let data = folder.join("data");
    let mut text = format!("listeners={listeners}\nlog.dirs={}\n", data.display());
    for line in more {
        writeln!(text, "{line}").unwrap();
    }
    text
}

/// Where a client is told that the broker is: by Metadata, DescribeCluster and FindCoordinator.
fn told(client: &mut Client) -> String {
    let answer = client.call(&MetadataRequest::default(), &[]).unwrap();
    let view = answer.view();
    let brokers: Vec<_> = view.brokers.iter().map(|b| format!("{}:{}", b.host, b.port)).collect();
    let [told] = brokers.try_into().expect("one broker");
    let answer = client.call(&DescribeClusterRequest::default(), &[]).unwrap();
    let brokers = answer.view().brokers;
    let also = brokers.iter().map(|b| format!("{}:{}", b.host, b.port)).next().unwrap();
    assert_eq!(also, told, "DescribeCluster tells the same");
    let request = FindCoordinatorRequest {
        coordinator_keys: vec!["group".into()],
        ..FindCoordinatorRequest::default()
    };
    let answer = client.call(&request, &[]).unwrap();
    let found = answer.view().coordinators.iter().next().unwrap();
    assert_eq!(format!("{}:{}", found.host, found.port), told, "FindCoordinator tells the same");
    told
}

fn partition_count(broker: &Process, topic: &str) -> usize {
    let mut client = broker.client();
    client.topic(topic, true).ok();
    client.await_topic(topic, PATIENCE).unwrap().partition_count
}

// --- sources ------------------------------------------------------------------------------------

#[test]
fn kafkas_own_file_starts_unchanged() {
    // In a network of its own its ports are free; only the folder is given, to leave /tmp alone.
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    let script = r#"ip link set lo up && exec "$@""#;
    command.args(["--net", "sh", "-c", script, "sh"]).arg(highwater().get_program());
    command.args(["serve", "-c", STOCK, "--data"]).arg(folder.path().join("data"));
    let broker = Process::launch(folder.path(), free_address(), command);
    let log = eventually("the broker is ready", || {
        Some(broker.log()).filter(|log| log.lines().any(|line| line.starts_with("ready")))
    });
    for words in [
        "clients are told localhost:9092",
        "not opened: controller listener CONTROLLER://:9093 (one node is its own quorum)",
        "without effect: controller.quorum.bootstrap.servers=localhost:9093",
    ] {
        assert!(log.contains(words), "{words}:\n{log}");
    }
    assert!(broker.stop().success());
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let listeners = format!("PLAINTEXT://{address}");
    let file = file(folder.path(), &listeners, &["num.partitions=2", "node.id=4"]);
    let variables = [
        ("KAFKA_NUM_PARTITIONS", "3"),
        ("KAFKA_BROKER_RACK", "here"),
        ("KAFKA_HEAP_OPTS", "-Xmx1G"),
        ("KAFKA_ZOOKEEPER_CONNECT", "zookeeper:2181"),
        ("KAFKA_NUM_PARTITION", "9"),
    ];
    let broker = launch(folder.path(), address, &file, &variables, &[]).ready();
    assert_eq!(partition_count(&broker, "by-variable"), 3);
    let answer = broker.client().call(&MetadataRequest::default(), &[]).unwrap();
    let view = answer.view();
    let told = view.brokers.iter().next().unwrap();
    assert_eq!((told.node_id, told.rack), (4, Some("here")));
    let log = broker.log();
    for words in [
        "KAFKA_HEAP_OPTS is not read. There is no Java heap",
        "zookeeper.connect (KAFKA_ZOOKEEPER_CONNECT): there is no ZooKeeper",
        "num.partition (KAFKA_NUM_PARTITION; did you mean num.partitions?)",
    ] {
        assert!(log.contains(words), "{words}:\n{log}");
    }
    assert!(broker.stop().success());
    let flags = ["--override", "num.partitions=4"];
    let broker = launch(folder.path(), address, &file, &variables, &flags).ready();
    assert_eq!(partition_count(&broker, "by-flag"), 4);
}

#[test]
fn variables_alone_are_a_configuration() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let controller = free_address();
    let mut command = highwater();
    command.arg("serve").envs([
        ("KAFKA_NODE_ID", "7".to_owned()),
        ("KAFKA_PROCESS_ROLES", "broker,controller".to_owned()),
        ("KAFKA_LISTENERS", format!("PLAINTEXT://{address},CONTROLLER://{controller}")),
        ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER".to_owned()),
        ("KAFKA_CONTROLLER_QUORUM_VOTERS", format!("7@{controller}")),
        ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT".into()),
        ("KAFKA_LOG_DIRS", folder.path().join("data").display().to_string()),
        ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1".to_owned()),
    ]);
    let broker = Process::launch(folder.path(), address, command).ready();
    assert_eq!(told(&mut broker.client()), address.to_string());
    assert!(broker.log().contains("node 7 of cluster"), "{}", broker.log());
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let text = "num.partitions=many\nlisteners=SSL://:9093\nssl.keystore.password=hunter2\n\
                compression.type=zstdd\nhighwater.memroy=1\n";
    let variables = [("KAFKA_NODE_ID", "-1")];
    let flags = ["--cores", "none"];
    let mut broker = launch(folder.path(), free_address(), text, &variables, &flags);
    let (status, log) = (broker.ended(), broker.log());
    assert_eq!(status.code(), Some(2), "{log}");
    for words in [
        "server.properties: 7 settings cannot be as they are:",
        "line 1: Invalid value many for configuration num.partitions",
        "line 2: listeners: SSL://:9093 speaks SSL, which is not served yet",
        "line 3: ssl.keystore.password=[hidden]: TLS is not served yet",
        "line 4: Invalid value zstdd for configuration compression.type",
        "(did you mean zstd?)",
        "line 5: highwater.memroy is no setting of this broker; did you mean highwater.memory?",
        "KAFKA_NODE_ID: Invalid value -1 for configuration node.id",
        "--cores: highwater.cores=none",
    ] {
        assert!(log.contains(words), "{words}:\n{log}");
    }
    assert!(!log.contains("hunter2") && !log.contains("panicked"), "{log}");
}

// --- listeners ----------------------------------------------------------------------------------

#[test]
fn each_listener_tells_its_own_address() {
    let folder = tempfile::tempdir().unwrap();
    let (inner, outer, bare) = (free_address(), free_address(), free_address());
    let listeners = format!("INNER://{inner},OUTER://{outer},BARE://{bare}");
    let more = [
        "listener.security.protocol.map=INNER:PLAINTEXT,outer:PLAINTEXT,BARE:PLAINTEXT",
        "inter.broker.listener.name=INNER",
        "advertised.listeners=INNER://inner.example:1111,OUTER://localhost:2222",
    ];
    let file = file(folder.path(), &listeners, &more);
    let broker = launch(folder.path(), inner, &file, &[], &[]).ready();
    assert_eq!(told(&mut broker.client()), "inner.example:1111");
    assert_eq!(told(&mut client(outer)), "localhost:2222");
    assert_eq!(told(&mut client(bare)), bare.to_string());
    let log = broker.log();
    assert!(log.contains(&format!("INNER on {inner}, clients are told inner.example:1111")));
    assert!(log.contains("clients are told inner.example, which cannot be resolved here"), "{log}");
}

#[test]
fn a_client_of_a_listener_on_every_address_is_told_the_one_it_came_to() {
    for every in ["", "0.0.0.0"] {
        let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
        let port = address.port();
        let file = file(folder.path(), &format!("PLAINTEXT://{every}:{port}"), &[]);
        let broker = launch(folder.path(), address, &file, &[], &[]).ready();
        assert_eq!(told(&mut broker.client()), format!("127.0.0.1:{port}"), "{every}");
        let second = SocketAddr::from(([127, 0, 0, 2], port));
        assert_eq!(told(&mut client(second)), format!("127.0.0.2:{port}"), "{every}");
        let sixth = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
        if every.is_empty() && TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
            assert_eq!(told(&mut client(sixth)), format!("::1:{port}"));
        }
        let log = broker.log();
        assert!(log.contains("each client is told the address that it came to"), "{log}");
        assert!(broker.stop().success());
    }
}

/// An address of this machine that others reach, if it has one.
fn outer_address() -> Option<IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: the kernel only says which address it would send from.
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}

#[test]
fn who_comes_from_outside_is_told_the_outer_address() {
    let Some(outer) = outer_address() else { return };
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let port = address.port();
    let file = file(folder.path(), &format!("PLAINTEXT://:{port}"), &[]);
    let broker = launch(folder.path(), address, &file, &[], &[]).ready();
    let mut client = client((outer, port).into());
    assert_eq!(told(&mut client), format!("{outer}:{port}"));
    drop(broker);
}

#[test]
fn who_is_told_an_address_and_does_not_come_there_is_named() {
    let (folder, address, nowhere) = (tempfile::tempdir().unwrap(), free_address(), free_address());
    let advertised = format!("advertised.listeners=PLAINTEXT://{nowhere}");
    let file = file(folder.path(), &format!("PLAINTEXT://{address}"), &[&advertised]);
    let broker = launch(folder.path(), address, &file, &[], &[]).ready();
    let mut lost = broker.client();
    assert_eq!(told(&mut lost), nowhere.to_string());
    let log = eventually("the lost client is named", || {
        Some(broker.log()).filter(|log| log.contains("seems not to reach"))
    });
    for words in [
        format!(
            "127.0.0.1 (highwater {}) came to PLAINTEXT at {address}",
            env!("CARGO_PKG_VERSION")
        ),
        format!("was told {nowhere}"),
        "advertised.listeners=PLAINTEXT://HOST:PORT".to_owned(),
    ] {
        assert!(log.contains(&words), "{words}:\n{log}");
    }
}

// --- who may come -------------------------------------------------------------------------------

#[test]
fn an_address_has_at_most_its_connections() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let more = ["max.connections.per.ip=100", "max.connections.per.ip.overrides=localhost:2"];
    let file = file(folder.path(), &format!("PLAINTEXT://{address}"), &more);
    let broker = launch(folder.path(), address, &file, &[], &[]).ready();
    let come = || Client::connect(address, PATIENCE).ok();
    // The one that looked whether it is ready leaves first.
    let first = eventually("there is room", come);
    let _second = eventually("there is room for two", come);
    assert!(come().is_none(), "the third is closed");
    eventually("the third is named", || {
        let refusal = "refusing a connection from 127.0.0.1: 2 are open from there";
        broker.log().contains(refusal).then_some(())
    });
    drop(first);
    eventually("who leaves makes room", come);
}

#[test]
fn all_cores_together_have_at_most_max_connections() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let file = file(folder.path(), &format!("PLAINTEXT://{address}"), &["max.connections=3"]);
    let broker = launch(folder.path(), address, &file, &[], &["--cores", "2"]).ready();
    let come = || Client::connect(address, PATIENCE).ok();
    // The one that looked whether it is ready leaves first.
    let mut open = Vec::new();
    while open.len() < 3 {
        open.push(eventually("there is room for three", come));
    }
    assert!(come().is_none(), "the fourth is closed");
    eventually("the fourth is named", || {
        let refusal = "refusing a connection from 127.0.0.1: 3 are open (max.connections)";
        broker.log().contains(refusal).then_some(())
    });
    open.remove(0);
    open.push(eventually("who leaves makes room", come));
    raise_connections(&mut open[0], "4");
    open.push(eventually("there is room for one more", come));
    assert!(come().is_none(), "and no other");
}

fn raise_connections(client: &mut Client, to: &str) {
    let change = AlterableConfig {
        name: "max.connections".into(),
        config_operation: 0,
        value: Some(to.into()),
    };
    let resource =
        AlterConfigsResource { resource_type: 4, resource_name: "".into(), configs: vec![change] };
    let request =
        IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    let answer = client.call(&request, &[]).unwrap();
    assert_eq!(answer.view().responses.first().unwrap().error_code, 0);
}

#[test]
fn new_connections_keep_their_pace() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let more = ["max.connection.creation.rate=5"];
    let file = file(folder.path(), &format!("PLAINTEXT://{address}"), &more);
    let broker = launch(folder.path(), address, &file, &[], &[]).ready();
    let start = clock::monotonic();
    for _ in 0..15 {
        broker.client();
    }
    // Five at once, then one every fifth of a second.
    let took = clock::monotonic().since(start);
    assert!(took >= Duration::from_millis(1800), "{took:?}");
}
