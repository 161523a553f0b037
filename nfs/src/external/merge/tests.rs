//! The merge of branches against the same NFs one after the other, byte for byte.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::subsequence;
use wire::checksum::{Sum, for_udp, update_u16};

/// What an NF does to a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Edit {
    Source,
    Destination,
    Hops,
    Class,
    From,
    To,
    FromPort,
    ToPort,
    Sequence,
    Window,
    Payload,
    PushTag,
    PopTag,
    IpOption,
    TcpOption,
    Append,
    Cut,
}

const FIELDS: [Edit; 11] = [
    Edit::Source,
    Edit::Destination,
    Edit::Hops,
    Edit::Class,
    Edit::From,
    Edit::To,
    Edit::FromPort,
    Edit::ToPort,
    Edit::Sequence,
    Edit::Window,
    Edit::Payload,
];
const LENGTHS_TOO: [Edit; 6] =
    [Edit::PushTag, Edit::PopTag, Edit::IpOption, Edit::TcpOption, Edit::Append, Edit::Cut];

impl Edit {
    fn writes(self) -> Fields {
        Fields::of(&[match self {
            Edit::Source => Field::EthSrc,
            Edit::Destination => Field::EthDst,
            Edit::Hops => Field::IpTtl,
            Edit::Class => Field::IpDscp,
            Edit::From => Field::IpSrc,
            Edit::To => Field::IpDst,
            Edit::FromPort => Field::Sport,
            Edit::ToPort => Field::Dport,
            Edit::Sequence => Field::TcpSeq,
            Edit::Window => Field::TcpWindow,
            Edit::Payload => Field::Payload,
            Edit::PushTag | Edit::PopTag => Field::Vlan,
            Edit::IpOption => Field::IpOptions,
            Edit::TcpOption => Field::TcpOptions,
            Edit::Append | Edit::Cut => Field::Length,
        }])
    }

    /// Does it, and corrects checksums by the difference.
    fn apply(self, frame: &[u8], value: u8) -> Vec<u8> {
        let headers = wire::parse(frame);
        let mut out = frame.to_vec();
        let l3 = headers.l3_offset();
        let l4 = headers.l4_offset();
        let v4 = headers.is_ipv4();
        let end = end(&headers, frame.len());
        let mut fill = |at: Option<usize>, len: usize| {
            if let Some(bytes) = at.and_then(|at| out.get_mut(at..at + len)) {
                for (i, byte) in bytes.iter_mut().enumerate() {
                    *byte = byte.wrapping_mul(3).wrapping_add(value).wrapping_add(i as u8);
                }
            }
        };
        let is_tcp = headers.is_tcp();
        let ports = headers.has_ports().then_some(l4).flatten();
        match self {
            Edit::Source => fill(Some(6), 6),
            Edit::Destination => fill(Some(0), 6),
            Edit::Hops => fill(Some(if v4 { l3 + 8 } else { l3 + 7 }), 1),
            Edit::Class if v4 => out[l3 + 1] = out[l3 + 1] & 3 | value << 2,
            Edit::Class => out[l3] = out[l3] & 0xf0 | value & 0x0f,
            Edit::From => fill(Some(if v4 { l3 + 12 } else { l3 + 8 }), if v4 { 4 } else { 16 }),
            Edit::To => fill(Some(if v4 { l3 + 16 } else { l3 + 24 }), if v4 { 4 } else { 16 }),
            Edit::FromPort => fill(ports, 2),
            Edit::ToPort => fill(ports.map(|at| at + 2), 2),
            Edit::Sequence => fill(l4.filter(|_| is_tcp).map(|at| at + 4), 4),
            Edit::Window => fill(l4.filter(|_| is_tcp).map(|at| at + 14), 2),
            Edit::Payload => {
                // Not so far back that another branch may cut it off.
                fill(headers.payload_offset().map(|at| at + usize::from(value % 4)), 4);
            }
            Edit::PushTag => {
                out.splice(12..12, [0x81, 0, 0, value]);
            }
            Edit::PopTag if headers.vlan_count() > 0 => {
                out.drain(12..16);
            }
            Edit::PopTag => {}
            Edit::IpOption if v4 && headers.ip_header_len() == 20 => {
                out.splice(l3 + 20..l3 + 20, [0x94, 4, value, 1]);
                out[l3] += 1;
                lengthen(&mut out, &headers, 4, false);
            }
            Edit::TcpOption if is_tcp => {
                let at = l4.expect("TCP has a place");
                out.splice(at + 20..at + 20, [253, 4, value, 9]);
                out[at + 12] += 0x10;
                lengthen(&mut out, &headers, 4, false);
            }
            Edit::Append => {
                out.splice(end..end, [value, 2, 3, 250, 5, value]);
                lengthen(&mut out, &headers, 6, true);
            }
            Edit::Cut if headers.payload_len() > Some(12) => {
                out.drain(end - 4..end);
                lengthen(&mut out, &headers, -4, true);
            }
            Edit::IpOption | Edit::TcpOption | Edit::Cut => {}
        }
        readjust(frame, &mut out);
        out
    }
}

