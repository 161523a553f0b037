//! The control socket of a running `braid`: hostile clients harm nobody, changes are whole or not at all, state
//! leaves and comes back.

mod rig;

use control::client::{Client, ClientError};
use rig::{Folder, Run, assert_balanced, braid, call, stats};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};
use wire::builder::Builder;

/// Full speed from nowhere to nowhere.
const LIVE: &str = r#"[engine]
socket = "braid.sock"
[ports.in]
device = "net_null0"
[ports.out]
device = "net_null1,no-rx=1"
[nf.watch]
kind = "monitor"
[nf.turn]
kind = "mac_swap"
[[chain]]
name = "all"
from = "in"
path = ["watch", "turn"]
to = "out"
"#;

/// The error code and message of a call that is refused.
fn refusal(client: &mut Client, method: &str, params: Value) -> (i64, String) {
    match client.call(method, &params) {
        Err(ClientError::Refused(error)) => (error.code, error.message),
        other => panic!("{method} is not refused: {other:?}"),
    }
}

/// Packets per second of the worker's CPU time, over a while: what others on its core take does not count.
fn rate(client: &mut Client, time: Duration) -> f64 {
    let before = stats(client);
    std::thread::sleep(time);
    let after = stats(client);
    let packets = (after.packets.sent - before.packets.sent) as f64;
    packets / ((after.workers[0].cpu_ns - before.workers[0].cpu_ns) as f64 / 1e9)
}

/// Has a good client ask all kinds of things, and fails unless each is answered within a second.
fn assert_answers(client: &mut Client, during: &str) {
    for _ in 0..3 {
        for (method, params) in [
            ("stats.get", json!({})),
            ("config.get", json!({})),
            ("nf.list", json!({})),
            ("nf.command", json!({ "nf": "watch", "command": "protocols" })),
            ("config.apply", json!({ "config": LIVE, "dry_run": true })),
        ] {
            let begun = Instant::now();
            call(client, method, params);
            assert!(begun.elapsed() < Duration::from_secs(1), "{method} {during}: {:?}", begun.elapsed());
        }
    }
}

fn raw(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
    stream.set_write_timeout(Some(Duration::from_secs(20))).expect("a time-out");
    stream
}

