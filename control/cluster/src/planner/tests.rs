//! Planners with an etcd of their own, as a process.

use super::*;
use crate::agent::{Agent, Runner};
use crate::server::{Base, Server};
use crate::store::Part;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Killed, and its data removed, with this.
struct Process {
    child: Child,
    folder: std::path::PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// `None`, and says so, if there is no etcd.
fn start(name: &str) -> Option<(Process, Etcd)> {
    let free = || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("http://{}", listener.local_addr().expect("an address"))
    };
    let (url, peers) = (free(), free());
    let folder = std::env::temp_dir().join(format!("braid-{name}-{}", std::process::id()));
    let mut command = Command::new("etcd");
    command.arg("--data-dir").arg(&folder).arg("--unsafe-no-fsync");
    command.args(["--listen-client-urls", &url, "--advertise-client-urls", &url]);
    command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
    command.args(["--initial-cluster", &format!("default={peers}")]);
    let Ok(child) = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
        println!("skipped: etcd is not installed");
        return None;
    };
    let process = Process { child, folder };
    let etcd = Etcd::new(&url).expect("an address");
    until("etcd answers", || etcd.get(store::ROOT).is_ok());
    Some((process, etcd))
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "not so: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn put(etcd: &Etcd, key: &str, value: String) {
    let put = Change::Put { key: key.to_owned(), value, lease: 0 };
    assert!(etcd.transact(&[], &[put]).expect("etcd"));
}

const WANTED: &str = "[nf.swap]\nkind = \"mac_swap\"\n[need.swap]\non = [\"s000\"]\n\
     [[chain]]\nname = \"all\"\nfrom = \"s000.lan\"\npath = \"swap\"\nto = \"s000.lan\"\n";

fn server() -> Server {
    serde_json::from_str("{\"cpu\": 1, \"ports\": [\"lan\"], \"instance\": \"first\"}").expect("a server")
}

/// More than etcd takes changes in a transaction.
#[test]
fn a_hundred_and_thirty_servers_are_planned_for() {
    let Some((_process, etcd)) = start("many") else { return };
    for n in 0..130 {
        put(&etcd, &store::server(&format!("s{n:03}")), store::text(&server()));
    }
    put(&etcd, store::WANTED, WANTED.to_owned());
    let told = Mutex::new(Vec::new());
    let tell = |_: &str, name: &str, detail: &str| {
        told.lock().expect("a list").push(format!("{name}: {detail}"));
    };
    let over = AtomicBool::new(false);
    let planner = Planner { etcd: &etcd, name: "p".to_owned(), ttl: 10, tell: &tell };
    std::thread::scope(|threads| {
        threads.spawn(|| planner.run(&|| over.load(Ordering::Relaxed)));
        let end = Ending(&over);
        until("it is planned", || Snapshot::read(&etcd).is_ok_and(|there| there.current == 1));
        drop(end);
    });
    let there = Snapshot::read(&etcd).expect("a snapshot");
    assert_eq!((there.plan.revision, there.parts.len()), (1, 130));
    assert!(there.parts["s000"].config.contains("mac_swap"));
    let told = told.into_inner().expect("a list");
    assert!(told.iter().all(|event| !event.starts_with("interrupted")), "{told:?}");
}

/// Says that it is over, whatever becomes of the test.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What it was given to run.
struct Ran(Mutex<Vec<String>>);

impl Runner for Ran {
    fn run(&self, config: &str) -> Result<(), String> {
        self.0.lock().map_err(|error| error.to_string())?.push(config.to_owned());
        Ok(())
    }
}

/// A planner that goes while it writes leaves parts of half a plan.
#[test]
fn an_agent_runs_no_part_of_half_a_plan() {
    let Some((_process, etcd)) = start("half") else { return };
    let part = |revision, config: &str| store::text(&Part { revision, config: config.to_owned() });
    let swap = "[nf.swap]\nkind = \"mac_swap\"\n";
    put(&etcd, store::CURRENT, "4".to_owned());
    put(&etcd, &store::part("s1"), part(3, "[nf.first]\nkind = \"mac_swap\"\n"));
    let base = "[server]\ncpu = 1\n[ports.lan]\ndevice = \"net_null0\"\n";
    let base = Base::parse(base, "first".to_owned()).expect("a configuration");
    let ran = Ran(Mutex::new(Vec::new()));
    let count = || ran.0.lock().expect("a list").len();
    let (over, tell) = (AtomicBool::new(false), |_: &str, _: &str, _: &str| {});
    let name = "s1".to_owned();
    let agent = Agent { etcd: &etcd, name, base, ttl: 2, runner: &ran, keep: None, tell: &tell };
    std::thread::scope(|threads| {
        threads.spawn(|| agent.run(None, &|| over.load(Ordering::Relaxed)));
        let end = Ending(&over);
        until("it runs its part", || count() == 1);
        put(&etcd, &store::part("s1"), part(5, swap));
        // Longer than it waits for anything.
        std::thread::sleep(Duration::from_millis(1500));
        assert_eq!(count(), 1, "plan 5 is not in force");
        put(&etcd, store::CURRENT, "5".to_owned());
        until("it runs the next part", || count() == 2);
        until("it says so", || {
            Snapshot::read(&etcd).is_ok_and(|there| there.reports.get("s1").is_some_and(|r| r.revision == 5))
        });
        drop(end);
    });
    assert!(ran.0.lock().expect("a list")[1].contains("nf.swap"));
}

#[test]
fn changes_are_made_in_batches_that_etcd_takes() {
    let put = |bytes: usize| Change::Put { key: "k".to_owned(), value: "x".repeat(bytes), lease: 0 };
    let sizes = |changes: &[Change]| batches(changes).map(<[Change]>::len).collect::<Vec<_>>();
    assert_eq!(sizes(&[]), [0; 0]);
    assert_eq!(sizes(&vec![put(10); 230]), [100, 100, 30]);
    assert_eq!(sizes(&vec![put(200 << 10); 5]), [2, 2, 1]);
    assert_eq!(sizes(&[put(1), put(600 << 10), put(1)]), [1, 1, 1], "what is too much by itself goes alone");
}
