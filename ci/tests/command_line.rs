//! The command line against a running broker: what is printed, as tables and as JSON, how each command
//! ends, and that nothing is destroyed without consent.

mod process;

use process::{Process, append, batch, client, free_address, highwater};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

/// How a command ended and what it printed.
#[derive(Debug)]
struct Ran {
    status: i32,
    out: String,
    err: String,
}

/// The program without the flags that its user may have set by variables.
fn program() -> Command {
    let mut command = highwater();
    for (name, _) in std::env::vars_os() {
        let bytes = name.as_encoded_bytes();
        if bytes.starts_with(b"HIGHWATER_") && !bytes.starts_with(b"HIGHWATER_TEST_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs to the end; nobody can be asked.
fn run(words: &[&str]) -> Ran {
    let output = program().args(words).stdin(Stdio::null()).output().expect("the program starts");
    Ran {
        status: output.status.code().expect("it ends by itself"),
        out: String::from_utf8(output.stdout).expect("text"),
        err: String::from_utf8(output.stderr).expect("text"),
    }
}

/// The same against this broker.
fn ask(address: SocketAddr, line: &str) -> Ran {
    let brokers = address.to_string();
    let mut words = vec!["-B", &brokers];
    words.extend(line.split(' '));
    run(&words)
}

/// Runs, must end with 0, and gives what it printed, with ids masked.
fn told(address: SocketAddr, line: &str) -> String {
    let ran = ask(address, line);
    assert_eq!(ran.status, 0, "{line}: {ran:?}");
    masked(&ran.out)
}

/// Topic ids are random: 22 characters of base64 become as many crosses.
fn masked(text: &str) -> String {
    let is_id = |word: &str| {
        let of_id = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        word.len() == 22
            && word.chars().all(of_id)
            && word.contains(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit())
    };
    let mut out = String::new();
    for word in text.split_inclusive([' ', '\n', '"', '\t']) {
        let (body, end) = word.split_at(word.len().saturating_sub(1));
        if is_id(body) {
            out.push_str(&"x".repeat(22));
            out.push_str(end);
        } else {
            out.push_str(word);
        }
    }
    out
}

/// The end of a command that must not succeed.
fn ends(address: SocketAddr, line: &str, status: i32, words: &str) {
    let ran = ask(address, line);
    assert_eq!(ran.status, status, "{line}: {ran:?}");
    assert!(ran.err.contains(words), "{line}: {words:?} is not in {}", ran.err);
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("one line of JSON")
}

/// A broker with a topic `orders` of two partitions, of which one has three records.
fn with_orders() -> Process {
    let broker = Process::start();
    let line = "topic create orders -p 2 --config retention.ms=86400000";
    let created = told(broker.address, line);
    assert_eq!(
        created,
        "TOPIC   PARTITIONS  REPLICAS  ID                      STATE\n\
         orders           2         1  xxxxxxxxxxxxxxxxxxxxxx  created\n"
    );
    let mut client = client(broker.address);
    client.await_topic("orders", process::PATIENCE).unwrap();
    append(&mut client, "orders", 0, &batch(&["a", "b", "c"]));
    broker
}

// --- what is printed ----------------------------------------------------------------------------

#[test]
fn a_topic_is_described_in_a_page() {
    let broker = with_orders();
    let size =
        json(&told(broker.address, "topic describe orders --output json"))["data"][0]["size_bytes"]
            .as_u64()
            .unwrap();
    let page = told(broker.address, "topic describe orders");
    let lines: Vec<_> = page.lines().collect();
    assert_eq!(
        lines[..6],
        [
            "Topic         orders",
            "Id            xxxxxxxxxxxxxxxxxxxxxx",
            "Partitions    2",
            "Replicas      1",
            "Records       3",
            &format!("Size          {size} B"),
        ]
    );
    assert_eq!(
        lines[6],
        "Acknowledged  with acks=1 or all, its only replica has the record, in the page cache: it \
         survives a crash of the broker, not a power loss (flush.messages=1 makes it wait for the disk)"
    );
    assert!(lines[8].starts_with("PARTITION  LEADER  EPOCH  AR  ISR  OSR  START  HIGH WATERMARK"));
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let leader = &words(lines[9])[1];
    let of_zero = ["0", leader, "0", leader, leader, "-", "0", "3"];
    assert_eq!(words(lines[9])[..8], of_zero, "{page}");
    assert_eq!(words(lines[10])[6..], ["0", "0", "0", "B"], "{page}");
    assert_eq!(words(lines[12]), ["SETTING", "VALUE", "SOURCE", "DEFAULT"], "{page}");
    assert_eq!(words(lines[13]), ["retention.ms", "86400000", "topic", "604800000"], "{page}");
}

#[test]
fn topics_are_listed_in_every_form() {
    let broker = with_orders();
    let address = broker.address;
    told(address, "topic create payments");
    assert_eq!(
        told(address, "topic list"),
        "TOPIC     PARTITIONS  REPLICAS  LAGGING  LEADERLESS\n\
         orders             2         1        0           0\n\
         payments           1         1        0           0\n"
    );
    assert_eq!(told(address, "topic list ord --no-headers --output tsv"), "orders\t2\t1\t0\t0\n");
    assert_eq!(
        told(address, "topic list ord --output tsv"),
        "topic\tpartitions\treplicas\tlagging\tleaderless\norders\t2\t1\t0\t0\n"
    );
    assert_eq!(told(address, "topic list --output plain"), "orders\npayments\n");
    let row = |name: &str, partitions: u32| {
        format!(
            "{{\"name\":\"{name}\",\"id\":\"xxxxxxxxxxxxxxxxxxxxxx\",\"partitions\":{partitions},\
             \"replication_factor\":1,\"under_replicated\":0,\"without_leader\":0,\"internal\":false}}"
        )
    };
    let (orders, payments) = (row("orders", 2), row("payments", 1));
    let head = "{\"_cmd\":\"topic.list\",\"_v\":1,\"data\":";
    assert_eq!(
        told(address, "topic list --output json"),
        format!("{head}[{orders},{payments}]}}\n")
    );
    assert_eq!(
        told(address, "topic list --output json-rows"),
        format!("{head}{orders}}}\n{head}{payments}}}\n")
    );
}

#[test]
fn flags_can_be_variables() {
    let broker = with_orders();
    let output = program()
        .args(["topic", "list"])
        .env("HIGHWATER_BROKERS", broker.address.to_string())
        .env("HIGHWATER_OUTPUT", "plain")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "orders\n");
}

#[test]
fn settings_are_changed_shown_and_compared() {
    let broker = with_orders();
    let address = broker.address;
    assert_eq!(
        told(address, "topic alter orders --set flush.messages=1 --unset retention.ms"),
        "SETTING         BEFORE               AFTER      STATE\n\
         flush.messages  9223372036854775807  1          changed\n\
         retention.ms    86400000             604800000  changed\n"
    );
    let described = told(address, "topic describe orders");
    assert!(described.contains("its only replica has the record, on disk (flush.messages=1)\n"));
    assert_eq!(
        told(address, "config get --topic orders"),
        "SETTING         VALUE  SOURCE  DEFAULT\nflush.messages  1      topic   9223372036854775807\n"
    );
    told(address, "config set retention.ms=5000000 --topic orders");
    told(address, "topic create payments --config flush.messages=1");
    assert_eq!(
        told(address, "config diff --topic orders --with payments"),
        "SETTING       VALUE    SOURCE  OTHER      OTHER SOURCE\n\
         retention.ms  5000000  topic   604800000  default\n"
    );
    let unset = told(address, "config unset retention.ms --topic orders --output json");
    assert_eq!(json(&unset)["data"][0]["after"], "604800000");
    told(address, "config set log.retention.ms=86400000 --cluster");
    let got = json(&told(address, "config get --cluster --output json"));
    let first = &got["data"][0];
    assert_eq!(first["name"], "log.retention.ms");
    assert_eq!((&first["value"], &first["source"]), (&"86400000".into(), &"cluster".into()));
    // What is only checked is not changed.
    told(address, "config set retention.ms=1 --topic orders --validate-only");
    told(address, "config set retention.ms=1 --topic orders --dry-run");
    let got = told(address, "config get retention.ms --topic orders --output tsv --no-headers");
    assert!(!got.contains("\t1\t"), "{got}");
}

#[test]
fn a_setting_is_explained_without_a_broker() {
    let ran = run(&["config", "explain", "flush.messages"]);
    let want = "Setting  flush.messages\n\
                Of       topic\n\
                What     Records after which a partition is synced to disk.\n\
                Type     long\n\
                Default  9223372036854775807\n\
                Allowed  1 or more\n\
                Changes  while it runs, for each topic\n\
                Effect   it is served\n";
    assert_eq!((ran.status, ran.out.as_str()), (0, want), "{}", ran.err);
    let ran = run(&["config", "explain", "flush.mesages"]);
    assert_eq!(ran.status, 5);
    assert_eq!(ran.err, "error: there is no setting flush.mesages; did you mean flush.messages?\n");
    let both = json(&run(&["config", "explain", "compression.type", "--output", "json"]).out);
    let scopes: Vec<_> = both["data"].as_array().unwrap().iter().map(|s| &s["scope"]).collect();
    assert_eq!(scopes, ["broker", "topic"]);
}

// --- what changes and what is destroyed ---------------------------------------------------------

#[test]
fn nothing_is_destroyed_without_consent() {
    let broker = with_orders();
    let address = broker.address;
    ends(address, "topic delete orders", 10, "orders: 2 partitions, 3 records, ");
    ends(address, "topic trim orders --before end", 10, "orders-0: 3 records, the log starts at 3");
    told(address, "topic delete orders --dry-run");
    told(address, "topic trim orders --before end --dry-run");
    let data = &json(&told(address, "topic describe orders --output json"))["data"][0];
    assert_eq!(data["records"], 3);
    // Quiet is not consent, and who refuses still says what about.
    ends(address, "-q topic delete orders", 10, "orders: 2 partitions, 3 records, ");
}

#[test]
fn records_are_trimmed_by_offset_and_time_and_topics_deleted() {
    let broker = with_orders();
    let address = broker.address;
    assert_eq!(
        told(address, "topic trim orders --before 1 -p 0 --yes"),
        "PARTITION  START BEFORE  START  HIGH WATERMARK  RECORDS  STATE\n\
        \u{20}       0             0      1               3        1  deleted\n"
    );
    ends(address, "topic trim orders --before 4 -p 0 --yes", 2, "orders-0 ends at 3");
    ends(address, "topic trim orders --before 4 -p 7 --yes", 5, "no partition 7 of orders");
    let before = format!("@{}", process::base_time() + 2);
    let trimmed =
        told(address, &format!("topic trim orders --before {before} --yes --output json"));
    assert_eq!(json(&trimmed)["data"][0]["start_offset"], 2);
    let trimmed = told(address, "topic trim orders --before @now -y --output json");
    assert_eq!(json(&trimmed)["data"][0]["start_offset"], 3);
    let nothing = told(address, "topic trim orders --before @now --output json");
    assert_eq!(json(&nothing)["data"][0]["records"], 0);
    let deleted = json(&told(address, "topic delete orders --yes --output json"));
    assert_eq!(deleted["data"][0]["deleted"], true);
    ends(address, "topic describe orders", 5, "there is no topic orders");
}

#[test]
fn partitions_are_added() {
    let broker = with_orders();
    let address = broker.address;
    assert_eq!(
        told(address, "topic add-partitions orders 2 --validate-only"),
        "TOPIC   BEFORE  AFTER  STATE\norders       2      4  could be added\n"
    );
    let grown = json(&told(address, "topic add-partitions orders 2 --output json"));
    assert_eq!((&grown["data"]["before"], &grown["data"]["after"]), (&2.into(), &4.into()));
    assert!(told(address, "topic list --output tsv").contains("orders\t4\t"));
}

// --- how a command ends -------------------------------------------------------------------------

#[test]
fn every_end_has_its_status() {
    let broker = with_orders();
    let address = broker.address;
    ends(address, "topic create orders", 6, "TOPIC_ALREADY_EXISTS");
    ends(address, "topic create orders others", 1, "TOPIC_ALREADY_EXISTS");
    assert!(told(address, "topic list --output plain").contains("others\n"));
    told(address, "topic create orders --if-not-exists");
    ends(address, "topic create more --config retention.mss=1", 2, "did you mean retention.ms?");
    ends(address, "topic create more -r 3", 2, "INVALID_REPLICATION_FACTOR");
    ends(address, "topic create more --assignment 4711", 2, "4711");
    ends(address, "topic create a/b", 2, "INVALID_TOPIC_EXCEPTION");
    ends(address, "topic describe order", 5, "there is no topic order; did you mean orders?");
    ends(address, "topic delete order --yes", 5, "did you mean orders?");
    ends(address, "topic alter orders --set retention.mss=1", 2, "did you mean retention.ms?");
    ends(address, "topic alter orders --set retention.ms=soon", 2, "soon");
    ends(address, "config get retention.mss --topic orders", 5, "did you mean retention.ms?");
    ends(address, "topic list --outptu json", 2, "--output");
    ends(address, "topic lst", 2, "list");
    ends(address, "serve", 2, "--brokers has no meaning for `highwater serve`");
    ends(address, "topic trim orders --before -1", 2, "is no place in a log");
    ends(address, "topic list --timeout soon", 2, "no span of time");
}

#[test]
fn a_broker_that_is_not_there_is_told_step_by_step() {
    let nobody = free_address();
    let ran = ask(nobody, "topic list");
    assert_eq!(ran.status, 3, "{ran:?}");
    let steps = format!("  {nobody}: DNS 127.0.0.1; TCP {nobody} failed (");
    assert!(ran.err.contains(&steps), "{}", ran.err);
    assert!(ran.err.contains("Nothing listens at"), "{}", ran.err);
    let ran = run(&["-B", "no-such-host.invalid:1", "topic", "list"]);
    assert_eq!(ran.status, 3, "{ran:?}");
    assert!(ran.err.contains("no-such-host.invalid:1: DNS failed ("), "{}", ran.err);
    let ran = run(&["-B", "SSL://127.0.0.1:1", "topic", "list"]);
    assert_eq!(ran.status, 2, "{ran:?}");
}

#[test]
fn another_broker_of_the_list_is_asked_where_the_first_is_not_there() {
    let broker = with_orders();
    let brokers = format!("{},{}", free_address(), broker.address);
    let ran = run(&["-B", &brokers, "topic", "list", "--output", "plain"]);
    assert_eq!((ran.status, ran.out.as_str()), (0, "orders\n"), "{}", ran.err);
}

/// Tells its versions, and nothing else: what a broker is that hangs.
fn hanging(broker: SocketAddr, work: impl FnOnce(SocketAddr)) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut client, _) = listener.accept().unwrap();
            let mut upstream = TcpStream::connect(broker).unwrap();
            // A client that is gone already passes nothing.
            let asked = pass_frame(&mut client, &mut upstream);
            let _ = asked.and_then(|()| pass_frame(&mut upstream, &mut client));
            let _ = client.read_to_end(&mut Vec::new());
        });
        work(address);
    });
}