/// What the engine says until it hangs up.
fn last_words(mut stream: UnixStream) -> String {
    let mut said = Vec::new();
    // It may hang up before everything is read that was sent to it.
    let _ = stream.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn hostile_clients_slow_neither_packets_nor_other_clients() {
    let folder = Folder::new("hostile");
    let run = Run::start(&folder, LIVE);
    let socket = run.socket();
    let mut good = run.client();
    let while_quiet = rate(&mut good, Duration::from_secs(1));
    assert_answers(&mut good, "with nobody else");
    let mut rates = Vec::new();

    // Garbage: bytes of all values, line after line.
    let mut garbage = raw(&socket);
    let bytes: Vec<u8> = (0..64 << 10).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let sender = std::thread::spawn(move || {
        // The engine may hang up in between.
        let _ = garbage.write_all(&bytes);
        let _ = garbage.shutdown(std::net::Shutdown::Write);
        last_words(garbage)
    });
    assert_answers(&mut good, "beside garbage");
    let said = sender.join().expect("the garbage is sent");
    assert!(said.lines().next().is_some_and(|line| line.contains("-32700")), "a parse error first");

    // A line of 100 MB.
    let mut long = raw(&socket);
    let sender = std::thread::spawn(move || {
        let chunk = vec![b'x'; 1 << 20];
        let sent = (0..100).take_while(|_| long.write_all(&chunk).is_ok()).count();
        (sent, last_words(long))
    });
    assert_answers(&mut good, "beside a long line");
    rates.push(rate(&mut good, Duration::from_millis(300)));
    let (sent, _) = sender.join().expect("the line is sent");
    assert!(sent < 100, "the engine does not take a line of 100 MB");

    // Half a message, and silence.
    let mut half = raw(&socket);
    half.write_all(br#"{"jsonrpc": "2.0", "id": 1, "meth"#).expect("half a message");
    assert_answers(&mut good, "beside half a message");

    // Who asks and never reads; events too, while the configuration changes.
    let deaf = raw(&socket);
    deaf.set_nonblocking(true).expect("a mode");
    let mut asking = &deaf;
    let ask =
        |id: u32, method: &str| format!("{}\n", json!({ "jsonrpc": "2.0", "id": id, "method": method }));
    asking.write_all(ask(0, "events.subscribe").as_bytes()).expect("room for one line");
    for id in 1..2000 {
        if asking.write_all(ask(id, "rpc.discover").as_bytes()).is_err() {
            break;
        }
    }
    for step in 0..20 {
        let begun = Instant::now();
        let changed = LIVE.replace("\"all\"", &format!("\"all{}\"", step % 2));
        call(&mut good, "config.apply", json!({ "config": changed }));
        assert!(begun.elapsed() < Duration::from_secs(1), "a change: {:?}", begun.elapsed());
    }
    assert_answers(&mut good, "beside a client that does not read");
    rates.push(rate(&mut good, Duration::from_millis(300)));

    // A thousand connections.
    let crowd: Vec<UnixStream> = (0..1000).filter_map(|_| UnixStream::connect(&socket).ok()).collect();
    assert_answers(&mut good, "among a thousand connections");
    rates.push(rate(&mut good, Duration::from_millis(300)));
    let begun = Instant::now();
    let other = braid(["ctl", "stats.get", "--socket", socket.to_str().expect("UTF-8")]);
    assert_eq!(other.code, Some(0), "another process: {}", other.err);
    assert!(begun.elapsed() < Duration::from_secs(2), "another process: {:?}", begun.elapsed());
    let refused = crowd.last().map(|stream| stream.try_clone().map(last_words));
    assert!(
        refused.is_some_and(|said| said.is_ok_and(|said| said.contains("too many connections"))),
        "those beyond the bound are told why"
    );
    drop(crowd);

    println!("packets per CPU second: {while_quiet:.0} before, {rates:.0?} meanwhile");
    let slowest = rates.into_iter().fold(f64::INFINITY, f64::min);
    assert!(slowest > while_quiet * 0.5, "{slowest:.0} packets per CPU second, {while_quiet:.0} before");
    let ended = run.stop();
    assert_eq!((ended.code, ended.err.contains("panicked")), (Some(0), false), "{}", ended.err);
    assert_balanced(&ended.account());
}

#[test]
fn a_change_is_previewed_refused_applied_confirmed_or_rolled_back() {
    let folder = Folder::new("change");
    let run = Run::start(&folder, LIVE);
    let mut client = run.client();
    let mut listener = run.client();
    call(&mut listener, "events.subscribe", json!({ "sources": ["control"] }));
    let running = |client: &mut Client| {
        let config = call(client, "config.get", json!({}));
        (
            config["config"].as_str().expect("text").to_owned(),
            config["generation"].as_u64().expect("a number"),
        )
    };
    let still = |client: &mut Client, text: &str, generation: u64| {
        assert!(running(client) == (text.to_owned(), generation), "another configuration runs");
        let before = stats(client).packets.sent;
        std::thread::sleep(Duration::from_millis(50));
        assert!(stats(client).packets.sent > before, "packets flow");
    };

    // A dry run tells the differences and makes none.
    let next = LIVE.replace("kind = \"monitor\"", "kind = \"monitor\"\ncapacity = 1024");
    let preview = call(&mut client, "config.apply", json!({ "config": next, "dry_run": true }));
    assert_eq!((&preview["applied"], &preview["pause_us"]), (&json!(false), &Value::Null));
    let text = preview["text"].to_string();
    assert!(text.contains("watch") && text.contains("capacity"), "{text}");
    still(&mut client, LIVE, 1);

    // What has errors, cannot change or cannot be had is refused as a whole.
    let wrong = [
        (LIVE.replace("mac_swap", "mac_swpa"), -32001, "did you mean 'mac_swap'"),
        (LIVE.replace("[engine]", "[engine]\nidle = \"adaptive\""), -32003, "restart"),
        (LIVE.replace("net_null1,no-rx=1", "net_null7"), -32002, "another name"),
        (
            LIVE.replace("to = \"out\"", "to = \"side\"\n[ports.side]\ndevice = \"net_nonsense0\""),
            -32002,
            "net_nonsense0",
        ),
    ];
    for (config, code, why) in wrong {
        let (found, message) = refusal(&mut client, "config.apply", json!({ "config": config }));
        assert_eq!(found, code, "{message}");
        assert!(message.contains(why), "{why}: {message}");
        still(&mut client, LIVE, 1);
    }

    // Unconfirmed, it rolls back; meanwhile no other change is made.
    let begun = Instant::now();
    let applied = call(&mut client, "config.apply", json!({ "config": next, "confirm": "400ms" }));
    assert_eq!((&applied["applied"], &applied["generation"]), (&json!(true), &json!(2)));
    assert_eq!(refusal(&mut client, "config.apply", json!({ "config": LIVE })).0, -32004);
    while running(&mut client).0 != LIVE {
        assert!(begun.elapsed() < Duration::from_secs(10), "not rolled back");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(begun.elapsed() >= Duration::from_millis(400), "not before its time");
    still(&mut client, LIVE, 3);
    assert_eq!(refusal(&mut client, "config.confirm", json!({})).0, -32005);

    // Confirmed, it stays.
    call(&mut client, "config.apply", json!({ "config": next, "confirm": "400ms" }));
    assert_eq!(call(&mut client, "config.confirm", json!({}))["generation"], json!(4));
    std::thread::sleep(Duration::from_millis(600));
    still(&mut client, &next, 4);

    // The listener heard of it all.
    let heard: Vec<String> = (0..3)
        .map(|_| {
            listener.notification().expect("an event")["params"]["name"].as_str().expect("a name").to_owned()
        })
        .collect();
    assert_eq!(heard, ["config_applied", "config_rolled_back", "config_applied"]);
    assert_balanced(&run.stop().account());
}

#[test]
fn a_firewall_with_many_rules_is_applied_over_the_socket() {
    let folder = Folder::new("rules");
    let run = Run::start(&folder, LIVE);
    let rules: Vec<String> =
        (0..40).map(|n| format!("deny tcp from 10.{n}.0.0/16 to 192.0.2.{n} port {}", 1000 + n)).collect();
    let guarded = LIVE
        .replace("[[chain]]", &format!("[nf.guard]\nkind = \"firewall\"\nrules = {rules:?}\n[[chain]]"))
        .replace("path = [", "path = [\"guard\", ");
    let mut client = run.client();
    // The rules are compiled by the thread that serves the client.
    let applied = call(&mut client, "config.apply", json!({ "config": guarded }));
    assert_eq!((&applied["applied"], &applied["generation"]), (&json!(true), &json!(2)));
    let listed = call(&mut client, "nf.list", json!({}));
    assert!(listed.to_string().contains("\"guard\""), "{listed}");
    let ended = run.stop();
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    assert_balanced(&ended.account());
}

/// Flows of one packet each in both directions, as a capture.
fn flows_capture(folder: &Folder, flows: u16) {
    let mut writer =
        capture::Writer::create(folder.path("flows.pcap"), capture::Format::Pcap).expect("a capture");
    for flow in 0..flows {
        let (client, server) = ([10, 0, (flow >> 8) as u8, flow as u8], [192, 0, 2, 1]);
        let there = Builder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ipv4(client, server)
            .udp(2000 + flow, 53)
            .payload_len(20)
            .build();
        let back = Builder::ethernet([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1])
            .ipv4(server, client)
            .udp(53, 2000 + flow)
            .payload_len(100)
            .build();
        for frame in [there, back] {
            writer.write(u64::from(flow) * 1000, frame.len() as u32, [&frame[..]]).expect("written");
        }
    }
    writer.finish().expect("closed");
}

/// All records of an NF, page by page.
fn export(client: &mut Client, nf: &str, selector: Value) -> Vec<Value> {
    let mut records = Vec::new();
    let mut params = json!({ "nf": nf, "selector": selector });
    loop {
        let page = call(client, "nf.state.export", params.clone());
        let found = page["records"].as_array().expect("records");
        assert!(found.len() <= 256, "{} records in a page", found.len());
        records.extend(found.iter().cloned());
        if page["cursor"].is_null() {
            records.sort_by_key(|record| record["key"].to_string());
            return records;
        }
        params["cursor"] = page["cursor"].clone();
    }
}

#[test]
fn commands_are_answered_and_state_leaves_and_comes_back() {
    const FLOWS: u16 = 1000;
    let folder = Folder::new("state");
    flows_capture(&folder, FLOWS);
    let config = r#"[engine]
workers = 2
idle = "adaptive"
socket = "braid.sock"
[ports.in]
device = "net_pcap0,rx_pcap=flows.pcap"
[ports.out]
device = "net_null1,no-rx=1"
[nf.watch]
kind = "monitor"
[nf.archive]
kind = "monitor"
[nf.turn]
kind = "mac_swap"
[[chain]]
name = "all"
from = "in"
match = "udp"
path = ["watch", "turn"]
to = "out"
[[chain]]
name = "rest"
from = "in"
path = ["archive"]
to = "out"
"#;
    let run = Run::start(&folder, config);
    let mut client = run.client();
    let begun = Instant::now();
    while stats(&mut client).packets.sent < 2 * u64::from(FLOWS) {
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", stats(&mut client).packets);
        std::thread::sleep(Duration::from_millis(10));
    }

    // A command is answered by every worker.
    let answers = call(&mut client, "nf.command", json!({ "nf": "watch", "command": "protocols" }));
    assert_eq!(answers["workers"].as_array().map(Vec::len), Some(2), "{answers}");
    assert_eq!(refusal(&mut client, "nf.command", json!({ "nf": "watch", "command": "dance" })).0, -32011);
    assert_eq!(refusal(&mut client, "nf.command", json!({ "nf": "wach", "command": "top" })).0, -32010);
    assert_eq!(refusal(&mut client, "nf.state.export", json!({ "nf": "turn" })).0, -32011);

    // Pages of one monitor's flows into the other.
    let flows = export(&mut client, "watch", json!({}));
    assert_eq!(flows.len(), usize::from(FLOWS));
    assert_eq!(export(&mut client, "archive", json!({})).len(), 0);
    for page in flows.chunks(200) {
        let imported = call(&mut client, "nf.state.import", json!({ "nf": "archive", "records": page }));
        assert_eq!(imported["imported"], json!(page.len()));
    }
    let archived = export(&mut client, "archive", json!({}));
    assert!(archived == flows, "what was imported is what was exported");
    let one = export(&mut client, "archive", json!({ "address": "10.0.1.7" }));
    assert_eq!(one.len(), 1);
    assert_eq!((&one[0]["value"]["packets"], &one[0]["value"]["packets_back"]), (&json!(1), &json!(1)));

    // Nonsense is refused, and nothing of it stays.
    let mut broken = flows[0].clone();
    broken["value"] = json!("nonsense");
    refusal(&mut client, "nf.state.import", json!({ "nf": "archive", "records": [flows[1], broken] }));
    assert!(export(&mut client, "archive", json!({})) == flows, "nothing of a refused import stays");

    // A reset forgets, and the stop is answered before it happens.
    call(&mut client, "nf.command", json!({ "nf": "archive", "command": "reset" }));
    assert_eq!(export(&mut client, "archive", json!({})).len(), 0);
    assert_eq!(call(&mut client, "engine.stop", json!({})), json!({ "stopping": true }));
    let ended = run.wait();
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    assert_balanced(&ended.account());
    assert!(!folder.path("braid.sock").exists());
}
