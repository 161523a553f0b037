//! The poptrie that workers read.
use std::marker::PhantomData;

use super::Address;

/// Bits resolved by direct index.
const ROOT: u8 = 16;
/// Bits resolved by a node.
const STRIDE: u8 = 6;
/// In an entry of the root: the rest is a node's index, not a value.
pub(super) const IS_NODE: u32 = 1 << 31;
/// In place of a value: there is no route.
pub const NONE: u32 = super::MAX_VALUE + 1;

#[derive(Clone, Copy, Default)]
struct Node {
    /// Bit per value of the six bits: there is a node below.
    children: u64,
    /// Bit per value of the six bits without a node below: here begins a run of one value.
    runs: u64,
    first_child: u32,
    first_leaf: u32,
}

/// A compiled set of routes: read-only, made by [`Routes::compile`](super::Routes::compile).
pub struct Fib<A> {
    root: Box<[u32]>,
    nodes: Vec<Node>,
    leaves: Vec<u32>,
    address: PhantomData<A>,
}

/// A route: network, length, value.
type Route<A> = (A, u8, u32);

impl<A: Address> Fib<A> {
    /// `routes` in order of network and length.
    pub(super) fn build(routes: &[Route<A>]) -> Self {
        // Never on the stack, which may be that of a small thread.
        let root = vec![NONE; 1 << ROOT].into_boxed_slice();
        let mut fib = Self { root, nodes: vec![], leaves: vec![], address: PhantomData };
        // In this order a prefix comes before those inside it, which overwrite it.
        for &(network, length, value) in routes.iter().filter(|route| route.1 <= ROOT) {
            let first = network.bits(0, ROOT) as usize;
            fib.root[first..first + (1 << (ROOT - length))].fill(value);
        }
        for below in groups(routes, 0, ROOT) {
            let slot = below[0].0.bits(0, ROOT) as usize;
            let node = fib.nodes.len() as u32;
            fib.nodes.push(Node::default());
            fib.fill(node as usize, ROOT, below, fib.root[slot]);
            fib.root[slot] = node | IS_NODE;
        }
        fib.nodes.shrink_to_fit();
        fib.leaves.shrink_to_fit();
        fib
    }

    /// Makes the node for the six bits from `depth` on; `routes` are those inside it, `inherited` the value of the
    /// longest prefix around it. Recurses at most 19 deep.
    fn fill(&mut self, node: usize, depth: u8, routes: &[Route<A>], inherited: u32) {
        let mut values = [inherited; 1 << STRIDE];
        for &(network, length, value) in routes.iter().filter(|route| route.1 <= depth + STRIDE) {
            let first = network.bits(depth, STRIDE) as usize;
            values[first..first + (1 << (depth + STRIDE - length))].fill(value);
        }
        let mut children = 0u64;
        let first_child = self.nodes.len();
        for below in groups(routes, depth, STRIDE) {
            children |= 1 << below[0].0.bits(depth, STRIDE);
            self.nodes.push(Node::default());
        }
        let (mut runs, first_leaf, mut run) = (0u64, self.leaves.len(), None);
        for (slot, &value) in values.iter().enumerate().filter(|(slot, _)| children >> slot & 1 == 0) {
            if run != Some(value) {
                runs |= 1 << slot;
                self.leaves.push(value);
                run = Some(value);
            }
        }
        self.nodes[node] =
            Node { children, runs, first_child: first_child as u32, first_leaf: first_leaf as u32 };
        for (i, below) in groups(routes, depth, STRIDE).enumerate() {
            let value = values[below[0].0.bits(depth, STRIDE) as usize];
            self.fill(first_child + i, depth + STRIDE, below, value);
        }
    }

    /// The value of the longest prefix of `address`.
    #[inline]
    pub fn lookup(&self, address: A) -> Option<u32> {
        let value = self.find(address);
        (value != NONE).then_some(value)
    }

    /// The value of the longest prefix, or a number above [`MAX_VALUE`](super::MAX_VALUE).
    #[inline]
    fn find(&self, address: A) -> u32 {
        let mut entry = self.root.get(address.bits(0, ROOT) as usize).copied().unwrap_or(NONE);
        if entry & IS_NODE == 0 {
            return entry;
        }
        entry &= !IS_NODE;
        let mut depth = ROOT;
        loop {
            let node = &self.nodes[entry as usize];
            let slot = address.bits(depth, STRIDE);
            // The bits up to and with the slot's own.
            let upto = u64::MAX >> (63 - slot);
            if node.children >> slot & 1 == 0 {
                let run = (node.runs & upto).count_ones();
                return self.leaves[(node.first_leaf + run).wrapping_sub(1) as usize];
            }
            entry = (node.first_child + (node.children & upto).count_ones()).wrapping_sub(1);
            depth += STRIDE;
        }
    }

    /// `out[i]` is the value for `addresses[i]`; as many as the shorter slice holds.
    ///
    /// The look-ups do not wait for each other, so the processor overlaps their cache misses.
    pub fn lookup_bulk(&self, addresses: &[A], out: &mut [Option<u32>]) {
        for (out, &address) in out.iter_mut().zip(addresses) {
            *out = self.lookup(address);
        }
    }

    /// `out[i]` is the value for `addresses[i]`, `none` where there is no route; as many as the shorter holds.
    pub fn lookup_bulk_or(&self, addresses: &[A], none: u32, out: &mut [u32]) {
        for (out, &address) in out.iter_mut().zip(addresses) {
            let value = self.find(address);
            *out = if value == NONE { none } else { value };
        }
    }

    /// Memory in bytes.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.root) + size_of_val(&*self.nodes) + size_of_val(&*self.leaves)
    }
}

/// The routes longer than `depth + stride`, in groups of the same `stride` bits from `depth` on.
///
/// In the order of networks and lengths, those of one group stand together, after the shorter ones of their slot.
fn groups<A: Address>(routes: &[Route<A>], depth: u8, stride: u8) -> impl Iterator<Item = &[Route<A>]> {
    let long = move |route: &Route<A>| route.1 > depth + stride;
    routes
        .chunk_by(move |a, b| long(a) && long(b) && a.0.bits(depth, stride) == b.0.bits(depth, stride))
        .filter(move |group| long(&group[0]))
}
