//! The client's end of the control socket.

use crate::socket::{RpcError, server_peer};
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A connection to a running engine.
pub struct Client {
    stream: UnixStream,
    input: BufReader<UnixStream>,
    patience: Duration,
    next: u64,
}

/// Why a call did not bring a result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error(
        "no engine listens at {0}: start one with 'braid run FILE.toml', or name its socket with --socket"
    )]
    NobodyThere(String),
    /// Somebody else listens.
    #[error("the socket {0} is served by another user's process (user id {1})")]
    Stranger(String, u32),
    /// It may not be opened.
    #[error("{0} belongs to another user, who runs the engine: ask as that user, or as root")]
    NotAllowed(String),
    /// The connection failed.
    #[error("{path}: {source}")]
    Io {
        /// The socket.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The engine hung up.
    #[error("the engine closed the connection")]
    Closed,
    /// The engine has not answered in time. It may yet do what was asked; the connection is of no more use.
    #[error("the engine has not answered within {0:?}; it may still be at work on the request")]
    TimedOut(Duration),
    /// The answer has neither a result nor an error.
    #[error("the engine answered with neither a result nor an error: {0}")]
    NoResult(String),
    /// The engine says no.
    #[error("{0}")]
    Refused(RpcError),
    /// The answer is no JSON-RPC.
    #[error("not a JSON-RPC answer: {0}")]
    Garbled(String),
}

/// For the engine to answer; `config.apply` may have many files to read.
const PATIENCE: Duration = Duration::from_secs(60);

impl Client {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// Nobody listens there, or a stranger does: neither root nor the same user.
    pub fn connect(path: &Path) -> Result<Client, ClientError> {
        Client::connect_with(path, PATIENCE)
    }

    /// Connects, and waits so long for each answer.
    fn connect_with(path: &Path, patience: Duration) -> Result<Client, ClientError> {
        let name = path.display().to_string();
        let failed = |source: io::Error| match source.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => ClientError::NobodyThere(name.clone()),
            ErrorKind::PermissionDenied => ClientError::NotAllowed(name.clone()),
            _ => ClientError::Io { path: name.clone(), source },
        };
        let stream = UnixStream::connect(path).map_err(failed)?;
        let own = rustix::process::geteuid();
        match server_peer(&stream) {
            Some((user, _)) if user == own.as_raw() || user == 0 || own.is_root() => {}
            peer => return Err(ClientError::Stranger(name, peer.map_or(u32::MAX, |(user, _)| user))),
        }
        stream.set_read_timeout(Some(patience)).map_err(failed)?;
        let input = BufReader::new(stream.try_clone().map_err(failed)?);
        Ok(Client { stream, input, patience, next: 1 })
    }

    /// Calls a method and waits for its result.
    ///
    /// # Errors
    /// What the engine refuses, and what goes wrong on the way.
    pub fn call(&mut self, method: &str, params: &Value) -> Result<Value, ClientError> {
        let id = self.next;
        self.next += 1;
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let sent = writeln!(self.stream, "{request}");
        loop {
            // The engine may have said why before it hung up.
            let mut answer = match (self.message(), &sent) {
                (Ok(answer), _) => answer,
                (Err(_), Err(error)) if error.kind() == ErrorKind::BrokenPipe => {
                    return Err(ClientError::Closed);
                }
                (Err(error), _) => return Err(error),
            };
            if let Some(error) = answer.get_mut("error").map(Value::take) {
                let garbled = |_| ClientError::Garbled(answer.to_string());
                return Err(ClientError::Refused(serde_json::from_value(error).map_err(garbled)?));
            }
            if answer.get("id") == Some(&json!(id)) {
                let result = answer.get_mut("result").map(Value::take);
                return result.ok_or_else(|| ClientError::NoResult(answer.to_string()));
            }
        }
    }

    /// Waits for the next notification, for ever.
    ///
    /// # Errors
    /// When the connection ends.
    pub fn notification(&mut self) -> Result<Value, ClientError> {
        self.stream.set_read_timeout(None).map_err(|_| ClientError::Closed)?;
        loop {
            let message = self.message()?;
            if message.get("method").is_some() {
                return Ok(message);
            }
        }
    }

    fn message(&mut self) -> Result<Value, ClientError> {
        let mut line = String::new();
        match self.input.read_line(&mut line) {
            Ok(0) => Err(ClientError::Closed),
            Ok(_) => serde_json::from_str(&line).map_err(|error| ClientError::Garbled(error.to_string())),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Err(ClientError::Closed),
            // What a time-out is called differs between systems.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                // A late answer must not be taken for that to a later call.
                let _ = self.stream.shutdown(Shutdown::Both);
                Err(ClientError::TimedOut(self.patience))
            }
            Err(source) => Err(ClientError::Io { path: "control socket".to_owned(), source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    /// An engine that says the same to every request, or nothing.
    fn parrot(name: &str, answer: Option<&'static str>) -> PathBuf {
        let path = std::env::temp_dir().join(format!("braid-{name}-{}.sock", std::process::id()));
        let listener = UnixListener::bind(&path).expect("a socket");
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let requests = BufReader::new(stream.try_clone().expect("a second handle"));
            for request in requests.lines() {
                request.expect("a request");
                answer.into_iter().for_each(|answer| writeln!(stream, "{answer}").expect("written"));
            }
        });
        path
    }

    #[test]
    fn an_engine_that_is_silent_and_one_that_says_nothing_useful_are_told_apart() {
        let silent = parrot("silent", None);
        let patience = Duration::from_millis(30);
        let mut client = Client::connect_with(&silent, patience).expect("connected");
        let error = client.call("stats.get", &json!({})).expect_err("no answer");
        assert!(matches!(error, ClientError::TimedOut(waited) if waited == patience), "{error:?}");
        assert!(error.to_string().starts_with("the engine has not answered within 30ms"), "{error}");
        let error = client.call("stats.get", &json!({})).expect_err("the connection is given up");
        assert!(matches!(error, ClientError::Closed), "{error:?}");

        let empty = parrot("empty", Some(r#"{"jsonrpc":"2.0","id":1}"#));
        let mut client = Client::connect(&empty).expect("connected");
        let error = client.call("stats.get", &json!({})).expect_err("no result");
        assert!(error.to_string().contains("neither a result nor an error: {\"id\":1"), "{error}");
        for path in [silent, empty] {
            std::fs::remove_file(path).expect("the socket is there");
        }
    }
}
