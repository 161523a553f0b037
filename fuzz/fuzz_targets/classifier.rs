//! Any rules and packets: the classifier, with much memory and with little, finds what linear search finds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tables::classifier::{CLASS_BYTES, Classifier, Key, Masked, NONE, PortRange, Prefix, Rule, VlanMatch};

/// Rules at the most: enough for more classes than fit, and few enough for many runs a second.
const MOST: usize = 600;

/// Numbers from the input; zeros after its end.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    fn short(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn word(&mut self) -> u32 {
        u32::from(self.short()) << 16 | u32::from(self.short())
    }

    fn prefix(&mut self, kind: u8) -> Option<Prefix> {
        match kind % 4 {
            0 => None,
            1 => Some(Prefix::V6(u128::from(self.word()) << 96, self.byte())),
            _ => Some(Prefix::V4(self.word(), self.byte())),
        }
    }

    fn ports(&mut self, any: bool) -> PortRange {
        if any { PortRange::ANY } else { PortRange { low: self.short(), high: self.short() } }
    }

    fn masked(&mut self, any: bool) -> Masked {
        if any { Masked::ANY } else { Masked { value: self.byte(), mask: self.byte() } }
    }

    fn rule(&mut self) -> Rule {
        let (shape, more) = (self.byte(), self.byte());
        Rule {
            source: self.prefix(shape),
            destination: self.prefix(shape >> 2),
            source_port: self.ports(shape & 16 == 0),
            destination_port: self.ports(shape & 32 == 0),
            protocol: self.masked(shape & 64 == 0),
            tcp_flags: self.masked(shape & 128 == 0),
            vlan: match more % 4 {
                0 | 1 => VlanMatch::Any,
                2 => VlanMatch::Untagged,
                _ => VlanMatch::Range(self.short(), self.short()),
            },
            ether_type: (more & 4 != 0).then(|| self.ether_type()),
            icmp: (more & 8 != 0).then(|| (self.byte(), (more & 16 != 0).then_some(more))),
            tag: self.masked(more & 32 == 0),
        }
    }

    fn ether_type(&mut self) -> u16 {
        [0x0800, 0x0800, 0x86dd, 0x0806][usize::from(self.byte()) % 4]
    }

    fn key(&mut self) -> Key {
        let shape = self.byte();
        Key {
            ether_type: self.ether_type(),
            source: if shape & 1 == 0 { self.word().into() } else { u128::from(self.word()) << 96 },
            destination: if shape & 1 == 0 { self.word().into() } else { u128::from(self.word()) << 96 },
            source_port: self.short(),
            destination_port: self.short(),
            protocol: [6, 17, 1, 58, self.byte()][usize::from(shape >> 1) % 5],
            tcp_flags: self.byte(),
            tag: self.byte(),
            vlan: if shape & 16 == 0 { Key::UNTAGGED } else { self.short() },
            icmp: self.short(),
            has_ports: shape & 32 == 0,
            has_icmp: shape & 64 == 0,
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let (count, repeat) = (usize::from(bytes.byte()) % 80, usize::from(bytes.byte() % 3) * 60 + 1);
    let some: Vec<Rule> = (0..count).map(|_| bytes.rule()).collect();
    let keys: Vec<Key> = (0..40).map(|_| bytes.key()).collect();
    let rules: Vec<Rule> = (0..repeat)
        .flat_map(|i| {
            // Other sources, so that there are many classes.
            let host = Some(Prefix::V4((i as u32).wrapping_mul(0x9e37_79b9), 32));
            some.iter().map(move |&rule| if i == 0 { rule } else { Rule { source: host, ..rule } })
        })
        .take(MOST)
        .collect();
    for memory in [0, CLASS_BYTES] {
        let mut found = [0; 40];
        Classifier::build_within(&rules, memory).classify_bulk(&keys, &mut found);
        for (key, found) in keys.iter().zip(found) {
            let first = rules.iter().position(|rule| rule.matches(key)).map_or(NONE, |rule| rule as u32);
            assert_eq!(found, first, "{key:?}");
        }
    }
});
