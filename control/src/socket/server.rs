//! The server's end: binds, accepts, counts connections, stops.

use super::connection::{self, Slot};
use super::error::{RpcError, code};
use super::pace::Pace;
use super::{Limits, rpc};
use crate::controller::Controller;
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use rustix::net::sockopt::{self, Timeout};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::net::Shutdown;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How soon threads notice that the server stops.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another process listens there.
    #[error(
        "{0} belongs to a running process; give this one another path: [engine] socket = \"...\", or \"off\""
    )]
    InUse(String),
    /// Something else is there.
    #[error("{0} exists and is no socket; give another path: [engine] socket = \"...\", or \"off\"")]
    NotASocket(String),
    /// The path is longer than Unix sockets allow.
    #[error("the path {0} is longer than the 100 bytes that a socket's may have")]
    TooLong(String),
    /// The system refused.
    #[error("cannot listen at {path}: {source}")]
    Io {
        /// Where.
        path: String,
        /// Why.
        source: io::Error,
    },
}

/// A running server; it ends when dropped.
pub struct Server {
    path: PathBuf,
    inode: Option<(u64, u64)>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What all connections share.
pub(super) struct Shared {
    pub controller: Arc<Controller>,
    pub limits: Limits,
    pub stop: AtomicBool,
    pub worker_pace: Arc<Pace>,
    /// Open connections: who is at the other end, and a handle to hang up with.
    pub open: Mutex<HashMap<u64, (Option<i32>, UnixStream)>>,
    next: AtomicU64,
}

impl Server {
    /// Listens at `path`, mode 0600. The socket of a process that is gone is replaced.
    ///
    /// # Errors
    /// Why it cannot be, and what to do.
    pub fn start(path: &Path, controller: Arc<Controller>, limits: Limits) -> Result<Server, SocketError> {
        let listener = bind(path)?;
        let inode = fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
        let shared = Arc::new(Shared {
            controller,
            limits,
            stop: AtomicBool::new(false),
            worker_pace: Arc::new(Pace::per_second(limits.worker_calls_per_second)),
            open: Mutex::default(),
            next: AtomicU64::new(0),
        });
        let mut server = Server { path: path.to_owned(), inode, shared, threads: Vec::new() };
        let accepting = Arc::clone(&server.shared);
        server.spawn("control-accept", move || accept(&listener, &accepting))?;
        let telling = Arc::clone(&server.shared);
        server.spawn("control-events", move || {
            while !telling.stop.load(Ordering::Acquire) {
                if let Some(notice) = telling.controller.engine().next_notice() {
                    telling.controller.hub.publish(&notice);
                }
            }
        })?;
        Ok(server)
    }

    fn spawn(&mut self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), SocketError> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
        let thread =
            thread.map_err(|source| SocketError::Io { path: self.path.display().to_string(), source })?;
        self.threads.push(thread);
        Ok(())
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.shared.open.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Hangs up on everybody and removes the socket, unless another process has put its own there.
impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        let found = fs::symlink_metadata(&self.path).ok().map(|found| (found.dev(), found.ino()));
        if found.is_some() && found == self.inode {
            // It may be gone already, which is what is wanted.
            let _ = fs::remove_file(&self.path);
        }
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing more to stop.
            let _ = thread.join();
        }
        // Answers that are being written may go out before the lines are cut.
        let patience = Instant::now() + Duration::from_secs(1);
        while self.connections() > 0 && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(5));
        }
        for (_, stream) in self.shared.open.lock().unwrap_or_else(PoisonError::into_inner).values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Binds under another name and renames: the path never is a socket that everybody may open, and a dead
