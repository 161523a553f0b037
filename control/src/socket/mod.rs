//! The control socket: JSON-RPC 2.0 over a Unix socket, one object per line.
//!
//! A thread per connection, bounded in number; nothing here is on the packets' way, and no client can make
//! another one wait: messages, answers, rates, queues and times are all bounded ([`Limits`]).

mod connection;
mod error;
pub(crate) mod events;
mod lines;
mod methods;
mod pace;
mod rpc;
mod schemas;
mod server;
#[cfg(test)]
mod tests;

pub use error::{RpcError, code};
pub use events::{Event, Hub, Subscription};
pub use methods::{METHODS, Method, Reach, find};
pub use rpc::{Session, handle};
pub(crate) use server::peer as server_peer;
pub use server::{Server, SocketError};

use std::path::PathBuf;
use std::time::Duration;

/// The bounds of the control socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one process.
    pub per_process: usize,
    /// Bytes of one message.
    pub message: usize,
    /// From the first byte of a message to its end.
    pub message_time: Duration,
    /// Without a message; subscribers may be silent for ever.
    pub idle: Duration,
    /// For the client to take an answer.
    pub write: Duration,
    /// Requests per second and connection; more wait.
    pub requests_per_second: u32,
    /// Calls that workers have to answer, per second of all connections together; more wait. It bounds how much
    /// of a worker's time clients can have.
    pub worker_calls_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 64,
            per_process: 16,
            message: 1 << 20,
            message_time: Duration::from_secs(10),
            idle: Duration::from_secs(300),
            write: Duration::from_secs(5),
            requests_per_second: 1000,
            worker_calls_per_second: 500,
        }
    }
}

/// Where the control socket is unless the configuration or the command line says otherwise: as root
/// `/run/braid.sock`, else `braid.sock` in `$XDG_RUNTIME_DIR`, else `/tmp/braid-<uid>.sock`.
pub fn default_path() -> PathBuf {
    let user = rustix::process::geteuid();
    if user.is_root() {
        return PathBuf::from("/run/braid.sock");
    }
    match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_dir()) {
        Some(folder) => folder.join("braid.sock"),
        None => PathBuf::from(format!("/tmp/braid-{}.sock", user.as_raw())),
    }
}
