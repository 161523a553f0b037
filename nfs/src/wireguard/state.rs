//! What may leave of an interface: where its peers are. Sessions stay: the library gives no keys away, and a peer makes
//! another session within one round trip.

use super::WireGuard;
use super::config::can_reach;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use engine::{Cursor, PAGE, Record, Role, Scope, Selector, State, StateError, Time};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::net::SocketAddr;

const KIND: &str = "peer";
const VERSION: u32 = 1;

/// Key of a peer.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    public_key: String,
}

/// Where it was last.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Value {
    endpoint: SocketAddr,
    /// Since when, in nanoseconds since the epoch.
    since: u64,
}

impl WireGuard {
    /// The peer that a record is of, and where it is.
    fn read(&self, record: &Record) -> Result<(usize, SocketAddr, Time), StateError> {
        let kind = record.kind.as_str();
        if kind != KIND {
            return Err(StateError::UnknownKind(kind.to_owned()));
        }
        if record.version > VERSION {
            return Err(StateError::TooNew { kind: kind.to_owned(), found: record.version, known: VERSION });
        }
        let malformed = |message: String| StateError::Malformed { kind: kind.to_owned(), message };
        let key = Key::deserialize(&record.key).map_err(|error| malformed(error.to_string()))?;
        let value = Value::deserialize(&record.value).map_err(|error| malformed(error.to_string()))?;
        let public = BASE64_STANDARD.decode(&key.public_key).ok();
        let public = public.filter(|bytes| bytes.len() == 32);
        let public = public.ok_or_else(|| malformed("'public_key' is no key".to_owned()))?;
        if !can_reach(self.plan.local, value.endpoint) {
            return Err(malformed(format!("{} cannot be reached", value.endpoint)));
        }
        let known = self.plan.peers.iter().position(|peer| peer.public[..] == public[..]);
        let known = known.ok_or_else(|| malformed("this configuration has no such peer".to_owned()))?;
        Ok((known, value.endpoint, Time::from_nanos(value.since)))
    }
}

impl State for WireGuard {
    /// Peers that have moved away from where the configuration has them.
    fn export(&self, cursor: Cursor, selector: &Selector, out: &mut Vec<Record>) -> Option<Cursor> {
        let from = usize::try_from(cursor.0).unwrap_or(usize::MAX);
        if !selector.wants_kind(KIND) || !selector.wants_scope(Scope::Shared) {
            return None;
        }
        let peers = self.plan.peers.iter().zip(&self.peers.all);
        for (planned, peer) in peers.skip(from).take(PAGE) {
            let Some(endpoint) = peer.endpoint.filter(|_| peer.endpoint != planned.endpoint) else {
                continue;
            };
            let wanted = selector.wants_time(peer.moved)
                && selector.address.is_none_or(|prefix| prefix.contains(endpoint.ip()))
                && selector.port.is_none_or(|port| port == endpoint.port())
                && selector.protocol.is_none_or(|protocol| protocol == wire::protocol::ip::UDP);
            if wanted {
                out.push(Record {
                    kind: KIND.to_owned(),
                    version: VERSION,
                    role: Role::Supporting,
                    scope: Scope::Shared,
                    key: json!(Key { public_key: BASE64_STANDARD.encode(planned.public) }),
                    value: json!(Value { endpoint, since: peer.moved.as_nanos() }),
                });
            }
        }
        (from + PAGE < self.peers.all.len()).then_some(Cursor((from + PAGE) as u64))
    }

    fn import(&mut self, records: &[Record]) -> Result<(), StateError> {
        let read = records.iter().map(|record| self.read(record)).collect::<Result<Vec<_>, _>>()?;
        for (peer, endpoint, since) in read {
            if let Some(peer) = self.peers.all.get_mut(peer) {
                (peer.endpoint, peer.moved) = (Some(endpoint), since);
            }
        }
        Ok(())
    }

    fn admits(&self, records: &[Record]) -> Result<(), StateError> {
        records.iter().try_for_each(|record| self.read(record).map(|_| ()))
    }
}
