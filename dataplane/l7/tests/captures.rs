//! What is found in real captures, compared with what tshark finds. Not under Miri, which starts no programs.
#![cfg(not(miri))]

use capture::Reader;
use l7::{Buffer, Conversation, Limits, Progress, Protocol, Transaction};
use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;
use streams::{Config, Datagrams, Flow, Mode, Pool, Segment, Toward};
use wire::flow::FlowKey;
use wire::{headers, tcp};

/// Captures with HTTP, with TLS, with DNS.
const HTTP: [&str; 9] = [
    "general/dev/ws_http-ooo.pcap",
    "general/dev/zeek_http_get.pcap",
    "general/dev/zeek_http_pipelined-requests.pcap",
    "general/dev/zeek_http_100-continue.pcap",
    "general/dev/zeek_workshop_2011_browse.pcap",
    "general/dev/zeek_wikipedia.pcap",
    "ids/dev/attack_traces/WebattackSQLinj.pcap",
    "ids/dev/attack_traces/WebattackRCE.pcap",
    "ids/dev/attack_traces/sql_injection.pcap",
];
const TLS: [&str; 4] = [
    "general/dev/ws_tls12-chacha20poly1305.pcap",
    "general/dev/ndpi_netflix.pcap",
    "general/dev/ndpi_instagram.pcap",
    "general/dev/retina_tls_ciphers.pcap",
];
const DNS: [&str; 3] = [
    "general/dev/gopacket_test_dns.pcap",
    "general/dev/zeek_wikipedia.pcap",
    "ids/dev/attack_traces/dns_exfiltration.pcap",
];

/// The transactions that were seen, as they were when one side of them got its head.
#[derive(Default)]
struct Found {
    values: HashMap<Buffer, Vec<String>>,
}

impl l7::Sink for Found {
    fn transaction(&mut self, toward: Toward, transaction: &Transaction) {
        let first = if transaction.protocol() == Protocol::Dns { Progress::Complete } else { Progress::Head };
        if transaction.progress(toward) != first {
            return;
        }
        for (buffer, bytes) in transaction.parts().filter(|(buffer, _)| buffer.toward() == Some(toward)) {
            self.values.entry(buffer).or_default().push(String::from_utf8_lossy(bytes).into_owned());
        }
    }
}

/// Between a flow and its conversation.
struct Link<'a> {
    conversation: &'a mut Conversation,
    found: &'a mut Found,
}

impl streams::Sink for Link<'_> {
    fn data(&mut self, toward: Toward, _: u64, bytes: &[u8]) {
        self.conversation.data(&Limits::default(), toward, bytes, self.found);
    }

    fn gap(&mut self, toward: Toward, _: u64, len: u64) {
        self.conversation.gap(&Limits::default(), toward, len, self.found);
    }

    fn end(&mut self, toward: Toward) {
        self.conversation.end(&Limits::default(), toward, self.found);
    }

    fn begin(&mut self) {
        *self.conversation = Conversation::default();
    }
}

fn found(path: &Path) -> Found {
    let config = Config { mode: Mode::Arrival, midstream: true, depth: 0, ..Config::default() };
    let (mut pool, mut found) = (Pool::new(16 << 20), Found::default());
    let mut flows: HashMap<FlowKey, (Flow, Datagrams, Conversation)> = HashMap::new();
    let mut reader = Reader::new(BufReader::new(File::open(path).unwrap()), "capture").unwrap();
    while let Some(frame) = reader.next().unwrap() {
        let headers = headers::parse(frame.bytes);
        let (Some(key), Some(l4), Some(payload), Some(len)) = (
            FlowKey::from_packet(&headers, frame.bytes),
            headers.l4_offset(),
            headers.payload_offset(),
            headers.payload_len(),
        ) else {
            continue;
        };
        let Some(bytes) = frame.bytes.get(..payload + len) else { continue };
        let (canonical, direction) = key.canonical();
        let (flow, datagrams, conversation) = flows.entry(canonical).or_default();
        if headers.is_tcp() {
            let Ok(packet) = tcp::Packet::new_checked(&bytes[l4..]) else { continue };
            let mut link = Link { conversation, found: &mut found };
            flow.segment(&config, &mut pool, &Segment::of(&packet, direction, 0), &mut link);
        } else if headers.is_udp() && [key.source_port(), key.destination_port()].contains(&53) {
            let toward = datagrams.see(direction).toward;
            conversation.datagram(&Limits::default(), toward, &bytes[payload..], &mut found);
        }
    }
    for (flow, _, conversation) in flows.values_mut() {
        flow.finish(&config, &mut pool, &mut Link { conversation, found: &mut found });
    }
    found
}

/// The values of each field in the packets that pass a filter.
fn tshark(path: &Path, filter: &str, rows: &[(Buffer, &str)]) -> Option<Vec<Vec<String>>> {
    let mut command = Command::new("tshark");
    command.args(["-2", "-o", "tcp.reassemble_out_of_order:TRUE", "-Y", filter, "-r"]).arg(path);
    command.args(["-T", "fields", "-E", "separator=\u{2}", "-E", "aggregator=\u{1}"]);
    for (_, field) in rows {
        command.args(["-e", field]);
    }
    let text = String::from_utf8_lossy(&command.output().ok()?.stdout).into_owned();
    let mut values = vec![Vec::new(); rows.len()];
    for line in text.lines() {
        for (values, column) in values.iter_mut().zip(line.split('\u{2}')) {
            values.extend(column.split('\u{1}').filter(|value| !value.is_empty()).map(str::to_owned));
        }
    }
    Some(values)
}

/// Demands that both find the same values, in any order.
fn compare(captures: &[&str], filter: &str, rows: &[(Buffer, &str)]) {
    let mut compared = 0;
    for name in captures {
        let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")).join(name);
        if !path.exists() {
            println!("skipped: no capture {name}");
            continue;
        }
        let found = found(&path);
        let Some(expected) = tshark(&path, filter, rows) else {
            println!("skipped: no tshark for {name}");
            continue;
        };
        for (&(buffer, _), mut expected) in rows.iter().zip(expected) {
            let mut values = found.values.get(&buffer).cloned().unwrap_or_default();
            if buffer == Buffer::HttpUriRaw {
                // To tshark a target ends at its first space, to most servers before the protocol.
                values.iter_mut().for_each(|value| value.truncate(value.find(' ').unwrap_or(value.len())));
            }
            values.sort_unstable();
            expected.sort_unstable();
            let differing = values.iter().zip(&expected).find(|(ours, theirs)| ours != theirs);
            assert_eq!(differing, None, "{name}: {}", buffer.name());
            assert_eq!(values.len(), expected.len(), "{name}: {}", buffer.name());
            compared += values.len();
        }
    }
    println!("compared: {compared} values");
}

#[test]
fn http_is_what_tshark_sees() {
    let rows = [
        (Buffer::HttpMethod, "http.request.method"),
        (Buffer::HttpUriRaw, "http.request.uri"),
        (Buffer::HttpHostRaw, "http.host"),
        (Buffer::HttpUserAgent, "http.user_agent"),
        (Buffer::HttpStatCode, "http.response.code"),
    ];
    compare(&HTTP, "tcp && http", &rows);
}

#[test]
fn tls_is_what_tshark_sees() {
    compare(&TLS, "tls.handshake.type == 1", &[(Buffer::TlsSni, "tls.handshake.extensions_server_name")]);
}

#[test]
fn dns_is_what_tshark_sees() {
    compare(&DNS, "dns.flags.response == 0 && udp.port == 53", &[(Buffer::DnsQuery, "dns.qry.name")]);
}
