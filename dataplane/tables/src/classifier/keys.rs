//! The keys of a burst, field by field.
use super::rule::{IPV4, Key};

/// Keys handled together.
pub const BURST: usize = 32;

/// One number per key of a burst.
pub(super) type Column = [u32; BURST];

/// A number that only some packets have: this is that of the others, above all numbers of 16 bits.
pub(super) const ABSENT: u32 = 1 << 16;
/// VLAN identifiers, and the number that stands for no tag.
pub(super) const UNTAGGED: u32 = 4096;

/// Up to [`BURST`] keys, one column per field, so that eight packets are compared at once. It is large (2 KiB): make
/// it once and use it again.
#[repr(align(64))]
pub struct Keys {
    len: usize,
    /// Bit i: key i is of IPv6, and its addresses are in `wide`.
    pub(super) v6: u32,
    /// Bit i: key i is of neither.
    pub(super) other: u32,
    /// Addresses of IPv4.
    pub(super) source: Column,
    pub(super) destination: Column,
    /// Ether type in the upper 16 bits, then protocol and TCP flags.
    pub(super) kind: Column,
    /// Or [`ABSENT`].
    pub(super) source_port: Column,
    pub(super) destination_port: Column,
    /// Or [`UNTAGGED`].
    pub(super) vlan: Column,
    /// Type and code, or [`ABSENT`].
    pub(super) icmp: Column,
    /// All of them 0 while `tagged` is false.
    pub(super) tag: Column,
    tagged: bool,
    /// Addresses of IPv6, source and destination.
    pub(super) wide: [[u128; 2]; BURST],
}

impl Default for Keys {
    fn default() -> Self {
        Self::new()
    }
}

impl Keys {
    /// None.
    pub const fn new() -> Self {
        Self {
            len: 0,
            v6: 0,
            other: 0,
            source: [0; BURST],
            destination: [0; BURST],
            kind: [0; BURST],
            source_port: [0; BURST],
            destination_port: [0; BURST],
            vlan: [0; BURST],
            icmp: [0; BURST],
            tag: [0; BURST],
            tagged: false,
            wide: [[0; 2]; BURST],
        }
    }

    /// How many there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// There is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets all.
    #[inline]
    pub fn clear(&mut self) {
        (self.len, self.v6, self.other) = (0, 0, 0);
        if self.tagged {
            self.tag = [0; BURST];
            self.tagged = false;
        }
    }

    /// Tags the key put in as the `i`-th, from 0.
    #[inline]
    pub fn tag(&mut self, i: usize, tag: u8) {
        if let Some(place) = self.tag.get_mut(i) {
            *place = tag.into();
            self.tagged = true;
        }
    }

    /// Adds a key; `false` when there are [`BURST`] already.
    #[inline]
    pub fn push(&mut self, key: &Key) -> bool {
        let i = self.len;
        if i >= BURST {
            return false;
        }
        self.len += 1;
        self.replace(i, key);
        true
    }

    /// Puts another key in the place of the `i`-th, from 0; nothing when there is none.
    #[inline]
    pub fn replace(&mut self, i: usize, key: &Key) {
        if i >= self.len.min(BURST) {
            return;
        }
        let or_absent = |there, value: u16| if there { u32::from(value) } else { ABSENT };
        self.source[i] = key.source as u32;
        self.destination[i] = key.destination as u32;
        self.kind[i] = kind(key.ether_type, key.protocol, key.tcp_flags);
        self.source_port[i] = or_absent(key.has_ports, key.source_port);
        self.destination_port[i] = or_absent(key.has_ports, key.destination_port);
        self.vlan[i] = u32::from(key.vlan).min(UNTAGGED);
        self.icmp[i] = or_absent(key.has_icmp, key.icmp);
        (self.v6, self.other) = (self.v6 & !(1 << i), self.other & !(1 << i));
        if key.is_ipv6() {
            self.v6 |= 1 << i;
            self.wide[i] = [key.source, key.destination];
        }
        self.other |= u32::from(!key.is_ipv6() && !key.is_ipv4()) << i;
        if key.tag != 0 || self.tagged {
            self.tag(i, key.tag);
        }
    }

    /// Adds the key of an IPv4 packet with ports and without a VLAN tag; `false` when there are [`BURST`] already.
    #[inline(always)]
    pub fn push_ipv4(
        &mut self,
        (source, destination): (u32, u32),
        (source_port, destination_port): (u16, u16),
        protocol: u8,
        tcp_flags: u8,
    ) -> bool {
        let i = self.len;
        if i >= BURST {
            return false;
        }
        self.len = i + 1;
        self.source[i] = source;
        self.destination[i] = destination;
        self.kind[i] = kind(IPV4, protocol, tcp_flags);
        self.source_port[i] = source_port.into();
        self.destination_port[i] = destination_port.into();
        self.vlan[i] = UNTAGGED;
        self.icmp[i] = ABSENT;
        true
    }

    /// All of them are of IPv4.
    #[inline]
    pub(super) fn are_ipv4(&self) -> bool {
        self.v6 | self.other == 0
    }

    /// A key like the `i`-th that was put in, from 0: the same rules match it.
    pub fn get(&self, i: usize) -> Key {
        let i = i % BURST;
        let [ether_type, low] = [(self.kind[i] >> 16) as u16, self.kind[i] as u16];
        let [protocol, tcp_flags] = low.to_be_bytes();
        let [source, destination] = match self.v6 >> i & 1 {
            1 => self.wide[i],
            _ => [self.source[i].into(), self.destination[i].into()],
        };
        Key {
            source,
            destination,
            source_port: self.source_port[i] as u16,
            destination_port: self.destination_port[i] as u16,
            ether_type,
            vlan: if self.vlan[i] == UNTAGGED { Key::UNTAGGED } else { self.vlan[i] as u16 },
            icmp: self.icmp[i] as u16,
            protocol,
            tag: self.tag[i] as u8,
            tcp_flags,
            has_ports: self.source_port[i] != ABSENT,
            has_icmp: self.icmp[i] != ABSENT,
        }
    }
}

/// Ether type, protocol and TCP flags in one number.
#[inline(always)]
pub(super) const fn kind(ether_type: u16, protocol: u8, tcp_flags: u8) -> u32 {
    (ether_type as u32) << 16 | (protocol as u32) << 8 | tcp_flags as u32
}
