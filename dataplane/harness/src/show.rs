//! Frames for people: what they are, their bytes, and how two of them differ field by field.

use std::fmt::Write;
use wire::{Field, Fields, Headers};

/// One line of what the parser makes of a frame.
pub(crate) fn summary(bytes: &[u8]) -> String {
    let headers = wire::parse(bytes);
    let mut out = format!("{} bytes", bytes.len());
    if let Some(vlan) = headers.vlan() {
        let _ = write!(out, ", vlan {vlan}");
    }
    match headers.addresses(bytes) {
        Some((source, destination)) => {
            let _ = write!(out, ", {source} > {destination}");
        }
        None => {
            let _ = write!(out, ", ethertype {:#06x}", headers.ether_type());
        }
    }
    if let Some(protocol) = headers.protocol() {
        let _ = match protocol {
            1 => write!(out, ", icmp"),
            6 => write!(out, ", tcp"),
            17 => write!(out, ", udp"),
            58 => write!(out, ", icmpv6"),
            132 => write!(out, ", sctp"),
            other => write!(out, ", protocol {other}"),
        };
    }
    if let Some((source, destination)) = headers.ports(bytes) {
        let _ = write!(out, " {source} > {destination}");
    }
    if headers.is_fragment() {
        out.push_str(", fragment");
    }
    if let Some(malformed) = headers.malformed() {
        let _ = write!(out, ", malformed: {malformed}");
    }
    out
}

/// All bytes in hex, without spaces so that they can be pasted into a case file; long frames are cut.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const SHOWN: usize = 192;
    let mut out = String::new();
    for byte in bytes.iter().take(SHOWN) {
        let _ = write!(out, "{byte:02x}");
    }
    if bytes.len() > SHOWN {
        let _ = write!(out, "… ({} more bytes)", bytes.len() - SHOWN);
    }
    out
}

/// The bits of one field, byte by byte, all others cleared; empty when the frame has no such field.
pub(crate) fn extract(headers: &Headers, bytes: &[u8], field: Field) -> Vec<u8> {
    let mut mask = vec![0; bytes.len()];
    wire::fields::mask(headers, bytes, Fields::of(&[field]), &mut mask);
    bytes.iter().zip(&mask).filter(|(_, mask)| **mask != 0).map(|(byte, mask)| byte & mask).collect()
}

/// The fields in which two frames differ.
pub(crate) fn differing(a: &[u8], b: &[u8]) -> Fields {
    let (headers_a, headers_b) = (wire::parse(a), wire::parse(b));
    let changed = |field: &Field| match field {
        Field::Length => a.len() != b.len(),
        _ => extract(&headers_a, a, *field) != extract(&headers_b, b, *field),
    };
    Field::ALL.into_iter().filter(changed).collect()
}

/// The fields in which two frames differ, one line each: name, expected value, value that came.
pub(crate) fn difference(expected: &[u8], got: &[u8]) -> String {
    let (headers_e, headers_g) = (wire::parse(expected), wire::parse(got));
    let mut out = String::new();
    for field in differing(expected, got).iter() {
        let (e, g) = match field {
            Field::Length => (expected.len().to_string(), got.len().to_string()),
            _ => (
                value(field, &extract(&headers_e, expected, field)),
                value(field, &extract(&headers_g, got, field)),
            ),
        };
        let _ = writeln!(out, "    {:<16} expected {e}\n    {:<16} got      {g}", field.name(), "");
    }
    out
}

/// A field's value: addresses and small numbers as people write them, the rest in hex.
fn value(field: Field, bytes: &[u8]) -> String {
    let text = match (field, bytes) {
        (_, []) => return "(absent)".to_owned(),
        (Field::EthSrc | Field::EthDst, _) => {
            bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
        }
        (Field::IpSrc | Field::IpDst, [a, b, c, d]) => format!("{a}.{b}.{c}.{d}"),
        (Field::IpSrc | Field::IpDst, _) => match <[u8; 16]>::try_from(bytes) {
            Ok(address) => std::net::Ipv6Addr::from(address).to_string(),
            Err(_) => hex(bytes),
        },
        (Field::IpTtl | Field::IpProto, [byte]) => byte.to_string(),
        (Field::Sport | Field::Dport | Field::IpLength | Field::L4Length | Field::TcpWindow, [a, b]) => {
            u16::from_be_bytes([*a, *b]).to_string()
        }
        _ => hex(bytes),
    };
    match field {
        Field::Payload if bytes.iter().all(|byte| (0x20..0x7f).contains(byte)) => {
            format!("{text} \"{}\"", String::from_utf8_lossy(bytes))
        }
        _ => text,
    }
}
