//! Slow and hostile clients: they reach a bound, and others are served.

use super::*;

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
