//! A packet as links carry it: what a simulation needs to know of it, without bytes.

/// Bytes of a TCP segment besides its payload: Ethernet 14 + 4, IPv4 20, TCP 20, preamble and gap 20.
pub const OVERHEAD: u32 = 78;
/// The least that a frame takes on a link: 64 bytes, preamble and gap.
pub const LEAST: u32 = 84;

/// A packet on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet {
    /// Number of its flow.
    pub flow: u32,
    /// First byte of its payload in the flow; of an acknowledgement, the number acknowledged.
    pub number: u32,
    /// Where its frame's bytes are kept, if it has bytes that do not follow from the rest.
    pub frame: u32,
    /// Bytes of payload; none in an acknowledgement.
    pub len: u16,
    /// Identification of its IPv4 header: another one for each packet that its sender sends, the same in its clones.
    pub ident: u16,
    /// Which of its flow's routes it takes.
    pub route: u8,
    /// Links that it has behind it.
    pub hop: u8,
    /// What it is.
    pub kind: PacketKind,
    /// Whether an NF or a breakpoint made it: it was never sent by a host.
    pub made: bool,
}

/// The two sorts of packets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum PacketKind {
    /// From a flow's sender.
    Data,
    /// Back from its receiver.
    Ack,
}

impl Packet {
    /// No frame is kept.
    pub const NO_FRAME: u32 = u32::MAX;

    /// Whether it goes with the data.
    pub fn is_data(&self) -> bool {
        self.kind == PacketKind::Data
    }

    /// Bytes that it takes on a link.
    pub fn wire_bytes(&self) -> u32 {
        (u32::from(self.len) + OVERHEAD).max(LEAST)
    }
}
