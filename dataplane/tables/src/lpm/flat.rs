//! IPv4 routes by direct index: 16 bits, then 8, then 8.

use super::fib::{Fib, IS_NODE, NONE};
use std::collections::HashMap;

/// Entries of a node: one per value of a byte.
type Node = [u32; 256];

/// A compiled set of IPv4 routes that takes at most three loads, half of the time of a [`Fib`](super::Fib), and 1 KiB
/// for every /16 and every /24 in which there are longer prefixes, and for every value; made by
/// [`Routes::flatten`](super::Routes::flatten).
pub struct Flat {
    /// The node for each value of the first 16 bits. There always is one, so that a look-up need not ask: whether
    /// there are longer prefixes varies from packet to packet, too much for a branch.
    root: Box<[u32; 1 << 16]>,
    nodes: Vec<Node>,
}

impl Flat {
    /// `routes` in order of network and length. `None` when they take more than `bytes` bytes.
    pub(super) fn build(routes: impl Iterator<Item = (u32, u8, u32)>, bytes: usize) -> Option<Self> {
        // First with values where there are no longer prefixes. Never on the stack, which may be that of a small thread.
        let root: Box<[u32]> = vec![NONE; 1 << 16].into();
        let mut flat = Self { root: root.try_into().ok()?, nodes: vec![] };
        // In this order a prefix comes before those inside it, which overwrite it.
        for (network, length, value) in routes {
            let [high, third, last] =
                [network >> 16, network >> 8 & 0xff, network & 0xff].map(|i| i as usize);
            let run = |bits: u8| 1usize << (bits - length);
            if length <= 16 {
                flat.root[high..high + run(16)].fill(value);
                continue;
            }
            let node = below(&mut flat.nodes, &mut flat.root[high]);
            if length <= 24 {
                flat.nodes[node][third..third + run(24)].fill(value);
            } else {
                let mut entry = flat.nodes[node][third];
                let leaf = below(&mut flat.nodes, &mut entry);
                flat.nodes[node][third] = entry;
                flat.nodes[leaf][last..last + run(32)].fill(value);
            }
            if flat.bytes() > bytes {
                return None;
            }
        }
        let (mut of_value, mut latest) = (HashMap::new(), None);
        for i in 0..flat.root.len() {
            flat.root[i] = match (flat.root[i], latest) {
                (node, _) if node & IS_NODE != 0 => node & !IS_NODE,
                // One prefix fills many entries.
                (value, Some((same, node))) if value == same => node,
                (value, _) => {
                    let node = *of_value.entry(value).or_insert_with(|| {
                        flat.nodes.push([value; 256]);
                        (flat.nodes.len() - 1) as u32
                    });
                    latest = Some((value, node));
                    node
                }
            };
            if flat.bytes() > bytes {
                return None;
            }
        }
        flat.nodes.shrink_to_fit();
        (flat.bytes() <= bytes).then_some(flat)
    }

    /// The value of the longest prefix of `address`.
    #[inline]
    pub fn lookup(&self, address: u32) -> Option<u32> {
        let value = self.find(address);
        (value != NONE).then_some(value)
    }

    /// `out[i]` is the value for `addresses[i]`, `none` where there is no route; as many as the shorter holds.
    #[inline]
    pub fn lookup_bulk_or(&self, addresses: &[u32], none: u32, out: &mut [u32]) {
        for (out, &address) in out.iter_mut().zip(addresses) {
            *out = self.root[usize::from((address >> 16) as u16)];
            if let Some(node) = self.nodes.get(*out as usize) {
                prefetch::prefetch(&node[usize::from((address >> 8) as u8)]);
            }
        }
        for (out, &address) in out.iter_mut().zip(addresses) {
            let value = self.below(*out, address);
            *out = if value == NONE { none } else { value };
        }
    }

    #[inline(always)]
    fn find(&self, address: u32) -> u32 {
        self.below(self.root[usize::from((address >> 16) as u16)], address)
    }

    /// The value, from a node for the first 16 bits.
    #[inline(always)]
    fn below(&self, node: u32, address: u32) -> u32 {
        let entry = self.entry(node, address >> 8);
        if entry & IS_NODE == 0 { entry } else { self.entry(entry & !IS_NODE, address) }
    }

    /// The entry of a node for a byte.
    #[inline(always)]
    fn entry(&self, node: u32, byte: u32) -> u32 {
        self.nodes.get(node as usize).map_or(NONE, |node| node[usize::from(byte as u8)])
    }

    /// Memory in bytes.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.root) + size_of_val(&*self.nodes)
    }
}

/// The node that an entry leads to: a new one, of the entry's value, where there is none yet.
fn below(nodes: &mut Vec<Node>, entry: &mut u32) -> usize {
    if *entry & IS_NODE == 0 {
        nodes.push([*entry; 256]);
        *entry = (nodes.len() - 1) as u32 | IS_NODE;
    }
    (*entry & !IS_NODE) as usize
}

/// IPv4 routes for the fast path: flat within the memory that is granted, else a trie.
pub enum Fib4 {
    /// The faster one.
    Flat(Flat),
    /// The one that is small whatever the routes are.
    Trie(Fib<u32>),
}

impl Fib4 {
    /// The value of the longest prefix of `address`.
    #[inline]
    pub fn lookup(&self, address: u32) -> Option<u32> {
        match self {
            Self::Flat(flat) => flat.lookup(address),
            Self::Trie(trie) => trie.lookup(address),
        }
    }

    /// `out[i]` is the value for `addresses[i]`, `none` where there is no route; as many as the shorter holds.
    #[inline]
    pub fn lookup_bulk_or(&self, addresses: &[u32], none: u32, out: &mut [u32]) {
        match self {
            Self::Flat(flat) => flat.lookup_bulk_or(addresses, none, out),
            Self::Trie(trie) => trie.lookup_bulk_or(addresses, none, out),
        }
    }

    /// Memory in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Flat(flat) => flat.bytes(),
            Self::Trie(trie) => trie.bytes(),
        }
    }
}
