//! What the tests of the whole program share: a folder of their own, a run of `braid`, its socket, its account.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod spaces;

use capture::{CaptureError, Reader};
use control::client::Client;
use engine::Snapshot;
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// How long anything may take that the program does at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder that goes with the test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("braid-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A file in it.
    pub fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, contents).expect("a file");
        path
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A capture of the examples.
pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/captures").join(name)
}

/// What `braid` said and how it ended.
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// The account that `--json` prints.
    pub fn account(&self) -> Snapshot {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("no account: {error}: {:?} {}", self.code, self.err))
    }
}

/// Runs `braid` to its end.
pub fn braid<A: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_braid")).args(arguments).output().expect("braid runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// A `braid run --json` in the background; ended with the test.
pub struct Run<'a> {
    child: Child,
    folder: &'a Folder,
}

impl<'a> Run<'a> {
    /// Starts it with a configuration whose control socket is `braid.sock`, and waits until that answers.
    pub fn start(folder: &'a Folder, config: &str) -> Run<'a> {
        let mut run = Run::spawn(folder, config, &[]);
        let begun = Instant::now();
        while Client::connect(&run.socket()).is_err() {
            let over = run.child.try_wait().expect("a child");
            assert!(over.is_none(), "braid ended: {}", folder.read("err"));
            assert!(begun.elapsed() < PATIENCE, "braid does not come up: {}", folder.read("err"));
            std::thread::sleep(Duration::from_millis(10));
        }
        run
    }

    /// Starts it with further arguments, and does not wait.
    pub fn spawn(folder: &'a Folder, config: &str, arguments: &[&str]) -> Run<'a> {
        let file = folder.file("braid.toml", config);
        let child = Command::new(env!("CARGO_BIN_EXE_braid"))
            .arg("run")
            .arg(file)
            .arg("--json")
            .args(arguments)
            .stdout(File::create(folder.path("out")).expect("a file"))
            .stderr(File::create(folder.path("err")).expect("a file"))
            .spawn()
            .expect("braid starts");
        Run { child, folder }
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path("braid.sock")
    }

    /// Another connection to its control socket.
    pub fn client(&self) -> Client {
        Client::connect(&self.socket()).expect("a connection")
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal)
            .expect("a signal");
    }

    /// Waits until it has ended.
    pub fn wait(mut self) -> Ended {
        let begun = Instant::now();
        let status: ExitStatus = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "braid does not end: {}", self.folder.read("err"));
            std::thread::sleep(Duration::from_millis(5));
        };
        Ended { code: status.code(), out: self.folder.read("out"), err: self.folder.read("err") }
    }

    /// Stops it by its socket, and waits until it has ended.
    pub fn stop(self) -> Ended {
        call(&mut self.client(), "engine.stop", Value::Object(serde_json::Map::new()));
        self.wait()
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A call that has a result.
pub fn call(client: &mut Client, method: &str, params: Value) -> Value {
    client.call(method, &params).unwrap_or_else(|error| panic!("{method}: {error}"))
}

/// All counters of a run now.
pub fn stats(client: &mut Client) -> Snapshot {
    let stats = call(client, "stats.get", serde_json::json!({}));
    serde_json::from_value(stats).expect("counters")
}

/// Fails unless all packets are accounted for and none is left behind.
pub fn assert_balanced(account: &Snapshot) {
    assert!(account.packets.balanced(), "{:?}", account.packets);
    assert_eq!(account.packets.held, 0, "{:?}", account.packets);
}

/// How many frames of a capture can be read, and why no more.
pub fn readable(path: &Path) -> (u64, Option<CaptureError>) {
    let mut frames = 0;
    let mut reader = match Reader::open(path) {
        Ok(reader) => reader,
        Err(error) => return (0, Some(error)),
    };
    loop {
        match reader.next() {
            Ok(Some(_)) => frames += 1,
            Ok(None) => return (frames, None),
            Err(error) => return (frames, Some(error)),
        }
    }
}
