//! Where the socket is, who may open it, and how it ends.

use super::*;

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