/// process's socket is replaced at once.
fn bind(path: &Path) -> Result<UnixListener, SocketError> {
    let name = path.display().to_string();
    let failed = |source| SocketError::Io { path: name.clone(), source };
    if path.as_os_str().len() > 100 {
        return Err(SocketError::TooLong(name));
    }
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let _turn = turn(folder).map_err(failed)?;
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(SocketError::NotASocket(name)),
        Ok(_) if UnixStream::connect(path).is_ok() => return Err(SocketError::InUse(name)),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    // Of this process alone. Linux gives processes numbers of at most six hexadecimal digits, so the name fits into
    // the 107 bytes of a socket's address.
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(format!(".{:x}", std::process::id()));
    if fs::symlink_metadata(&fresh).is_ok_and(|found| found.file_type().is_socket()) {
        fs::remove_file(&fresh).map_err(failed)?;
    }
    let listener = UnixListener::bind(&fresh).map_err(failed)?;
    let ready = fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600))
        .and_then(|()| fs::rename(&fresh, path));
    if let Err(error) = ready {
        let _ = fs::remove_file(&fresh);
        return Err(failed(error));
    }
    Ok(listener)
}

/// Waits for this process's turn to put a socket into a folder, so that of two that start at once the second sees
/// the first one's. The turn lasts as long as the handle.
fn turn(folder: &Path) -> io::Result<Option<File>> {
    let folder = File::open(folder)?;
    let patience = Instant::now() + Duration::from_secs(5);
    loop {
        match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(folder)),
            Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < patience => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(Errno::WOULDBLOCK | Errno::INTR) => {
                return Err(io::Error::new(ErrorKind::TimedOut, "another process keeps its folder locked"));
            }
            // Some network file systems lock no folders: there it goes without.
            Err(_) => return Ok(None),
        }
    }
}

fn accept(listener: &UnixListener, shared: &Arc<Shared>) {
    // On Linux a receive time-out of a listening socket bounds accept as well.
    if let Err(error) = sockopt::set_socket_timeout(listener, Timeout::Recv, Some(TICK)) {
        tracing::error!("the control socket cannot be served: {error}");
        return;
    }
    while !shared.stop.load(Ordering::Acquire) {
        match listener.accept() {
            Ok((stream, _)) => admit(stream, shared),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => {
                // Out of file descriptors, most likely: connections will end and give some back.
                tracing::warn!("control socket: {error}");
                std::thread::sleep(TICK);
            }
        }
    }
}

/// Lets a client in, or says why not and hangs up.
fn admit(stream: UnixStream, shared: &Arc<Shared>) {
    let Some((user, process)) = peer(&stream) else { return refuse(stream, "who you are cannot be told") };
    let own = rustix::process::geteuid();
    if user != own.as_raw() && user != 0 {
        return refuse(stream, "only the user who runs the engine, and root, may control it");
    }
    let mut open = shared.open.lock().unwrap_or_else(PoisonError::into_inner);
    let same = open.values().filter(|(other, _)| process.is_some() && *other == process).count();
    if open.len() >= shared.limits.connections || same >= shared.limits.per_process {
        drop(open);
        return refuse(stream, "too many connections");
    }
    let Ok(handle) = stream.try_clone() else { return refuse(stream, "too many open files") };
    let id = shared.next.fetch_add(1, Ordering::Relaxed);
    open.insert(id, (process, handle));
    drop(open);
    // From here on the slot gives the place back, whatever happens.
    let slot = Slot { id, shared: Arc::clone(shared) };
    let serve = move || connection::serve(stream, &slot);
    // With an ordinary stack: it compiles the rules of the configurations that its client applies.
    if let Err(error) = std::thread::Builder::new().name("control-client".to_owned()).spawn(serve) {
        tracing::warn!("control socket: no thread for a connection: {error}");
    }
}

/// User and process at the other end.
pub(crate) fn peer(stream: &UnixStream) -> Option<(u32, Option<i32>)> {
    let peer = sockopt::socket_peercred(stream).ok()?;
    Some((peer.uid.as_raw(), Some(peer.pid.as_raw_nonzero().get())))
}

fn refuse(mut stream: UnixStream, why: &str) {
    let answer = rpc::failure(serde_json::Value::Null, RpcError::new(code::CONNECTIONS, why));
    let line = format!("{answer}\n");
    // A fresh socket has room for one line; who does not take it gets nothing.
    let _ = stream.set_nonblocking(true);
    let _ = stream.write_all(line.as_bytes());
}
