//! The burst: the unit of work. Packets, what is known of their headers, and a verdict for each.

use crate::merge::FRONT;
use crate::packet::{Origin, Packet};
use crate::segment::Copies;
use crate::source::PLAN_PORT;
use crate::verdict::{Reason, Verdict};
use dpdk::{BURST, Mbuf, Mbufs, Received, RxQueue};
use std::sync::Arc;
use wire::{Headers, UsualIpv4};

/// Up to [`BURST`] packets on their way through an NF.
///
/// Packets are named by their index `0..len()`. Every packet is forwarded unless the NF says otherwise.
/// Headers are parsed when they are first asked for, and at most once while a packet stays in bursts of one
/// worker.
pub struct Burst {
    pub(crate) mbufs: Mbufs,
    headers: [Headers; BURST],
    verdicts: [Verdict; BURST],
    /// Bit i: `headers[i]` is true of the packet's bytes.
    parsed: u32,
    /// Bit i: `verdicts[i]` is not `Forward`.
    pub(crate) exceptions: u32,
    /// Bytes of all packets together, while nothing has changed them since they were added up.
    bytes: Option<u64>,
    /// All packets are IPv4, as they were received. If not set nothing is known.
    pub(crate) ipv4: bool,
    /// The plan's number of the port by which all packets came in. If not set nothing is known.
    ingress: Option<u16>,
    /// Whether all packets are usual, where that was looked at.
    usual: Option<bool>,
    /// The identifier of the chain in which the packets are.
    pub(crate) chain: u32,
    /// DPDK's port numbers, translated to those of the plan.
    pub(crate) ports: Arc<PortNumbers>,
}

/// The plan's number of every port, by DPDK's number.
pub(crate) type PortNumbers = [u16; 256];

impl Default for Burst {
    fn default() -> Self {
        Burst::new()
    }
}

impl Burst {
    /// An empty burst. It is large (about 1 KiB): make it once and use it again.
    pub fn new() -> Self {
        Burst {
            mbufs: Mbufs::new(),
            headers: [Headers::default(); BURST],
            verdicts: [Verdict::Forward; BURST],
            parsed: 0,
            exceptions: 0,
            bytes: None,
            ipv4: false,
            ingress: None,
            usual: None,
            chain: 0,
            ports: Arc::new([0; 256]),
        }
    }

    /// How many packets there are, those that were dropped or taken since `process` began included.
    #[inline]
    pub fn len(&self) -> usize {
        self.mbufs.len()
    }