fn pass_frame(from: &mut TcpStream, to: &mut TcpStream) -> std::io::Result<()> {
    let mut size = [0; 4];
    from.read_exact(&mut size)?;
    let mut body = vec![0; u32::from_be_bytes(size) as usize];
    from.read_exact(&mut body)?;
    to.write_all(&size)?;
    to.write_all(&body)
}

#[test]
fn what_takes_too_long_ends_with_7() {
    let broker = Process::start();
    hanging(broker.address, |address| {
        ends(address, "topic list --timeout 300ms", 7, "nothing came within 300ms");
    });
}

// --- files and shells ---------------------------------------------------------------------------

fn file(folder: &Path, text: &str) -> String {
    let path = folder.join("server.properties");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn a_file_is_checked_and_printed_without_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let wrong = file(folder.path(), "num.partitions=many\n\nhighwater.memroy=1\n");
    for words in [&["config", "check", &wrong][..], &["serve", "--check", "-c", &wrong]] {
        let ran = run(words);
        assert_eq!(ran.status, 2, "{ran:?}");
        let all = ran.out + &ran.err;
        assert!(all.contains("did you mean highwater.memory?"), "{all}");
        assert!(all.contains("Invalid value many for configuration num.partitions"), "{all}");
    }
    let checked = json(&run(&["config", "check", &wrong, "--output", "json"]).out);
    let lines: Vec<_> =
        checked["data"]["errors"].as_array().unwrap().iter().map(|e| &e["line"]).collect();
    assert_eq!(lines, [1, 3]);
    let text = format!("num.partitions=7\nlog.dirs={}\nnum.io.threads=3\n", data.display());
    let right = file(folder.path(), &text);
    let ran = run(&["config", "check", &right]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.out.contains("num.io.threads=3"), "{}", ran.out);
    let ran = run(&["serve", "-c", &right, "--print-config", "--override", "node.id=4"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    for line in [
        "num.partitions=7\t# line 1\n",
        "node.id=4\t# --override\n",
        "auto.create.topics.enable=true\t# default\n",
    ] {
        assert!(ran.out.contains(line), "{line:?} is not in\n{}", ran.out);
    }
    assert!(!data.exists(), "nothing was started");
    let ran = run(&["config", "check", "/nowhere/server.properties"]);
    assert_eq!(ran.status, 2, "{ran:?}");
}

#[test]
fn the_version_says_how_it_was_built() {
    let short = run(&["version"]);
    assert_eq!(short.out, format!("highwater {}\n", env!("CARGO_PKG_VERSION")));
    let long = json(&run(&["version", "--verbose", "--output", "json"]).out);
    let build = &long["data"]["build"];
    assert!(build["rustc"].as_str().unwrap().starts_with("rustc 1."), "{build}");
    assert_eq!(build["allocator"], "mimalloc");
    let operations = long["data"]["machine"]["io_uring"].as_array().unwrap();
    let fsync = operations.iter().find(|operation| operation["name"] == "fsync").unwrap();
    assert_eq!(fsync["supported"], true);
}

#[test]
fn bash_completes_our_commands() {
    let script = r#"
        source <("$1" completions bash)
        COMP_WORDS=(highwater topic de) COMP_CWORD=2 COMP_LINE="highwater topic de" COMP_POINT=18
        _highwater highwater de topic
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let output = Command::new("bash")
        .args(["-c", script, "bash"])
        .arg(highwater().get_program())
        .output()
        .expect("bash starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, "describe\ndelete\n", "{}", String::from_utf8_lossy(&output.stderr));
    for shell in ["zsh", "fish", "powershell"] {
        let ran = run(&["completions", shell]);
        assert_eq!(ran.status, 0);
        assert!(ran.out.contains("add-partitions"), "{shell}");
    }
    assert_eq!(run(&["completions", "basch"]).status, 2);
}