fn add_to(out: &mut [u8], at: usize, by: i16) {
    let value = word(out, at).expect("a length").wrapping_add_signed(by);
    out[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

fn lengthen(out: &mut [u8], headers: &Headers, by: i16, transport_too: bool) {
    add_to(out, headers.l3_offset() + if headers.is_ipv4() { 2 } else { 4 }, by);
    if let Some(at) = headers.l4_offset().filter(|_| transport_too && headers.is_udp()) {
        add_to(out, at + 4, by);
    }
}

/// What the checksums of a frame cover, without the checksums themselves: their place, and the sum.
fn sums(frame: &[u8]) -> [Option<(usize, u16, bool)>; 2] {
    let headers = wire::parse(frame);
    let (l3, end) = (headers.l3_offset(), end(&headers, frame.len()));
    checksums(frame).map(|sum| {
        let Checksum { at, udp } = sum?;
        let mut bytes = frame.to_vec();
        bytes[at..at + 2].fill(0);
        let l4 = headers.l4_offset().filter(|_| at > l3 + 11 || !headers.is_ipv4());
        let covered = match l4 {
            None => Sum::new().bytes(&bytes[l3..l3 + headers.ip_header_len()]),
            Some(l4) => {
                let (len, protocol) = ((end - l4) as u32, headers.protocol().expect("IP"));
                let pseudo = match (headers.ipv4_addresses(frame), headers.ipv6_addresses(frame)) {
                    _ if headers.is_icmp() => Sum::new(),
                    (Some((src, dst)), _) => Sum::pseudo_v4(src, dst, protocol, len),
                    (_, Some((src, dst))) => Sum::pseudo_v6(src, dst, protocol, len),
                    _ => Sum::new(),
                };
                pseudo.bytes(&bytes[l4..end])
            }
        };
        Some((at, !covered.checksum(), udp))
    })
}

/// Corrects the checksums of `after` by what has changed since `before` (RFC 1624).
fn readjust(before: &[u8], after: &mut [u8]) {
    let (old, new) = (sums(before), sums(after));
    for (old, new) in old.into_iter().zip(new) {
        let (Some((_, old, _)), Some((at, new, udp))) = (old, new) else { continue };
        let checksum = word(after, at).expect("a checksum");
        if old == new || udp && checksum == 0 {
            continue;
        }
        let updated = update_u16(checksum, old, new);
        let updated = if udp { for_udp(updated) } else { updated };
        after[at..at + 2].copy_from_slice(&updated.to_be_bytes());
    }
}

fn run(frame: &[u8], edits: &[(Edit, u8)]) -> Vec<u8> {
    edits.iter().fold(frame.to_vec(), |frame, (edit, value)| edit.apply(&frame, *value))
}

/// A packet with headers of any kind, right or wrong checksums, padding or none.
fn packets() -> impl Strategy<Value = Vec<u8>> {
    let link = prop_oneof![Just(""), Just(" / vlan 5"), Just(" / qinq 7 / vlan 9")];
    let bad = || prop_oneof![3 => Just(""), 1 => Just(" bad")];
    let v4 = (any::<u32>(), any::<u32>(), bad()).prop_map(|(src, dst, bad)| {
        let [src, dst] = [src, dst].map(|address| std::net::Ipv4Addr::from(address | 1));
        format!(" / ipv4 {src} > {dst} id 4711{bad}")
    });
    let v6 = (any::<u64>(), any::<u64>()).prop_map(|(src, dst)| {
        let [src, dst] = [src, dst].map(|half| std::net::Ipv6Addr::from(u128::from(half) << 8 | 1));
        format!(" / ipv6 {src} > {dst} flow 77")
    });
    let transport = prop_oneof![
        (any::<u32>(), bad()).prop_map(|(seq, bad)| format!(" / tcp 1000 > 80 seq {seq} ack 7{bad}")),
        bad().prop_map(|bad| format!(" / tcp 1000 > 80 syn options 020405b4{bad}")),
        bad().prop_map(|bad| format!(" / udp 1000 > 53{bad}")),
        Just(" / udp 1000 > 53 nochecksum".to_owned()),
    ];
    let pad = prop_oneof![Just(""), Just(" / pad 400")];
    (link, prop_oneof![v4, v6], transport, 8usize..150, pad).prop_map(|(link, ip, transport, len, pad)| {
        let text =
            format!("eth 02:00:00:00:00:0a > 02:00:00:00:00:0b{link}{ip}{transport} / count {len}{pad}");
        harness::packet(&text).expect("a packet")
    })
}

/// Edits of different fields, dealt to branches; one of them may change the length.
fn branches() -> impl Strategy<Value = Vec<Vec<(Edit, u8)>>> {
    let edits = subsequence(FIELDS.to_vec(), 2..=8).prop_shuffle();
    let longer = proptest::option::of(proptest::sample::select(LENGTHS_TOO.to_vec()));
    (edits, longer, vec(any::<u8>(), 9), 2..=MAX_BRANCHES).prop_map(|(edits, longer, values, count)| {
        let mut branches = vec![Vec::new(); count];
        for (i, edit) in edits.into_iter().enumerate() {
            branches[usize::from(values[i]) % count].push((edit, values[i]));
        }
        if let Some(edit) = longer {
            branches[usize::from(values[8]) % count].insert(0, (edit, values[8]));
        }
        branches
    })
}

fn writes(branch: &[(Edit, u8)]) -> Fields {
    branch.iter().fold(Fields::EMPTY, |all, (edit, _)| all.union(edit.writes()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn branches_come_to_what_one_after_the_other_does(frame in packets(), branches in branches()) {
        let sequential = branches.iter().fold(frame.clone(), |frame, branch| run(&frame, branch));
        let made: Vec<_> = branches.iter().map(|branch| run(&frame, branch)).collect();
        let outputs: Vec<_> = made.iter().zip(&branches).map(|(bytes, branch)| Output {
            bytes,
            writes: writes(branch),
            changes_length: branch.iter().any(|(edit, _)| LENGTHS_TOO.contains(edit)),
        }).collect();
        let mut scratch = Scratch::default();
        for output in outputs.iter().filter(|output| !output.changes_length) {
            prop_assert!(!strays(&frame, output, &mut scratch));
        }
        let merged = merge(&frame, &outputs, &mut scratch).expect("they belong together");
        prop_assert_eq!(merged, &sequential[..]);
    }

    #[test]
    fn the_writes_of_one_branch_laid_over_another_come_to_the_same(
        frame in packets(),
        edits in subsequence(FIELDS.to_vec(), 2..=8).prop_shuffle(),
        values in vec(any::<u8>(), 8),
        first in 1..8usize,
    ) {
        let edits: Vec<_> = edits.into_iter().zip(values).collect();
        let (far, here) = edits.split_at(first.min(edits.len() - 1));
        let sequential = run(&run(&frame, far), here);
        let mut merged = run(&frame, here);
        let far_bytes = run(&frame, far);
        overlay(&mut merged, &far_bytes, writes(far), &mut Scratch::default()).expect("one shape");
        prop_assert_eq!(merged, sequential);
    }

    #[test]
    fn no_output_makes_it_panic(
        frame in vec(any::<u8>(), 0..200),
        outputs in vec((vec(any::<u8>(), 0..200), any::<bool>()), 1..=MAX_BRANCHES),
    ) {
        let outputs: Vec<_> = outputs.iter().map(|(bytes, changes_length)| Output {
            bytes,
            writes: Fields::of(&[Field::Payload, Field::IpSrc]),
            changes_length: *changes_length,
        }).collect();
        let mut scratch = Scratch::default();
        for output in &outputs {
            strays(&frame, output, &mut scratch);
        }
        let _ = merge(&frame, &outputs, &mut scratch);
        let _ = overlay(&mut frame.clone(), outputs[0].bytes, outputs[0].writes, &mut scratch);
    }
}

/// A branch that takes the padding away, as a kernel that routes does, does not change the length.
#[test]
fn lost_padding_is_no_removal() {
    let packet = |class: u8, ttl: u8, pad: &str| {
        harness::packet(&format!(
            "eth 02:00:00:00:00:0a > 02:00:00:00:00:0b / ipv4 10.0.0.1 > 10.0.0.2 ttl {ttl} dscp {class} \
             / udp 1 > 2 / \"x\"{pad}"
        ))
        .expect("a packet")
    };
    let (original, marked, routed) =
        (packet(0, 64, " / pad 60"), packet(10, 64, " / pad 60"), packet(0, 63, ""));
    let output = |bytes, field| Output { bytes, writes: Fields::of(&[field]), changes_length: false };
    let outputs = [output(&marked[..], Field::IpDscp), output(&routed[..], Field::IpTtl)];
    let mut scratch = Scratch::default();
    assert!(outputs.iter().all(|output| !strays(&original, output, &mut scratch)));
    assert_eq!(merge(&original, &outputs, &mut scratch), Ok(&packet(10, 63, "")[..]));
}

/// What does not belong together is not merged.
#[test]
fn what_was_not_declared_is_no_output() {
    let frame = harness::packet(
        "eth 02:00:00:00:00:0a > 02:00:00:00:00:0b / ipv4 10.0.0.1 > 10.0.0.2 / tcp 1 > 2 / count 50",
    )
    .expect("a packet");
    let longer = Edit::PushTag.apply(&frame, 3);
    let routed = Edit::Hops.apply(&frame, 3);
    let mut scratch = Scratch::default();
    let output = |bytes, changes_length| Output { bytes, writes: Fields::EMPTY, changes_length };
    assert!(strays(&frame, &output(&routed, false), &mut scratch), "the TTL has changed");
    let merged = |outputs: &[Output<'_>]| merge(&frame, outputs, &mut Scratch::default()).map(<[u8]>::to_vec);
    assert_eq!(merged(&[output(&longer, false), output(&frame, false)]), Err(Unmergeable));
    assert_eq!(merged(&[output(&longer, true), output(&longer, true)]), Err(Unmergeable));
    let mut elsewhere = longer.clone();
    elsewhere[60] ^= 1;
    assert_eq!(merged(&[output(&elsewhere, true), output(&frame, false)]), Err(Unmergeable));
}
