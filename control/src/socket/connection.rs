//! One client: its messages, its answers, its events.

use super::error::{RpcError, code};
use super::events::Subscription;
use super::lines::{Incoming, Lines};
use super::rpc::{self, Session};
use super::server::{Shared, TICK};
use crossbeam::channel::RecvTimeoutError;
use serde_json::{Value, json};
use std::io::{self, ErrorKind, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A connection's place among the open ones; dropping it gives the place back.
pub(super) struct Slot {
    pub id: u64,
    pub shared: Arc<Shared>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// The client's end for writing: whole lines, by the answering thread and the one that sends events.
struct Output {
    stream: Mutex<UnixStream>,
    patience: Duration,
    /// The client has gone, or was hung up on.
    closed: AtomicBool,
}

impl Output {
    /// Writes a line. A client that does not take it in time is hung up on: half a line cannot be taken back.
    fn line(&self, mut line: Vec<u8>) -> io::Result<()> {
        line.push(b'\n');
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline = Instant::now() + self.patience;
        let result = write_by(&mut stream, &line, deadline);
        if result.is_err() {
            self.closed.store(true, Ordering::Release);
            let _ = stream.shutdown(Shutdown::Both);
        }
        result
    }
}

fn write_by(stream: &mut UnixStream, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        if !bytes.is_empty() && Instant::now() > deadline {
            return Err(ErrorKind::TimedOut.into());
        }
    }
    Ok(())
}

/// Serves a client until it goes, breaks a bound, or the server stops.
pub(super) fn serve(stream: UnixStream, slot: &Slot) {
    if let Err(error) = converse(stream, &slot.shared) {
        tracing::debug!("control client: {error}");
    }
}

fn converse(stream: UnixStream, shared: &Arc<Shared>) -> io::Result<()> {
    stream.set_read_timeout(Some(TICK))?;
    stream.set_write_timeout(Some(TICK))?;
    let limits = shared.limits;
    let output = Arc::new(Output {
        stream: Mutex::new(stream.try_clone()?),
        patience: limits.write,
        closed: AtomicBool::new(false),
    });
    let mut lines = Lines::new(&stream, limits.message, limits.message_time);
    let mut session = Session::sharing(&limits, Arc::clone(&shared.worker_pace));
    let mut last = Instant::now();
    let result = loop {
        if shared.stop.load(Ordering::Acquire) {
            break Ok(());
        }
        let refusal = match lines.next() {
            Incoming::Line(line) => {
                last = Instant::now();
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                if let Some(answer) = rpc::handle(&shared.controller, &mut session, &line)
                    && let Err(error) = output.line(answer)
                {
                    break Err(error);
                }
                // Only now: the answer to the subscription comes before the first event.
                if let Some(subscription) = session.subscription.take() {
                    let (output, shared) = (Arc::clone(&output), Arc::clone(shared));
                    let forward = move || forward(&output, &subscription, &shared);
                    std::thread::Builder::new().name("control-events".to_owned()).spawn(forward)?;
                }
                continue;
            }
            Incoming::Nothing if session.subscribed || last.elapsed() < limits.idle => continue,
            Incoming::Nothing | Incoming::End => break Ok(()),
            Incoming::TooLong => format!("a message has at most {} bytes", limits.message),
            Incoming::TooSlow => {
                format!("a message has to end within {:?} of its beginning", limits.message_time)
            }
        };
        let error = rpc::failure(Value::Null, RpcError::new(code::MESSAGE, refusal));
        break output.line(error.to_string().into_bytes());
    };
    output.closed.store(true, Ordering::Release);
    let _ = stream.shutdown(Shutdown::Both);
    result
}

/// Sends events until the client is gone or too slow.
fn forward(output: &Output, subscription: &Subscription, shared: &Shared) {
    while !shared.stop.load(Ordering::Acquire) && !output.closed.load(Ordering::Acquire) {
        let event = match subscription.queue.recv_timeout(TICK) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let message = json!({ "jsonrpc": "2.0", "method": "event", "params": event });
        if output.line(message.to_string().into_bytes()).is_err() {
            return;
        }
    }
}
