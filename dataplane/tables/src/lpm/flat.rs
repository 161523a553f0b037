//! IPv4 routes by direct index: 16 bits, then 8, then 8.

use super::fib::{IS_NODE, NONE};

/// Entries of a node: one per value of a byte.
type Node = [u32; 256];

/// A compiled set of IPv4 routes that takes at most three loads, half of the time of a [`Fib`](super::Fib), and 1 KiB
/// for every /16 and every /24 in which there are longer prefixes. For sets that are small, as the second-level cache
/// should hold it; made by [`Routes::flatten`](super::Routes::flatten).
pub struct Flat {
    root: Box<[u32]>,
    nodes: Vec<Node>,
}

impl Flat {
    /// `routes` in order of network and length. `None` when they take more than `bytes` bytes.
    pub(super) fn build(routes: impl Iterator<Item = (u32, u8, u32)>, bytes: usize) -> Option<Self> {
        let mut flat = Self { root: vec![NONE; 1 << 16].into(), nodes: vec![] };
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
        Some(flat)
    }

    /// The value of the longest prefix of `address`.
    #[inline]
    pub fn lookup(&self, address: u32) -> Option<u32> {
        let value = self.find(address);
        (value != NONE).then_some(value)
    }

    /// `out[i]` is the value for `addresses[i]`, `none` where there is no route; as many as the shorter holds.
    pub fn lookup_bulk_or(&self, addresses: &[u32], none: u32, out: &mut [u32]) {
        for (out, &address) in out.iter_mut().zip(addresses) {
            let value = self.find(address);
            *out = if value == NONE { none } else { value };
        }
    }

    #[inline(always)]
    fn find(&self, address: u32) -> u32 {
        let mut entry = self.root.get((address >> 16) as usize).copied().unwrap_or(NONE);
        for shift in [8, 0] {
            if entry & IS_NODE == 0 {
                break;
            }
            let node = self.nodes.get((entry & !IS_NODE) as usize);
            entry = node.map_or(NONE, |node| node[(address >> shift & 0xff) as usize]);
        }
        entry
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
