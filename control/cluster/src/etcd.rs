//! A client of etcd's JSON interface (the gRPC gateway, etcd 3.4 and later). It blocks, and every call ends in time.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use ureq::Agent;

/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// Longest answer that is read.
const MOST_BYTES: u64 = 64 << 20;

/// etcd, by one or more of its members.
pub struct Etcd {
    members: Vec<String>,
    /// The member that answered last.
    at: AtomicUsize,
    http: Agent,
}

/// Why etcd did not do it.
#[derive(Debug, thiserror::Error)]
pub enum EtcdError {
    /// Nobody answers, or not in time.
    #[error("etcd does not answer at {member}: {reason}")]
    Away {
        /// Who was asked last.
        member: String,
        /// Why.
        reason: String,
    },
    /// It says no.
    #[error("etcd refuses: {0}")]
    Refused(String),
    /// It says something else than etcd would.
    #[error("not an answer of etcd: {0}")]
    Garbled(String),
    /// A lease has ended.
    #[error("the lease has ended")]
    LeaseEnded,
}

/// A key with its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// The revision of the store that made the key.
    pub created: i64,
    /// The revision that changed it last.
    pub modified: i64,
}

/// A condition of a transaction.
#[derive(Clone, Debug)]
pub enum If<'a> {
    /// There is no such key.
    Absent(&'a str),
    /// The key was made by this revision, and is there still.
    Created(&'a str, i64),
}

/// A change of a transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Sets a key; with a lease, for as long as that lasts.
    Put {
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// A lease, or 0.
        lease: i64,
    },
    /// Deletes a key, if it is there.
    Delete(String),
}

/// 64-bit numbers are strings in etcd's JSON, and are left out when 0.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Kv {
    key: String,
    value: String,
    create_revision: String,
    mod_revision: String,
}

impl Etcd {
    /// For the members at these addresses, separated by commas. It does not connect.
    ///
    /// # Errors
    /// An address that is none.
    pub fn new(members: &str) -> Result<Etcd, EtcdError> {
        let members: Vec<String> =
            members.split(',').map(|member| member.trim().trim_end_matches('/').to_owned()).collect();
        if let Some(bad) = members.iter().find(|member| !member.starts_with("http://") || member.len() < 8) {
            return Err(EtcdError::Refused(format!("'{bad}' is no address: write http://127.0.0.1:2379")));
        }
        // A connection that is kept would be found dead when etcd comes back.
        let config = Agent::config_builder()
            .timeout_connect(Some(Duration::from_secs(1)))
            .timeout_recv_response(Some(PATIENCE))
            .max_idle_connections(0)
            .http_status_as_error(false)
            .build();
        Ok(Etcd { members, at: AtomicUsize::new(0), http: config.into() })
    }

    /// A lease of so many seconds.
    ///
    /// # Errors
    /// As all calls.
    pub fn grant(&self, seconds: u64) -> Result<i64, EtcdError> {
        number(&self.call("lease/grant", &json!({ "TTL": seconds.to_string() }))?["ID"])
    }

    /// Lets a lease begin anew.
    ///
    /// # Errors
    /// [`EtcdError::LeaseEnded`], and as all calls.
    pub fn keep_alive(&self, lease: i64) -> Result<(), EtcdError> {
        let answer = self.call("lease/keepalive", &json!({ "ID": lease.to_string() }))?;
        match number(&answer["result"]["TTL"]) {
            Ok(left) if left > 0 => Ok(()),
            _ => Err(EtcdError::LeaseEnded),
        }
    }

    /// Ends a lease, and with it the keys that it holds.
    ///
    /// # Errors
    /// As all calls.
    pub fn revoke(&self, lease: i64) -> Result<(), EtcdError> {
        self.call("lease/revoke", &json!({ "ID": lease.to_string() })).map(drop)
    }

    /// All keys that begin so, as they were at one revision of the store, and that revision.
    ///
    /// # Errors
    /// As all calls.
    pub fn get(&self, prefix: &str) -> Result<(i64, Vec<Entry>), EtcdError> {
        let answer =
            self.call("kv/range", &json!({ "key": encode(prefix), "range_end": encode(&behind(prefix)) }))?;
        let revision = number(&answer["header"]["revision"])?;
        let entries = match answer.get("kvs") {
            None => Vec::new(),
            Some(kvs) => {
                let kvs: Vec<Kv> = serde_json::from_value(kvs.clone()).map_err(garbled)?;
                kvs.into_iter().map(entry).collect::<Result<_, _>>()?
            }
        };
        Ok((revision, entries))
    }