    /// Whether there is no packet.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.mbufs.is_empty()
    }

    /// The packet's first segment: the whole packet, or at least its first 256 bytes.
    /// Empty for a packet that was taken.
    #[inline]
    pub fn bytes(&self, i: usize) -> &[u8] {
        self.mbufs.data(i)
    }

    /// The packet's first segment, to write to. A shared packet is copied first.
    ///
    /// `None`: the copy found the pool empty, and the packet has been given the verdict
    /// [`Reason::NO_MBUFS`]; there is nothing left to do for it.
    ///
    /// Whoever changes what [`Headers`] and [`Burst::all_usual`] are made of calls [`Burst::reparse`]: lengths (those of
    /// IP and UDP headers and payloads, the data offset of TCP), types, VLAN tags and MPLS labels, IP versions and
    /// protocols, fragment bits and offsets.
    #[inline]
    pub fn bytes_mut(&mut self, i: usize) -> Option<&mut [u8]> {
        let Burst { mbufs, verdicts, exceptions, .. } = self;
        let bytes = mbufs.data_mut(i)?;
        if bytes.is_err() {
            verdicts[i] = Verdict::Drop(Reason::NO_MBUFS);
            *exceptions |= 1u32 << (i % BURST);
        }
        bytes.ok()
    }

    /// [`Burst::bytes_mut`] for every packet, in order: `write` gets the index and the bytes.
    #[inline(always)]
    pub fn for_each_mut(&mut self, mut write: impl FnMut(usize, &mut [u8])) {
        for i in 0..self.len() {
            // One call, so that `write` becomes part of its caller.
            if let Some(bytes) = self.bytes_mut(i) {
                write(i, bytes);
            }
        }
    }

    /// [`Burst::bytes`] and [`Burst::packet_len`] of all packets, in order of their index.
    #[inline(always)]
    pub fn frames(&self) -> impl Iterator<Item = (&[u8], usize)> {
        self.mbufs.slots().iter().map(|slot| match slot {
            Some(mbuf) => (mbuf.data(), mbuf.len()),
            None => (&[][..], 0),
        })
    }

    /// Length of the whole packet in bytes, all segments.
    #[inline]
    pub fn packet_len(&self, i: usize) -> usize {
        self.mbufs.get(i).map_or(0, Mbuf::len)
    }

    /// All segments of the packet, in order.
    pub fn segments(&self, i: usize) -> impl Iterator<Item = &[u8]> {
        self.mbufs.get(i).into_iter().flat_map(Mbuf::segments)
    }

    /// The packet's headers, parsed on first use.
    #[inline]
    pub fn headers(&mut self, i: usize) -> Headers {
        let bit = 1u32 << (i % BURST);
        if self.parsed & bit == 0 {
            self.headers[i] = match self.mbufs.get(i) {
                Some(mbuf) => wire::parse_with_len(mbuf.data(), mbuf.len()),
                None => Headers::default(),
            };
            self.parsed |= bit;
        }
        self.headers[i]
    }

    /// [`Burst::headers`] and [`Burst::bytes`] of all packets, in order of their index.
    #[inline(always)]
    pub fn parsed(&mut self) -> impl Iterator<Item = (Headers, &[u8])> {
        let wanted = low_bits(self.len());
        if self.parsed & wanted != wanted {
            self.parse_all();
        }
        self.headers.iter().enumerate().take(self.len()).map(|(i, &headers)| (headers, self.mbufs.data(i)))
    }

    fn parse_all(&mut self) {
        match self.mbufs.as_slice() {
            Some(packets) if self.parsed == 0 => {
                for (headers, mbuf) in self.headers.iter_mut().zip(packets) {
                    *headers = wire::parse_with_len(mbuf.data(), mbuf.len());
                }
                self.parsed = low_bits(packets.len());
            }
            _ => (0..self.len()).for_each(|i| {
                self.headers(i);
            }),
        }
    }

    /// All packets, if each of them is what most packets are: the quickest way to their fields. Looked at once while
    /// the burst stays together; where there is no such luck take [`Burst::parsed`].
    #[inline(always)]
    pub fn all_usual(&mut self) -> Option<impl Iterator<Item = UsualIpv4<'_>>> {
        let usual = self.usual.unwrap_or_else(|| self.look_whether_usual());
        usual.then(|| self.frames().map(|(bytes, _)| UsualIpv4::trust(bytes)))
    }

    fn look_whether_usual(&mut self) -> bool {
        let usual = self.frames().fold(true, |all, (bytes, length)| all & UsualIpv4::is(bytes, length));
        self.usual = Some(usual);
        usual
    }

    /// Forgets what is known of the packet's headers, so that they are parsed anew.
    #[inline]
    pub fn reparse(&mut self, i: usize) {
        self.usual = None;
        self.parsed &= !(1u32 << (i % BURST));
    }

    /// The packet's length changes.
    fn resize(&mut self, i: usize) {
        self.bytes = None;
        self.reparse(i);
    }

    /// The number of the port by which the packet came in.
    #[inline]
    pub fn ingress(&self, i: usize) -> u16 {
        // What net_ring gives still has the port of the device before in it.
        if let Some(port) = self.ingress {
            return port;
        }
        let Some(mbuf) = self.mbufs.get(i) else { return 0 };
        match mbuf.port() {
            plan if plan & PLAN_PORT != 0 => plan & !PLAN_PORT,
            device => self.ports.get(usize::from(device)).copied().unwrap_or(0),
        }
    }

    /// [`Burst::ingress`] of all packets together, where it is known to be the same: of packets that came from a device
    /// at once, and have stayed together.
    #[inline]
    pub fn common_ingress(&self) -> Option<u16> {
        self.ingress
    }

    /// The verdict so far.
    #[inline]
    pub fn verdict(&self, i: usize) -> Verdict {
        if self.exceptions & (1u32 << (i % BURST)) == 0 { Verdict::Forward } else { self.verdicts[i] }
    }

    /// Sets the verdict.
    #[inline]
    pub fn set_verdict(&mut self, i: usize, verdict: Verdict) {
        let bit = 1u32 << (i % BURST);
        self.verdicts[i] = verdict;
        match verdict {
            Verdict::Forward | Verdict::Gate(0) => self.exceptions &= !bit,
            _ => self.exceptions |= bit,
        }
    }

    /// Ends the packet, counted under `reason`.
    #[inline]
    pub fn drop(&mut self, i: usize, reason: Reason) {
        self.set_verdict(i, Verdict::Drop(reason));
    }

    /// Ends the packet as consumed by the NF.
    #[inline]
    pub fn absorb(&mut self, i: usize) {
        self.set_verdict(i, Verdict::Absorb);
    }

    /// Sends the packet to a gate of the NF.
    #[inline]
    pub fn gate(&mut self, i: usize, gate: u8) {
        self.set_verdict(i, Verdict::Gate(gate));
    }

    /// Takes the packet out, to be held and given back later by [`crate::Cx::emit`].
    /// `None` when it was taken before.
    pub fn take(&mut self, i: usize) -> Option<Packet> {
        let mbuf = self.mbufs.take(i)?;
        self.bytes = None;
        self.set_verdict(i, Verdict::Taken);
        Some(Packet { mbuf, origin: Origin::Held, chain: self.chain })
    }

    /// A full copy of the packet as a new packet of the NF's own; `None` when the pool is empty.
    pub fn copy(&self, i: usize) -> Option<Packet> {
        let mbuf = self.mbufs.get(i)?.copy()?;
        Some(Packet { mbuf, origin: Origin::Created, chain: self.chain })
    }

    /// A second reference to the packet as a new packet of the NF's own, without a copy; `None` when it was taken.
    ///
    /// Neither changes under the other: whoever writes to one of them first gets a copy. A device may write to what it
    /// sends, so where both leave by devices the first to go is copied there. In a replay a new packet is given its place
    /// in the output, which is a write.
    #[must_use]
    pub fn share(&mut self, i: usize) -> Option<Packet> {
        let mbuf = self.mbufs.get_mut(i)?.share();
        Some(Packet { mbuf, origin: Origin::Created, chain: self.chain })
    }

    /// Grows the packet by `n` bytes at its front, and returns the whole first segment.
    /// `None` when there is no room or no copy to be had; the packet is then as it was.
    pub fn prepend(&mut self, i: usize, n: usize) -> Option<&mut [u8]> {
        self.resize(i);
        let mbuf = self.mbufs.get_mut(i)?;
        mbuf.prepend(n)?;
        mbuf.data_mut()
    }

    /// Grows the packet by `n` zero bytes at its end, and returns them.
    pub fn append(&mut self, i: usize, n: usize) -> Option<&mut [u8]> {
        self.resize(i);
        self.mbufs.get_mut(i)?.append(n)
    }

    /// Removes `n` bytes from the packet's front; `false` when it has not that many in its first segment.
    #[must_use]
    pub fn trim_front(&mut self, i: usize, n: usize) -> bool {
        self.resize(i);
        self.mbufs.get_mut(i).is_some_and(|mbuf| mbuf.trim_front(n))
    }

    /// Cuts the packet to `len` bytes; `false` when it is shorter.
    #[must_use]
    pub fn truncate(&mut self, i: usize, len: usize) -> bool {
        self.resize(i);
        self.mbufs.get_mut(i).is_some_and(|mbuf| mbuf.truncate(len))
    }

    /// Replaces the packet's contents; `false` when there was no buffer for them, and the packet is as it was.
    #[must_use]
    pub fn fill(&mut self, i: usize, bytes: &[u8]) -> bool {
        self.resize(i);
        self.mbufs.get_mut(i).is_some_and(|mbuf| mbuf.fill(bytes))
    }

    /// Bytes of all packets together.
    #[inline]
    pub(crate) fn total_bytes(&self) -> u64 {
        self.bytes.unwrap_or_else(|| self.mbufs.iter().map(|mbuf| mbuf.len() as u64).sum())
    }

    /// Receives from a queue into an empty burst, of which nothing is known before. `look`: whether somebody wants to
    /// know of IPv4 at once.
    #[inline]
    pub(crate) fn receive(&mut self, queue: &mut RxQueue, look: bool) -> usize {
        self.begin();
        let Received { packets, bytes, ipv4 } = queue.receive_noting(&mut self.mbufs, look);
        (self.bytes, self.ipv4) = (Some(bytes), ipv4);
        self.ingress = self.ports.get(usize::from(queue.port())).copied();
        packets
    }

    /// Adds a packet; gives it back when the burst is full.
    pub(crate) fn push(&mut self, mbuf: Mbuf) -> Result<(), Mbuf> {
        let i = self.mbufs.len();
        (self.bytes, self.ipv4, self.ingress) = (None, false, None);
        self.mbufs.push(mbuf)?;
        self.reparse(i);
        Ok(())
    }

    /// To be called after mbufs were put in from outside: nothing is known of them yet.
    #[inline]
    pub(crate) fn begin(&mut self) {
        (self.parsed, self.usual) = (0, None);
        self.exceptions = 0;
        (self.bytes, self.ipv4, self.ingress) = (None, false, None);
    }

    /// Moves the packets whose bit is set into `into`, with what is known of them; both keep their order.
    /// `into` must have room. Verdicts do not go along: both sides start anew with `Forward`.
    pub(crate) fn split(&mut self, mask: u32, into: &mut Burst) {
        let start = into.len();
        let (mut kept, mut moved) = (0, start);
        let (mut kept_parsed, mut moved_parsed) = (0u32, into.parsed & low_bits(start));
        for i in 0..self.len() {
            let known = (self.parsed >> i) & 1;
            if mask >> i & 1 == 1 {
                into.headers[moved] = self.headers[i];
                moved_parsed |= known << moved;
                moved += 1;
            } else {
                self.headers[kept] = self.headers[i];
                kept_parsed |= known << kept;
                kept += 1;
            }
        }
        self.mbufs.split_mask(mask, &mut into.mbufs);
        self.parsed = kept_parsed;
        self.exceptions = 0;
        (self.bytes, into.bytes, into.ipv4) = (None, None, false);
        // Of usual packets all parts are.
        into.usual = self.usual.filter(|&usual| usual && (start == 0 || into.usual == Some(true)));
        self.usual = self.usual.filter(|&usual| usual);
        into.ingress = self.ingress.filter(|_| start == 0 || into.ingress == self.ingress);
        into.parsed = moved_parsed;
        into.exceptions = 0;
    }

    /// Puts another reference to each packet into another burst, or a copy of what may be written to, with all that is
    /// known of them. `false`: there were no mbufs for it; `into` is empty then.
    pub(crate) fn mirror(&mut self, copies: Copies, into: &mut Burst) -> bool {
        into.clear();
        // Once for all, while no other core asks for the same lines.
        if self.parsed != low_bits(self.len()) {
            self.parse_all();
        }
        let all = match copies {
            Copies::Nothing => {
                self.mbufs.share(&mut into.mbufs);
                true
            }
            Copies::Front => self.mbufs.copy_fronts(FRONT as u32, &mut into.mbufs),
            Copies::Whole => self.copy_all(into),
        };
        if !all {
            into.clear();
            return false;
        }
        into.headers = self.headers;
        (into.parsed, into.bytes, into.usual) = (self.parsed, self.bytes, self.usual);
        (into.ipv4, into.ingress) = (self.ipv4, self.ingress);
        if !Arc::ptr_eq(&into.ports, &self.ports) {
            into.ports.clone_from(&self.ports);
        }
        true
    }

    fn copy_all(&self, into: &mut Burst) -> bool {
        // There is room: both hold as many.
        self.mbufs.iter().all(|mbuf| mbuf.copy().is_some_and(|copy| into.mbufs.push(copy).is_ok()))
    }

    /// Puts a packet in place of another one.
    pub(crate) fn replace(&mut self, i: usize, mbuf: Mbuf) {
        self.resize(i);
        if let Some(place) = self.mbufs.get_mut(i) {
            *place = mbuf;
        }
    }

    /// Frees the packets whose bit is set; the others keep their order and what is known of them.
    pub(crate) fn remove(&mut self, mask: u32) {
        let (mut kept, mut parsed) = (0, 0u32);
        for i in 0..self.len() {
            if mask >> i & 1 == 1 {
                drop(self.mbufs.take(i));
            } else {
                self.headers[kept] = self.headers[i];
                parsed |= (self.parsed >> i & 1) << kept;
                kept += 1;
            }
        }
        self.mbufs.compact();
        (self.parsed, self.exceptions, self.bytes) = (parsed, 0, None);
        // Of usual packets the rest are.
        self.usual = self.usual.filter(|&usual| usual);
    }

    /// Frees all packets.
    pub(crate) fn clear(&mut self) {
        self.mbufs.clear();
        self.begin();
    }
}

/// The `n` lowest bits set.
pub(crate) fn low_bits(n: usize) -> u32 {
    if n >= 32 { u32::MAX } else { (1u32 << n) - 1 }
}
