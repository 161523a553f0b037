//! etcd, planners and agents as processes.

use super::rig::{Folder, call, stats};
use control::client::Client;
use engine::Snapshot;
use serde_json::{Value, json};
use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Seconds that leases last.
pub const TTL: u64 = 2;
/// How long anything may take that somebody does by himself.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until it is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "not so: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A process with its output in files; killed with this.
pub struct Process {
    pub name: String,
    child: Child,
    out: PathBuf,
}

impl Process {
    fn start(folder: &Folder, name: &str, command: &mut Command) -> Process {
        let out = folder.path(&format!("{name}.out"));
        let (file, errors) = (File::create(&out).expect("a file"), folder.path(&format!("{name}.err")));
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(File::create(errors).expect("a file"))
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        Process { name: name.to_owned(), child, out }
    }

    /// Whether a line of its output has these words.
    pub fn said(&self, words: &str) -> bool {
        std::fs::read_to_string(&self.out).unwrap_or_default().contains(words)
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end, and waits for it.
    pub fn end(&mut self) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("a signal");
        until("it ends", || self.child.try_wait().expect("a child").is_some());
    }

    /// The configuration that it runs.
    pub fn config(&self, cluster: &Cluster<'_>) -> String {
        let config = call(&mut cluster.client(&self.name), "config.get", json!({}));
        config["config"].as_str().expect("a text").to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// etcd, and who uses it.
pub struct Cluster<'a> {
    folder: &'a Folder,
    address: String,
    port: u16,
    peers: u16,
    etcd: Option<Process>,
}

impl<'a> Cluster<'a> {
    /// For an etcd at this address; `None`, and says so, if there is no etcd.
    pub fn start(folder: &'a Folder, address: &str) -> Option<Cluster<'a>> {
        if Command::new("etcd").arg("--version").output().is_err() {
            println!("skipped: etcd is not installed");
            return None;
        }
        let free = || {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            listener.local_addr().expect("an address").port()
        };
        let (port, peers) = (free(), free());
        Some(Cluster { folder, address: address.to_owned(), port, peers, etcd: None })
    }

    pub fn url(&self) -> String {
        format!("http://{}:{}", self.address, self.port)
    }

    /// Starts it, with what it knew before.
    pub fn etcd(&mut self) {
        let (url, peers) = (self.url(), format!("http://127.0.0.1:{}", self.peers));
        let mut command = Command::new("etcd");
        command.arg("--data-dir").arg(self.folder.path("etcd"));
        command.args(["--listen-client-urls", &url, "--advertise-client-urls", &url]);
        command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
        command.args(["--initial-cluster", &format!("default={peers}"), "--unsafe-no-fsync"]);
        command.args(["--heartbeat-interval", "50", "--election-timeout", "500"]);
        self.etcd = Some(Process::start(self.folder, "etcd", &mut command));
        until("etcd answers", || self.command(&["show", "--json"]).is_some());
    }

    pub fn kill_etcd(&mut self) {
        self.etcd = None;
    }

    fn braid(space: Option<&str>) -> Command {
        let braid = env!("CARGO_BIN_EXE_braid");
        match space {
            None => Command::new(braid),
            Some(space) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", space, braid]);
                command
            }
        }
    }

    fn agent_command(&self, name: &str, space: Option<&str>) -> Command {
        let mut command = Cluster::braid(space);
        command.args(["agent", "--name", name, "--etcd", &self.url(), "--ttl", &TTL.to_string()]);
        command
    }

    pub fn planner(&self, name: &str) -> Process {
        Process::start(self.folder, name, self.agent_command(name, None).arg("--planner"))
    }

    /// Starts an agent with a configuration whose control socket is `NAME.sock`, and waits until that answers.
    pub fn agent(&self, name: &str, config: &str, space: Option<&str>) -> Process {
        let file = self.folder.file(&format!("{name}.toml"), config);
        let socket = self.folder.path(&format!("{name}.sock"));
        let _ = std::fs::remove_file(&socket);
        let mut command = self.agent_command(name, space);
        command.arg("--config").arg(file).arg("--keep").arg(self.folder.path(&format!("{name}.part")));
        let mut process = Process::start(self.folder, name, &mut command);
        until(name, || {
            let over = process.child.try_wait().expect("a child");
            assert!(over.is_none(), "{name} ended: {}", self.folder.read(&format!("{name}.err")));
            Client::connect(&socket).is_ok()
        });
        process
    }

    fn client(&self, name: &str) -> Client {
        Client::connect(&self.folder.path(&format!("{name}.sock"))).expect("a connection")
    }

    fn command(&self, arguments: &[&str]) -> Option<String> {
        let mut command = Cluster::braid(None);
        let output =
            command.args(["cluster", "--etcd", &self.url()]).args(arguments).output().expect("braid");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    pub fn set(&self, wanted: &str) {
        let file = self.folder.file("wanted.toml", wanted);
        let file = file.display().to_string();
        self.command(&["set", &file]).expect("it is taken");
    }

    pub fn show(&self) -> Value {
        let text = self.command(&["show", "--json"]).expect("etcd answers");
        serde_json::from_str(&text).expect("JSON")
    }

    pub fn events(&self) -> Vec<String> {
        let shown = self.show();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let events = shown["events"].as_array().expect("events").iter();
        events.map(|event| format!("{}: {}", text(&event["name"]), text(&event["detail"]))).collect()
    }

    pub fn leader(&self) -> String {
        let mut leader = String::new();
        until("somebody plans", || {
            leader = self.show()["planner"].as_str().unwrap_or_default().to_owned();
            !leader.is_empty()
        });
        leader
    }

    pub fn has_server(&self, name: &str) -> bool {
        self.show()["servers"].get(name).is_some()
    }

    pub fn until_place(&self, nf: &str, server: &str) {
        until(&format!("{nf} is on {server}"), || self.show()["plan"]["place"][nf] == server);
    }

    /// Whether each server runs its part.
    pub fn all_run(&self) -> bool {
        let shown = self.show();
        let parts = shown["parts"].as_object().expect("parts");
        parts.iter().all(|(name, part)| {
            let report = &shown["reports"][name];
            report["runs"] == true && report["revision"] == part["revision"]
        })
    }

    /// All counters of a server.
    pub fn stats(&self, server: &str) -> Snapshot {
        stats(&mut self.client(server))
    }

    /// Packets that an NF has seen on a server.
    pub fn nf_packets(&self, server: &str, nf: &str) -> u64 {
        let seen = self.stats(server);
        seen.chains.values().filter_map(|chain| chain.nfs.get(nf)).map(|nf| nf.packets).sum()
    }
}
