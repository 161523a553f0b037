//! Alerts as lines of JSON, with Suricata's names (EVE): for whoever reads Suricata's.

use super::alert::{Alert, Message};
use super::detect::Rules;
use crate::outlet::Sink;
use engine::Time;
use ids_rules::rule::{Meta, Target};
use l7::Protocol;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;
use streams::Toward;
use wire::protocol::ip;
use wire::{FlowKey, FlowKey4};

/// A file of alerts. It is made with the first one; what is there already stays.
pub(super) struct EveFile {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    rules: Arc<Rules>,
}

impl EveFile {
    pub(super) fn new(path: PathBuf, rules: Arc<Rules>) -> EveFile {
        EveFile { path, file: None, rules }
    }
}

impl Sink for EveFile {
    type Record = Box<Alert>;

    fn take(&mut self, alert: Box<Alert>) -> io::Result<()> {
        let Some(rule) = self.rules.all.get(alert.rule as usize) else { return Ok(()) };
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let opened = File::options().create(true).append(true).open(&self.path)?;
                self.file.insert(BufWriter::new(opened))
            }
        };
        serde_json::to_writer(&mut *file, &line(&alert, &rule.rule.meta))?;
        file.write_all(b"\n")
    }

    fn settle(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), BufWriter::flush)
    }
}

/// An alert as an EVE object.
pub(super) fn line(alert: &Alert, meta: &Meta) -> Value {
    let mut line = Map::new();
    let mut put = |name: &str, value: Value| _ = line.insert(name.to_owned(), value);
    put("timestamp", timestamp(alert.time).into());
    put(
        "flow_id",
        alert.flow.as_ref().map_or_else(|| flow_id(&alert.key, Time::ZERO), |flow| flow.id).into(),
    );
    put("event_type", "alert".into());
    put("src_ip", alert.key.source().to_string().into());
    put("dest_ip", alert.key.destination().to_string().into());
    if alert.ports {
        put("src_port", alert.key.source_port().into());
        put("dest_port", alert.key.destination_port().into());
    }
    put("proto", protocol_name(alert.key.protocol()).into());
    if let Some((kind, code)) = alert.icmp {
        put("icmp_type", kind.into());
        put("icmp_code", code.into());
    }
    put("pkt_src", if alert.stream { "stream (detect/log)" } else { "wire/pcap" }.into());
    put("alert", said(alert, meta));
    if let Some(message) = &alert.message {
        put("tx_id", message.number.into());
        for (name, value) in told(message) {
            put(name, value);
        }
    }
    if let Some(flow) = &alert.flow {
        if let Some(application) = flow.application {
            put("app_proto", application_name(application).into());
        }
        let to_server = flow.toward == Toward::Server;
        put("direction", if to_server { "to_server" } else { "to_client" }.into());
        let client = if to_server { alert.key } else { alert.key.reversed() };
        let mut numbers = json!({
            "pkts_toserver": flow.packets[0],
            "pkts_toclient": flow.packets[1],
            "bytes_toserver": flow.bytes[0],
            "bytes_toclient": flow.bytes[1],
            "start": timestamp(flow.first),
            "src_ip": client.source().to_string(),
            "dest_ip": client.destination().to_string(),
        });
        if alert.ports {
            numbers["src_port"] = client.source_port().into();
            numbers["dest_port"] = client.destination_port().into();
        }
        put("flow", numbers);
    }
    Value::Object(line)
}

