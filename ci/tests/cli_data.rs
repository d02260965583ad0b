//! `highwater produce`, `consume` and `group` of the whole process: what goes in comes out, in every
//! format; groups share, commit and are moved; and every end has its number.

#![expect(clippy::format_collect, reason = "inputs that are made once, as they are read")]

mod process;

use process::{Broker, eventually, fresh_name, highwater};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Child, Command, Output, Stdio};

fn command(broker: &Broker, arguments: &[&str]) -> Command {
    let mut command = highwater();
    command.args(["-B", &broker.address.to_string()]).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(broker: &Broker, arguments: &[&str]) -> Output {
    command(broker, arguments).output().expect("the program starts")
}

fn run_with(broker: &Broker, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = command(broker, arguments).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn done(output: Output) -> Vec<u8> {
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    output.stdout
}

#[track_caller]
fn ended(output: &Output, number: i32, words: &str) {
    assert_eq!(output.status.code(), Some(number), "{}", said(output));
    assert!(said(output).contains(words), "{}", said(output));
}

fn data(bytes: &[u8]) -> Value {
    let mut value: Value = serde_json::from_slice(bytes).expect("it is JSON");
    assert_eq!(value["_v"], 1);
    value["data"].take()
}

#[test]
fn lines_come_back_through_every_codec() {
    let broker = Broker::start();
    let lines: String = (0..2000).map(|index| format!("line {index}: grüße\n")).collect();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        for acks in ["all", "1", "0"] {
            let topic = broker.topic(&format!("cli-{codec}-{acks}"), 1, &[]);
            let written = ["produce", &topic, "-z", codec, "--acks", acks];
            done(run_with(&broker, &written, lines.as_bytes()));
            // Without acknowledgements nobody says when they are there.
            eventually("all lines are there", || {
                let read = done(run(&broker, &["consume", &topic, "-e"]));
                (read == lines.as_bytes()).then_some(())
            });
        }
    }
}

/// Rows of JSON carry everything: null and empty, any bytes, headers that repeat.
#[test]
fn any_record_comes_back_as_it_was() {
    let broker = Broker::start();
    let (first, second) = (broker.topic("cli-rows", 2, &[]), broker.topic("cli-copy", 2, &[]));
    let rows = [
        json!({ "key": null, "value": "v", "partition": 0, "timestamp": 1_700_000_000_001_i64 }),
        json!({ "key": "k", "value": null, "partition": 1, "timestamp": 1_700_000_000_002_i64 }),
        json!({ "key": "", "value": "", "partition": 0, "timestamp": 1_700_000_000_003_i64,
            "headers": [{ "key": "h", "value": "1" }, { "key": "h", "value": null },
                { "key": "", "value": { "base64": "AP8K" } }] }),
        json!({ "key": { "base64": "/wD+" }, "value": { "base64": "AP8K" }, "partition": 1,
            "timestamp": 1_700_000_000_004_i64, "headers": [] }),
    ];
    let input: String = rows.iter().map(|row| format!("{row}\n")).collect();
    done(run_with(&broker, &["produce", &first, "--input", "json-rows"], input.as_bytes()));
    let shown = done(run(&broker, &["consume", &first, "-e", "-f", "json-rows"]));
    done(run_with(&broker, &["produce", &second, "--input", "json-rows"], &shown));
    let copied = done(run(&broker, &["consume", &second, "-e", "-f", "json-rows"]));
    let records = |bytes: &[u8]| {
        let mut found: Vec<Value> =
            bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(data).collect();
        found.sort_by_key(|record| record["timestamp"].as_i64());
        found
    };
    let (shown, copied) = (records(&shown), records(&copied));
    assert_eq!(shown.len(), rows.len());
    for ((row, shown), copied) in rows.iter().zip(&shown).zip(&copied) {
        for field in ["key", "value", "partition", "timestamp"] {
            assert_eq!((&shown[field], &copied[field]), (&row[field], &row[field]), "{field}");
        }
        let headers = row.get("headers").cloned().unwrap_or(json!([]));
        assert_eq!((&shown["headers"], &copied["headers"]), (&headers, &headers));
    }
    let hexed =
        String::from_utf8(done(run(&broker, &["consume", &first, "-e", "-f", "hex"]))).unwrap();
    assert!(hexed.contains("value null") && hexed.contains("00 ff 0a"), "{hexed}");
    let pretty =
        done(run(&broker, &["consume", &first, "-p", "1", "-n", "1", "-o", "start", "-f", "json"]));
    assert_eq!(serde_json::from_slice::<Value>(&pretty).unwrap()["key"], "k");
}

#[test]
fn formats_write_and_read_the_same_bytes() {
    let broker = Broker::start();
    let topic = broker.topic("cli-format", 1, &[]);
    let binary: Vec<u8> = (0..=255).filter(|byte| *byte != 1 && *byte != 2).collect();
    let mut input = Vec::new();
    for index in b'a'..=b'c' {
        input.extend_from_slice(&[index, b'k', 1]);
        input.extend_from_slice(&binary);
        input.push(2);
    }
    let format = r"%k\x01%v\x02";
    done(run_with(&broker, &["produce", &topic, "-f", format, "-H", "a=1", "-H", "b"], &input));
    assert_eq!(done(run(&broker, &["consume", &topic, "-e", "-f", format])), input);
    let told = done(run(&broker, &["consume", &topic, "-e", "-f", r"%t %p %o %K %S %h\n"]));
    let size = binary.len();
    let expected: String = (0..3).map(|o| format!("{topic} 0 {o} 2 {size} a=1,b=NULL\n")).collect();
    assert_eq!(String::from_utf8(told).unwrap(), expected);
    let keyed = b"k1\tv1\nno separator\nk2\tv\t2\n";
    let partly = run_with(&broker, &["produce", &topic, "--key-separator", r"\t"], keyed);
    ended(&partly, 1, "record 2: no key separator");
    let last = done(run(&broker, &["consume", &topic, "-o", "-2", "-e", "-f", r"%k=%s\n"]));
    assert_eq!(last, b"k1=v1\nk2=v\t2\n");
    done(run(&broker, &["produce", &topic, "-k", "k1", "--tombstone"]));
    let gone = done(run(&broker, &["consume", &topic, "-o", "-1", "-e", "-f", r"%k %S\n"]));
    assert_eq!(gone, b"k1 -1\n");
}

#[test]
fn places_are_offsets_times_and_distances() {
    let broker = Broker::start();
    let topic = broker.topic("cli-places", 1, &[]);
    let base = process::base_time();
    let rows: String = (0..10)
        .map(|index| {
            format!("{}\n", json!({ "value": index.to_string(), "timestamp": base + index * 1000 }))
        })
        .collect();
    done(run_with(&broker, &["produce", &topic, "--input", "json-rows"], rows.as_bytes()));
    let read = |more: &[&str]| {
        let arguments = [&["consume", &topic, "-f", "%s "], more].concat();
        String::from_utf8(done(run(&broker, &arguments))).unwrap().trim().to_owned()
    };
    let at = |index: i64| format!("@{}", base + index * 1000);
    assert_eq!(read(&["-o", "7", "-e"]), "7 8 9");
    assert_eq!(read(&["-o", "-2", "-e"]), "8 9");
    assert_eq!(read(&["-o", "3:5"]), "3 4");
    assert_eq!(read(&["-o", &at(6), "-e"]), "6 7 8 9");
    assert_eq!(read(&["-o", &format!("{}:{}", at(2), at(4))]), "2 3");
    assert_eq!(read(&["-o", "start", "-n", "2"]), "0 1");
    assert_eq!(read(&["-o", "end", "-e"]), "");
    assert_eq!(read(&["-o", "99", "-e"]), "");
    ended(&run(&broker, &["consume", &topic, "-o", "x"]), 2, "is no place in a log");
    ended(&run(&broker, &["consume", &topic, "-p", "7", "-e"]), 5, "has no partition 7: it has 1");
}

#[test]
fn what_is_refused_is_named_record_by_record() {
    let broker = Broker::start();
    let small = broker.topic("cli-small", 1, &[("max.message.bytes", "1000")]);
    let input = format!("a\n{}\nb\n", "x".repeat(5000));
    let partly = run_with(&broker, &["produce", &small], input.as_bytes());
    ended(&partly, 1, "record 2: MESSAGE_TOO_LARGE");
    assert_eq!(done(run(&broker, &["consume", &small, "-e"])), b"a\nb\n");
    let keyed = broker.topic("cli-keyed", 1, &[("cleanup.policy", "compact")]);
    let refused = run_with(&broker, &["produce", &keyed], b"v\n");
    assert_ne!(refused.status.code(), Some(0));
    assert!(said(&refused).contains("record 1: INVALID_RECORD"), "{}", said(&refused));
    let gone = run_with(&broker, &["produce", &fresh_name("cli-none")], b"v\n");
    ended(&gone, 5, "there is no topic");
    ended(
        &run_with(&broker, &["produce", &small, "-p", "3"], b"v\n"),
        5,
        "there is no partition 3",
    );
    let nobody = highwater()
        .args(["-B", "127.0.0.1:1", "--timeout", "2s", "consume", "t", "-e"])
        .output()
        .unwrap();
    ended(&nobody, 3, "cannot connect to a broker");
}

#[test]
fn a_closed_pipe_and_ctrl_c_are_ends_of_their_own() {
    let broker = Broker::start();
    let topic = broker.topic("cli-ends", 1, &[]);
    let lines: String = (0..50_000).map(|index| format!("{index}\n")).collect();
    done(run_with(&broker, &["produce", &topic], lines.as_bytes()));
    let program = highwater();
    let line = format!(
        "{} -B {} consume {topic} --from-beginning | head -n 3; echo ${{PIPESTATUS[0]}}",
        program.get_program().display(),
        broker.address
    );
    let piped = Command::new("bash").args(["-c", &line]).output().unwrap();
    assert_eq!(String::from_utf8(piped.stdout).unwrap(), "0\n1\n2\n0\n");
    assert_eq!(String::from_utf8(piped.stderr).unwrap(), "");
    // What was read from a pipe that stays open is sent, also when Ctrl-C ends the wait for more.
    let mut child = command(&broker, &["produce", &topic]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"last words\n").unwrap();
    eventually("the line is there", || {
        let last = done(run(&broker, &["consume", &topic, "-o", "-1", "-e"]));
        (last == b"last words\n").then_some(())
    });
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    drop(stdin);
}

fn interrupt(child: &Child) {
    let mut kill = Command::new("kill");
    assert!(kill.arg("-INT").arg(child.id().to_string()).status().unwrap().success());
}

fn group(broker: &Broker, arguments: &[&str]) -> Value {
    let arguments = [&["group"], arguments, &["--output", "json"]].concat();
    data(&done(run(broker, &arguments)))
}

#[test]
fn a_group_reads_commits_and_is_moved() {
    let broker = Broker::start();
    let topic = broker.topic("cli-group", 3, &[]);
    let name = fresh_name("cli-readers");
    let lines: String = (0..300).map(|index| format!("{index}\n")).collect();
    done(run_with(&broker, &["produce", &topic, "--rate", "100k/s"], lines.as_bytes()));
    let read = |more: &[&str]| {
        let arguments = [&["consume", &topic, "-g", &name, "-e"], more].concat();
        done(run(&broker, &arguments)).split(|b| *b == b'\n').filter(|l| !l.is_empty()).count()
    };
    assert_eq!(read(&[]), 300);
    assert_eq!(read(&[]), 0, "what was committed is not read again");
    let lag = group(&broker, &["lag", &name]);
    assert_eq!((lag["lag"].as_i64(), lag["state"].as_str()), (Some(0), Some("Empty")));
    let plan = group(&broker, &["seek", &name, "--to", "start", "--dry-run"]);
    assert_eq!(plan.as_array().unwrap().len(), 3);
    assert_eq!(group(&broker, &["lag", &name])["lag"], 0, "a dry run moves nothing");
    ended(&run(&broker, &["group", "seek", &name, "--to", "start"]), 10, "--yes");
    group(&broker, &["seek", &name, "--to", "start", "--yes"]);
    assert_eq!(group(&broker, &["lag", &name])["lag"], 300);
    group(&broker, &["seek", &name, "--to", "+40", "--topic", &format!("{topic}:0"), "--yes"]);
    let described = group(&broker, &["describe", &name]);
    let first = &described["partitions"][0];
    assert_eq!(first["committed"].as_i64().unwrap(), first["end"].as_i64().unwrap().min(40));
    let why = group(&broker, &["why", &name, "--over", "0s"]);
    assert!(why["reasons"][0]["what"].as_str().unwrap().contains("it has no members"), "{why}");
    assert_eq!(Some(read(&["--assignor", "cooperative-sticky"]) as i64), why["lag"].as_i64());
    group(&broker, &["delete-offsets", &name, &topic, "-p", "1", "--yes"]);
    assert_eq!(group(&broker, &["describe", &name])["partitions"].as_array().unwrap().len(), 2);
    ended(&run(&broker, &["group", "delete", &name]), 10, "--yes");
    group(&broker, &["delete", &name, "--yes"]);
    ended(&run(&broker, &["group", "describe", &name]), 5, "there is no group");
}

#[test]
fn members_share_and_a_group_with_members_is_not_touched() {
    let broker = Broker::start();
    for assignor in ["range", "cooperative-sticky"] {
        let topic = broker.topic("cli-share", 4, &[]);
        let name = fresh_name("cli-sharers");
        let join = || {
            let arguments =
                ["consume", &topic, "-g", &name, "--assignor", assignor, "--from-beginning"];
            command(&broker, &arguments).spawn().unwrap()
        };
        let shares = |wanted: &[usize]| {
            eventually("the group has settled", || {
                let output = run(&broker, &["group", "describe", &name, "--output", "json"]);
                let described = (output.status.code() == Some(0)).then(|| data(&output.stdout))?;
                let mut shares: Vec<usize> = described["members"]
                    .as_array()?
                    .iter()
                    .map(|member| member["partitions"].as_array().unwrap().len())
                    .collect();
                shares.sort_unstable();
                (described["state"] == "Stable" && shares == wanted).then_some(())
            });
        };
        let first = join();
        shares(&[4]);
        let second = join();
        shares(&[2, 2]);
        let refused =
            run(&broker, &["group", "seek", &name, "--to", "start", "--topic", &topic, "--yes"]);
        ended(&refused, 6, "with 2 members");
        ended(&run(&broker, &["group", "delete", &name, "--yes"]), 6, "with 2 members");
        let listed = group(&broker, &["list", &name]);
        assert_eq!(listed[0]["state"], "Stable");
        let coordinator = group(&broker, &["coordinator", &name]);
        assert_eq!(coordinator["broker"], listed[0]["coordinator"]);
        for (mut member, rest) in [(second, Some(4)), (first, None)] {
            interrupt(&member);
            assert_eq!(member.wait().unwrap().code(), Some(130));
            if let Some(rest) = rest {
                shares(&[rest]);
            }
        }
        assert_eq!(group(&broker, &["list", &name])[0]["state"], "Empty");
    }
}
