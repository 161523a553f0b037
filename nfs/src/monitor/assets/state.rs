//! Assets leave and enter as records of kind `asset`.

use super::asset::{Asset, FINDINGS, Finding, Host, How, Traits};
use engine::{Record, Role, Scope, Selector, StateError, Time};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::net::IpAddr;

pub(in crate::monitor) const KIND: &str = "asset";
const VERSION: u32 = 1;
/// Bytes that a text of a record may have.
const MOST_TEXT: usize = 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    address: IpAddr,
    vlan: u16,
}

/// Times in nanoseconds since the epoch.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Value {
    mac: Option<String>,
    first: u64,
    last: u64,
    findings: Vec<Found>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Found {
    how: How,
    proto: u8,
    port: u16,
    name: String,
    what: String,
    print: Option<Traits>,
    distance: u8,
    first: u64,
    last: u64,
}

/// The asset as a record.
pub(in crate::monitor) fn record(host: Host, asset: &Asset) -> Record {
    let found = |finding: &Finding| Found {
        how: finding.how,
        proto: finding.proto,
        port: finding.port,
        name: finding.name.clone(),
        what: finding.what.clone(),
        print: finding.print.clone(),
        distance: finding.distance,
        first: finding.first.as_nanos(),
        last: finding.last.as_nanos(),
    };
    Record {
        kind: KIND.to_owned(),
        version: VERSION,
        role: Role::Reporting,
        scope: Scope::Shared,
        key: json!(Key { address: host.address, vlan: host.vlan }),
        value: json!(Value {
            mac: asset.mac.map(|mac| mac.to_string()),
            first: asset.first.as_nanos(),
            last: asset.last.as_nanos(),
            findings: asset.findings.iter().map(found).collect(),
        }),
    }
}

/// A record as an asset.
pub(in crate::monitor) fn parse(record: &Record) -> Result<(Host, Asset), StateError> {
    if record.version > VERSION {
        return Err(StateError::TooNew { kind: KIND.to_owned(), found: record.version, known: VERSION });
    }
    let malformed = |message: String| StateError::Malformed { kind: KIND.to_owned(), message };
    let key = Key::deserialize(&record.key).map_err(|error| malformed(error.to_string()))?;
    let value = Value::deserialize(&record.value).map_err(|error| malformed(error.to_string()))?;
    if value.findings.len() > FINDINGS {
        return Err(malformed(format!("{} findings, more than {FINDINGS}", value.findings.len())));
    }
    let mac = value.mac.map(|mac| mac.parse().map_err(|_| malformed(format!("'{mac}' is no MAC address"))));
    let mut asset = Asset {
        mac: mac.transpose()?,
        findings: Vec::new(),
        first: Time::from_nanos(value.first),
        last: Time::from_nanos(value.last),
    };
    for found in value.findings {
        let print = found.print.as_ref();
        let texts = [&found.name, &found.what].into_iter();
        let texts =
            texts.chain(print.map(|print| &print.text)).chain(print.and_then(|print| print.link.as_ref()));
        if let Some(long) = texts.map(String::len).find(|len| *len > MOST_TEXT) {
            return Err(malformed(format!("a text of {long} bytes, more than {MOST_TEXT}")));
        }
        asset.findings.push(Finding {
            how: found.how,
            proto: found.proto,
            port: found.port,
            name: found.name,
            what: found.what,
            print: found.print,
            distance: found.distance,
            first: Time::from_nanos(found.first),
            last: Time::from_nanos(found.last),
        });
    }
    Ok((Host { address: key.address, vlan: key.vlan }, asset))
}

/// Whether an export wants the asset.
pub(in crate::monitor) fn is_wanted(selector: &Selector, host: Host, asset: &Asset) -> bool {
    selector.address.is_none_or(|prefix| prefix.contains(host.address))
        && selector.wants_time(asset.last)
        && selector.port.is_none()
        && selector.protocol.is_none()
}