/// The rule's part.
fn said(alert: &Alert, meta: &Meta) -> Value {
    let mut said = json!({
        "action": if alert.blocked { "blocked" } else { "allowed" },
        "gid": meta.gid,
        "signature_id": meta.sid,
        "rev": meta.rev,
        "signature": &*meta.message,
        "category": meta.class.as_ref().map_or("", |class| &*class.description),
        "severity": meta.priority,
    });
    if let Some(target) = meta.target {
        let end = |ip: std::net::IpAddr, port: u16| {
            if alert.ports {
                json!({ "ip": ip.to_string(), "port": port })
            } else {
                json!({ "ip": ip.to_string() })
            }
        };
        let source = end(alert.key.source(), alert.key.source_port());
        let destination = end(alert.key.destination(), alert.key.destination_port());
        let (from, to) = match target {
            Target::Source => (destination, source),
            Target::Destination => (source, destination),
        };
        said["source"] = from;
        said["target"] = to;
    }
    if !meta.metadata.is_empty() {
        let mut all = Map::new();
        for (name, value) in &meta.metadata {
            let values = all.entry(name.to_string()).or_insert_with(|| json!([]));
            if let Some(values) = values.as_array_mut() {
                values.push(json!(&**value));
            }
        }
        said["metadata"] = Value::Object(all);
    }
    said
}

/// The message's part.
fn told(message: &Message) -> Vec<(&'static str, Value)> {
    let mut all = Vec::new();
    let mut http = Map::new();
    for (name, value) in [
        ("hostname", &message.host),
        ("url", &message.url),
        ("http_user_agent", &message.agent),
        ("http_method", &message.method),
    ] {
        if let Some(value) = value {
            http.insert(name.to_owned(), value.as_str().into());
        }
    }
    if let Some(status) = message.status {
        http.insert("status".to_owned(), status.into());
    }
    if !http.is_empty() {
        all.push(("http", Value::Object(http)));
    }
    if let Some(name) = &message.server_name {
        all.push(("tls", json!({ "sni": name })));
    }
    if let Some(name) = &message.question {
        all.push(("dns", json!({ "query": [{ "rrname": name }] })));
    }
    all
}

/// A number for a flow: the same in every run, and small enough for every reader of JSON (2⁵³).
pub(super) fn flow_id(key: &FlowKey, first: Time) -> u64 {
    let (key, _) = key.canonical();
    let [low, high] = match key {
        FlowKey::V4(FlowKey4 { src, dst, .. }) => [u64::from(src), u64::from(dst)],
        FlowKey::V6(key) => [(key.src ^ key.src >> 64) as u64, (key.dst ^ key.dst >> 64) as u64],
    };
    let rest = u64::from(key.source_port()) << 32
        | u64::from(key.destination_port()) << 16
        | u64::from(key.protocol());
    wire::flow::mix(wire::flow::mix(low, high, rest), first.as_nanos(), 0x1d5) >> 12
}

fn protocol_name(protocol: u8) -> String {
    match protocol {
        ip::TCP => "TCP".into(),
        ip::UDP => "UDP".into(),
        ip::ICMP => "ICMP".into(),
        ip::ICMPV6 => "IPv6-ICMP".into(),
        ip::SCTP => "SCTP".into(),
        ip::GRE => "GRE".into(),
        ip::ESP => "ESP".into(),
        ip::AH => "AH".into(),
        other => format!("{other:03}"),
    }
}

pub(super) fn application_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http => "http",
        Protocol::Tls => "tls",
        Protocol::Dns => "dns",
    }
}

/// As in `2024-02-29T12:00:00.000001+0000`.
fn timestamp(time: Time) -> String {
    let nanos = time.as_nanos();
    let (seconds, micros) = (nanos / 1_000_000_000, nanos % 1_000_000_000 / 1_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}+0000")
}

/// The date so many days after 1970-01-01 (H. Hinnant, *chrono-compatible low-level date algorithms*).
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_suricata_does() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00.000000+0000"),
            (951_782_400_000_001_999, "2000-02-29T00:00:00.000001+0000"),
            (1_700_000_000_123_456_789, "2023-11-14T22:13:20.123456+0000"),
            (4_102_444_799_999_999_999, "2099-12-31T23:59:59.999999+0000"),
        ] {
            assert_eq!(timestamp(Time::from_nanos(nanos)), text);
        }
    }
}