    /// Makes all changes at once if all conditions hold. Returns whether they did.
    ///
    /// # Errors
    /// As all calls.
    pub fn transact(&self, conditions: &[If<'_>], changes: &[Change]) -> Result<bool, EtcdError> {
        let compare = |condition: &If<'_>| {
            let (key, revision) = match *condition {
                If::Absent(key) => (key, 0),
                If::Created(key, revision) => (key, revision),
            };
            let revision = revision.to_string();
            json!({ "key": encode(key), "target": "CREATE", "result": "EQUAL", "create_revision": revision })
        };
        let change = |change: &Change| match change {
            Change::Put { key, value, lease } => {
                let lease = lease.to_string();
                json!({ "requestPut": { "key": encode(key), "value": encode(value), "lease": lease } })
            }
            Change::Delete(key) => json!({ "requestDeleteRange": { "key": encode(key) } }),
        };
        let request = json!({
            "compare": conditions.iter().map(compare).collect::<Vec<_>>(),
            "success": changes.iter().map(change).collect::<Vec<_>>(),
        });
        Ok(self.call("kv/txn", &request)?["succeeded"] == json!(true))
    }

    /// Waits until a key that begins so changes at `revision` or later, at most so long. Returns whether one has. A
    /// history that is compacted counts as a change: read anew.
    ///
    /// # Errors
    /// As all calls.
    pub fn watch(&self, prefix: &str, revision: i64, at_most: Duration) -> Result<bool, EtcdError> {
        let create = json!({
            "key": encode(prefix), "range_end": encode(&behind(prefix)), "start_revision": revision.to_string()
        });
        let body = json!({ "create_request": create }).to_string();
        let (member, response) = self.post("watch", &body, Some(at_most))?;
        let mut lines = BufReader::new(response.into_body().into_reader().take(MOST_BYTES));
        loop {
            let mut line = String::new();
            match lines.read_line(&mut line) {
                Ok(0) => return Err(EtcdError::Away { member, reason: "it has hung up".to_owned() }),
                Ok(_) => {}
                Err(error) if is_timeout(&error) => return Ok(false),
                Err(error) => return Err(EtcdError::Away { member, reason: error.to_string() }),
            }
            let answer: Value = serde_json::from_str(&line).map_err(garbled)?;
            let result = &answer["result"];
            if let Some(error) = answer.get("error") {
                return Err(EtcdError::Refused(error.to_string()));
            }
            if result.get("events").is_some() || result.get("canceled").is_some() {
                return Ok(true);
            }
        }
    }

    fn call(&self, method: &str, request: &Value) -> Result<Value, EtcdError> {
        let (member, mut response) = self.post(method, &request.to_string(), None)?;
        let status = response.status();
        let body = response.body_mut().with_config().limit(MOST_BYTES).read_to_string();
        let body = body.map_err(|error| EtcdError::Away { member, reason: error.to_string() })?;
        // The gateway answers to what should be a stream with one line.
        let answer: Value = serde_json::from_str(body.trim()).map_err(garbled)?;
        match answer.get("error") {
            None if status.is_success() => Ok(answer),
            error => Err(EtcdError::Refused(error.map_or(status.to_string(), said))),
        }
    }

    /// Asks the member that answered last, then the others.
    fn post(
        &self,
        method: &str,
        body: &str,
        stream: Option<Duration>,
    ) -> Result<(String, ureq::http::Response<ureq::Body>), EtcdError> {
        let first = self.at.load(Ordering::Relaxed);
        let mut last = None;
        for i in 0..self.members.len() {
            let at = (first + i) % self.members.len();
            let member = &self.members[at];
            let request = self.http.post(format!("{member}/v3/{method}"));
            let request = request.config().timeout_recv_body(Some(stream.unwrap_or(PATIENCE))).build();
            match request.send(body) {
                Ok(response) => {
                    self.at.store(at, Ordering::Relaxed);
                    return Ok((member.clone(), response));
                }
                Err(error) => {
                    last = Some(EtcdError::Away { member: member.clone(), reason: error.to_string() })
                }
            }
        }
        Err(last.unwrap_or_else(|| EtcdError::Refused("no address".to_owned())))
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
    matches!(inner, Some(ureq::Error::Timeout(_)))
        || matches!(error.kind(), std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock)
}

fn garbled(error: impl std::fmt::Display) -> EtcdError {
    EtcdError::Garbled(error.to_string())
}

fn said(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn number(value: &Value) -> Result<i64, EtcdError> {
    let text = value.as_str().ok_or_else(|| EtcdError::Garbled(format!("{value} is no number")))?;
    text.parse().map_err(garbled)
}

fn encode(text: &str) -> String {
    BASE64.encode(text)
}

/// The first key behind all that begin so.
fn behind(prefix: &str) -> String {
    let mut chars: Vec<char> = prefix.chars().collect();
    // Our keys are ASCII, where the next character is the next byte.
    if let Some(last) = chars.last_mut() {
        *last = char::from_u32(*last as u32 + 1).unwrap_or(char::MAX);
    }
    chars.into_iter().collect()
}

fn entry(kv: Kv) -> Result<Entry, EtcdError> {
    let text = |encoded: &str| {
        let bytes = BASE64.decode(encoded).map_err(garbled)?;
        String::from_utf8(bytes).map_err(garbled)
    };
    let revision = |text: &str| text.parse().map_err(garbled);
    Ok(Entry {
        key: text(&kv.key)?,
        value: text(&kv.value)?,
        created: revision(&kv.create_revision)?,
        modified: revision(&kv.mod_revision)?,
    })
}
