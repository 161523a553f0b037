//! The socket with a real server and real clients, in front of an engine that runs nothing.

mod bounds;
mod methods;
mod place;
mod protocol;

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
