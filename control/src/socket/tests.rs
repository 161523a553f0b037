use super::*;
use crate::client::{Client, ClientError};
use crate::fakes::{CONFIG, FakeEngine, controller};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// A server in a folder of its own, with bounds that tests can reach.
struct Site {
    folder: PathBuf,
    engine: Arc<FakeEngine>,
    server: Option<Server>,
}

impl Site {
    fn new(name: &str) -> Site {
        let limits = Limits {
            connections: 32,
            per_process: 24,
            message_time: Duration::from_millis(400),
            write: Duration::from_millis(400),
            ..Limits::default()
        };
        let folder = std::env::temp_dir().join(format!("braid-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("folder");
        let (engine, controller) = controller();
        let server = Server::start(&folder.join("s"), controller, limits).expect("server");
        Site { folder, engine, server: Some(server) }
    }

    fn path(&self) -> PathBuf {
        self.folder.join("s")
    }

    fn client(&self) -> Client {
        Client::connect(&self.path()).expect("connect")
    }

    fn raw(&self) -> UnixStream {
        let stream = UnixStream::connect(self.path()).expect("connect");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("time-out");
        stream
    }

    /// What comes back for raw bytes, line by line, until nothing more comes.
    fn say(&self, bytes: &[u8]) -> Vec<Value> {
        let mut stream = self.raw();
        stream.write_all(bytes).expect("write");
        stream.shutdown(std::net::Shutdown::Write).expect("shutdown");
        BufReader::new(stream)
            .lines()
            .map(|line| serde_json::from_str(&line.expect("line")).expect("JSON"))
            .collect()
    }

    /// Another client gets its answer, and soon.
    fn others_are_served(&self, during: &str) {
        let begun = Instant::now();
        let stats = self.client().call("stats.get", &json!({})).expect(during);
        assert!(stats["packets"]["received"].is_u64(), "{during}: {stats}");
        assert!(begun.elapsed() < Duration::from_secs(2), "{during}: it took {:?}", begun.elapsed());
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.server = None;
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn code_of(answer: &Value) -> i64 {
    answer["error"]["code"].as_i64().unwrap_or(0)
}

#[test]
fn only_the_user_may_open_it_and_it_is_gone_in_the_end() {
    let mut site = Site::new("mode");
    let mode = std::fs::metadata(site.path()).expect("socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    site.server = None;
    assert!(!site.path().exists());
    assert!(matches!(Client::connect(&site.path()), Err(ClientError::NobodyThere(_))));
}

#[test]
fn a_live_socket_is_refused_and_a_dead_one_replaced() {
    let site = Site::new("stale");
    let start = |path: &Path| Server::start(path, controller().1, Limits::default());
    let refused = start(&site.path()).err().expect("in use").to_string();
    assert!(refused.contains("belongs to a running process"), "{refused}");
    site.others_are_served("after the refusal");

    let dead = site.folder.join("dead");
    drop(UnixListener::bind(&dead).expect("bind"));
    assert!(dead.exists(), "a dead process leaves its socket");
    let server = start(&dead).expect("replaced");
    Client::connect(&dead).expect("connect").call("stats.get", &json!({})).expect("served");
    drop(server);

    let file = site.folder.join("file");
    std::fs::write(&file, "precious").expect("write");
    assert!(matches!(start(&file), Err(SocketError::NotASocket(_))));
    assert_eq!(std::fs::read_to_string(&file).expect("still there"), "precious");
    assert!(matches!(start(&site.folder.join("x".repeat(120))), Err(SocketError::TooLong(_))));
}

#[test]
fn of_many_that_start_at_once_one_is_served_and_the_others_are_told() {
    let site = Site::new("race");
    let path = site.folder.join("one");
    let together = std::sync::Barrier::new(4);
    for round in 0..6 {
        // A dead process's socket is there every other time.
        if round % 2 == 0 {
            drop(UnixListener::bind(&path).expect("bind"));
        }
        let servers: Vec<_> = std::thread::scope(|scope| {
            let start = || {
                let controller = controller().1;
                together.wait();
                Server::start(&path, controller, Limits::default())
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        let refused = |server: &&Result<Server, SocketError>| matches!(server, Err(SocketError::InUse(_)));
        assert_eq!(servers.iter().filter(refused).count(), 3, "round {round}");
        Client::connect(&path).expect("connect").call("stats.get", &json!({})).expect("served");
        drop(servers);
        assert!(!path.exists(), "round {round}");
    }
}

#[test]
fn the_name_under_which_it_is_bound_is_nobody_elses() {
    let site = Site::new("names");
    // Somebody else's, and the longest path that there may be.
    let long = site.folder.join("l".repeat(100 - site.folder.as_os_str().len() - 1));
    let mut other = long.clone().into_os_string();
    other.push(".new");
    let other = PathBuf::from(other);
    let listener = UnixListener::bind(&other).expect("bind");
    let server = Server::start(&long, controller().1, Limits::default()).expect("server");
    Client::connect(&long).expect("connect").call("stats.get", &json!({})).expect("served");
    UnixStream::connect(&other).expect("still there");
    drop((server, listener));
}

#[test]
fn every_kind_of_message_gets_the_answer_that_the_protocol_has_for_it() {
    let site = Site::new("protocol");
    let rows: [(&str, &[u8], i64); 16] = [
        ("garbage", b"hello\n", code::PARSE),
        ("half an object", b"{\"jsonrpc\": \"2.0\", \"id\"", code::PARSE),
        ("no UTF-8", b"\"\xff\xfe\"\n", code::PARSE),
        ("zeros", &[0; 4000], code::PARSE),
        ("a number", b"1\n", code::REQUEST),
        ("an empty batch", b"[]\n", code::REQUEST),
        ("an old version", b"{\"jsonrpc\": \"1.0\", \"id\": 1, \"method\": \"stats.get\"}\n", code::REQUEST),
        ("no method", b"{\"jsonrpc\": \"2.0\", \"id\": 1}\n", code::REQUEST),
        ("a strange id", b"{\"jsonrpc\": \"2.0\", \"id\": {}, \"method\": \"stats.get\"}\n", code::REQUEST),
        ("no such method", b"{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"stats.gte\"}\n", code::METHOD),
        ("positional", b"{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"stats.get\", \"params\": [1]}\n", code::PARAMS),
        ("unknown parameter", b"{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"stats.get\", \"params\": {\"x\": 1}}\n", code::PARAMS),
        ("missing parameter", b"{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"nf.command\"}\n", code::PARAMS),
        ("bad cursor", b"{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"nf.state.export\", \"params\": {\"nf\": \"edge\", \"cursor\": \"x\"}}\n", code::PARAMS),
        ("no such worker", b"{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"nf.state.export\", \"params\": {\"nf\": \"edge\", \"cursor\": \"99:0\"}}\n", code::UNKNOWN),
        ("no such NF", b"{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"nf.command\", \"params\": {\"nf\": \"x\", \"command\": \"hits\"}}\n", code::UNKNOWN),
    ];
    for (what, bytes, expected) in rows {
        let answers = site.say(bytes);
        assert_eq!(answers.iter().map(code_of).collect::<Vec<_>>(), [expected], "{what}: {answers:?}");
    }
    let unknown = &site.say(rows[9].1)[0]["error"]["message"];
    assert!(unknown.as_str().is_some_and(|text| text.contains("did you mean 'stats.get'?")), "{unknown}");
}

#[test]
fn deep_nesting_is_an_error_like_any_other() {
    let site = Site::new("deep");
    for (open, n) in [("[", 500_000), ("{\"a\":", 150_000)] {
        let answers = site.say(format!("{}\n", open.repeat(n)).as_bytes());
        assert_eq!(answers.iter().map(code_of).collect::<Vec<_>>(), [code::PARSE]);
    }
    site.others_are_served("after deep nesting");
}

#[test]
fn a_batch_is_answered_in_one_line_without_its_notifications() {
    let site = Site::new("batch");
    let request = |id: Value| json!({ "jsonrpc": "2.0", "id": id, "method": "config.get" });
    let notification = json!({ "jsonrpc": "2.0", "method": "stats.get" });
    let batch = json!([request(json!(1)), notification, request(json!("two")), 3]);
    let answers = site.say(format!("{batch}\n").as_bytes());
    let answers = answers[0].as_array().expect("one line, a list");
    assert_eq!(
        answers.iter().map(|a| a["id"].clone()).collect::<Vec<_>>(),
        [json!(1), json!("two"), Value::Null]
    );
    assert_eq!(code_of(&answers[2]), code::REQUEST);

    assert_eq!(site.say(format!("{notification}\n{}\n", json!([notification])).as_bytes()), [Value::Null; 0]);
    let long = Value::Array(vec![json!(1); 1001]);
    assert_eq!(code_of(&site.say(format!("{long}\n").as_bytes())[0]), code::REQUEST);
}

#[test]
fn a_line_of_100_mb_is_refused_before_it_is_read() {
    let site = Site::new("long");
    let mut stream = site.raw();
    let chunk = vec![b'x'; 1 << 20];
    let mut written = 0;
    while written < 100 << 20 {
        match stream.write(&chunk) {
            Ok(n) => written += n,
            Err(_) => break,
        }
    }
    assert!(written < 8 << 20, "the server took {written} bytes");
    let mut answer = String::new();
    BufReader::new(&mut stream).read_line(&mut answer).expect("an answer");
    assert_eq!(code_of(&serde_json::from_str(&answer).expect("JSON")), code::MESSAGE);
    site.others_are_served("after the long line");
}

#[test]
fn half_a_message_holds_nobody_and_is_given_up() {
    let site = Site::new("half");
    let mut halves: Vec<UnixStream> = (0..5).map(|_| site.raw()).collect();
    for half in &mut halves {
        half.write_all(b"{\"jsonrpc\":").expect("write");
    }
    site.others_are_served("while others dither");
    for half in halves {
        let mut answer = String::new();
        BufReader::new(half).read_line(&mut answer).expect("an answer");
        assert_eq!(code_of(&serde_json::from_str(&answer).expect("JSON")), code::MESSAGE);
    }
}

#[test]
fn of_1000_connections_the_bound_is_served_and_the_rest_told_why() {
    let site = Site::new("many");
    let mut served = 0;
    let mut kept = Vec::new();
    for _ in 0..1000 {
        let mut stream = site.raw();
        // The server says something at once only to those whom it refuses.
        let request = b"{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"config.confirm\"}\n";
        let _ = stream.write_all(request);
        let mut answer = String::new();
        BufReader::new(&stream).read_line(&mut answer).expect("an answer");
        match code_of(&serde_json::from_str(&answer).expect("JSON")) {
            code::NOTHING_TO_CONFIRM => served += 1,
            other => assert_eq!(other, code::CONNECTIONS),
        }
        kept.push(stream);
    }
    let server = site.server.as_ref().expect("running");
    assert_eq!((served, server.connections()), (24, 24), "one process has its share and no more");
    drop(kept);
    let begun = Instant::now();
    while server.connections() > 0 && begun.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(5));
    }
    site.others_are_served("after the rush");
}

#[test]
fn who_does_not_read_is_hung_up_on_and_others_are_served() {
    let site = Site::new("slow");
    let mut slow = site.raw();
    slow.set_write_timeout(Some(Duration::from_millis(300))).expect("time-out");
    let request = format!("{}\n", json!({ "jsonrpc": "2.0", "id": 1, "method": "rpc.discover" }));
    let begun = Instant::now();
    let mut ended = false;
    while !ended && begun.elapsed() < Duration::from_secs(20) {
        ended = matches!(slow.write_all(request.as_bytes()), Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe);
        if begun.elapsed() < Duration::from_millis(600) {
            site.others_are_served("while one does not read");
        }
    }
    assert!(ended, "the server still waits for who does not read");
}

#[test]
fn subscribers_get_events_and_learn_what_they_lost() {
    let site = Site::new("events");
    let mut client = site.client();
    client.call("events.subscribe", &json!({ "sources": ["nf.edge"] })).expect("subscribe");
    let twice = client.call("events.subscribe", &json!({})).expect_err("one subscription");
    assert!(twice.to_string().contains("open another one"), "{twice}");
    site.engine.happen("port.wan", 1);
    site.engine.happen("nf.edge", 2);
    let event = client.notification().expect("event");
    assert_eq!(event["method"], "event");
    assert_eq!(
        event["params"],
        json!({ "time": 7, "source": "nf.edge", "name": "x", "value": 2, "lost": 0 })
    );
    assert_eq!(client.call("config.get", &json!({})).expect("still answering")["generation"], 1);
}

#[test]
fn a_subscriber_that_does_not_read_stops_nobody() {
    let site = Site::new("deaf");
    let mut deaf = site.client();
    deaf.call("events.subscribe", &json!({})).expect("subscribe");
    for i in 0..20_000 {
        site.engine.happen("engine", i);
    }
    site.others_are_served("while a subscriber sleeps");
    let mut awake = site.client();
    awake.call("events.subscribe", &json!({ "sources": ["nf"] })).expect("subscribe");
    site.engine.happen("nf.edge", 1);
    assert_eq!(awake.notification().expect("event")["params"]["value"], 1);
}

#[test]
fn a_configuration_is_applied_as_a_whole_or_not_at_all() {
    let site = Site::new("apply");
    let mut client = site.client();
    let changed = CONFIG.replace("kind = \"filter\"", "kind = \"filter\"\nlimit = 5");

    let dry = client.call("config.apply", &json!({ "config": changed, "dry_run": true })).expect("dry run");
    assert_eq!((&dry["text"], &dry["applied"]), (&json!(["~ nf.edge.limit: 0 → 5"]), &json!(false)));
    assert_eq!(site.engine.applied.lock().expect("lock").len(), 0, "a dry run changes nothing");

    let bad = client.call("config.apply", &json!({ "config": CONFIG.replace("\"wan\"", "\"wann\"") }));
    let Err(ClientError::Refused(error)) = bad else { panic!("{bad:?}") };
    assert_eq!(error.code, code::CONFIG);
    let finding = &error.data.expect("data")["diagnostics"][0];
    assert_eq!((&finding["line"], &finding["column"]), (&json!(12), &json!(6)), "{finding}");

    let fixed = format!("[engine]\nhugepages = true\n{CONFIG}");
    let Err(ClientError::Refused(error)) = client.call("config.apply", &json!({ "config": fixed })) else {
        panic!("hugepages cannot change")
    };
    assert_eq!(error.code, code::RESTART);

    site.engine.refuse.store(true, std::sync::atomic::Ordering::Relaxed);
    let Err(ClientError::Refused(error)) = client.call("config.apply", &json!({ "config": changed })) else {
        panic!("the engine refuses")
    };
    assert_eq!(
        (error.code, error.message.as_str()),
        (code::ENGINE, "the engine keeps its old plan: not today")
    );
    assert_eq!(client.call("config.get", &json!({})).expect("get")["config"], CONFIG);

    site.engine.refuse.store(false, std::sync::atomic::Ordering::Relaxed);
    let applied = client.call("config.apply", &json!({ "config": changed })).expect("apply");
    assert_eq!(
        (&applied["applied"], &applied["generation"], &applied["pause_us"]),
        (&json!(true), &json!(2), &json!(3.0))
    );
    assert_eq!(client.call("config.get", &json!({})).expect("get")["config"], changed);
}

#[test]
fn an_unconfirmed_change_rolls_itself_back() {
    let site = Site::new("confirm");
    let mut client = site.client();
    let changed = CONFIG.replace("path = [\"edge\"]\n", "");
    let apply = |client: &mut Client, time: &str| {
        client.call("config.apply", &json!({ "config": changed, "confirm": time }))
    };
    let none = client.call("config.confirm", &json!({})).expect_err("nothing to confirm").to_string();
    assert!(none.contains("no change waits"), "{none}");

    apply(&mut client, "60s").expect("apply");
    let waiting = client.call("config.get", &json!({})).expect("get");
    assert!(waiting["unconfirmed_seconds"].as_f64().is_some_and(|left| left > 50.0), "{waiting}");
    let Err(ClientError::Refused(error)) = apply(&mut client, "60s") else { panic!("one change at a time") };
    assert_eq!(error.code, code::UNCONFIRMED);
    client.call("config.confirm", &json!({})).expect("confirm");
    assert_eq!(client.call("config.get", &json!({})).expect("get")["config"], changed);

    client.call("config.apply", &json!({ "config": CONFIG })).expect("back");
    client.call("events.subscribe", &json!({ "sources": ["control"] })).expect("subscribe");
    apply(&mut client, "50ms").expect("apply");
    let names: Vec<Value> =
        (0..2).map(|_| client.notification().expect("event")["params"]["name"].clone()).collect();
    assert_eq!(names, ["config_applied", "config_rolled_back"]);
    assert_eq!(client.call("config.get", &json!({})).expect("get")["config"], CONFIG);
    assert_eq!(*site.engine.applied.lock().expect("lock"), [0, 1, 0, 1], "the plan from before is back");
    assert!(client.call("config.apply", &json!({ "config": CONFIG, "confirm": "soon" })).is_err());
}

#[test]
fn state_is_paged_over_all_workers_and_commands_reach_their_nf() {
    let site = Site::new("state");
    let mut client = site.client();
    let mut keys = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let page = client.call("nf.state.export", &json!({ "nf": "edge", "cursor": cursor })).expect("page");
        keys.push(page["records"][0]["key"].clone());
        cursor = page["cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(keys, [json!([0, 0]), json!([0, 1]), json!([0, 2]), json!([1, 0])]);
    let page = client.call("nf.state.export", &json!({ "nf": "edge" })).expect("page");
    let imported = client.call("nf.state.import", &json!({ "nf": "edge", "records": page["records"] }));
    assert_eq!(imported.expect("import"), json!({ "imported": 1 }));

    let hits = json!({ "nf": "edge", "command": "hits", "arguments": { "rule": 1 } });
    assert_eq!(client.call("nf.command", &hits).expect("hits"), json!({ "workers": [{ "rule": 1 }, 2] }));
    let Err(ClientError::Refused(error)) =
        client.call("nf.command", &json!({ "nf": "edge", "command": "x" }))
    else {
        panic!("no such command")
    };
    assert_eq!(error.code, code::UNSUPPORTED);
    let list = client.call("nf.list", &json!({})).expect("list");
    assert_eq!(
        (&list[0]["name"], &list[0]["affinity"], &list[0]["chains"]),
        (&json!("edge"), &json!("flow"), &json!(["egress"]))
    );
}

#[test]
fn a_stop_is_answered_before_it_happens() {
    let (_, controller) = controller();
    let folder = std::env::temp_dir().join(format!("braid-stop-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("folder");
    let server =
        Server::start(&folder.join("s"), Arc::clone(&controller), Limits::default()).expect("server");
    assert!(!controller.wait_for_stop(Duration::from_millis(1)));
    let mut client = Client::connect(server.path()).expect("connect");
    assert_eq!(client.call("engine.stop", &json!({})).expect("stop"), json!({ "stopping": true }));
    assert!(controller.wait_for_stop(Duration::from_secs(5)));
    drop(server);
    let mut rest = Vec::new();
    let _ = UnixStream::connect(folder.join("s")).map(|mut stream| stream.read_to_end(&mut rest));
    assert_eq!(rest, [0; 0]);
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn discovery_describes_every_method_and_what_it_really_returns() {
    let site = Site::new("discover");
    let mut client = site.client();
    let discovered = client.call("rpc.discover", &json!({})).expect("discover");
    let names: Vec<&str> = discovered["methods"]
        .as_array()
        .expect("methods")
        .iter()
        .filter_map(|m| m["name"].as_str())
        .collect();
    assert_eq!(
        names,
        [
            "rpc.discover",
            "stats.get",
            "config.get",
            "config.apply",
            "config.confirm",
            "nf.list",
            "nf.command",
            "nf.state.export",
            "nf.state.import",
            "events.subscribe",
            "engine.stop"
        ]
    );
    assert!(!discovered.to_string().contains("$ref"), "schemas stand alone");
    let schema = |name: &str| {
        let method = discovered["methods"].as_array().and_then(|all| all.iter().find(|m| m["name"] == name));
        method.expect(name)["result"]["schema"].clone()
    };
    for (method, params) in [
        ("stats.get", json!({})),
        ("nf.list", json!({})),
        ("config.get", json!({})),
        ("nf.state.export", json!({ "nf": "edge" })),
        ("config.apply", json!({ "config": CONFIG, "dry_run": true })),
    ] {
        let result = client.call(method, &params).expect(method);
        fits(&result, &schema(method), method);
    }
}

/// A value has exactly the properties that its schema has, all the way down.
fn fits(value: &Value, schema: &Value, path: &str) {
    let schema = schema["anyOf"].get(0).unwrap_or(schema);
    match value {
        Value::Object(table) => {
            for (key, value) in table {
                let known = schema["properties"].get(key).or(schema.get("additionalProperties"));
                let below = known.unwrap_or_else(|| panic!("{path}.{key} is not in the schema"));
                fits(value, below, &format!("{path}.{key}"));
            }
            for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                assert!(table.contains_key(key), "{path}.{key} is required and not there");
            }
        }
        Value::Array(items) => {
            items.iter().for_each(|item| fits(item, &schema["items"], &format!("{path}[]")));
        }
        _ => {}
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_answered_with_json_or_not_at_all(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let (_, controller) = controller();
        let mut session = Session::new(&Limits { requests_per_second: 1_000_000, ..Limits::default() });
        if let Some(answer) = handle(&controller, &mut session, &bytes) {
            proptest::prop_assert!(serde_json::from_slice::<Value>(&answer).is_ok());
        }
    }
}
