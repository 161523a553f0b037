//! Where all packets and bytes are.

use serde::Serialize;

/// Packets, data and acknowledgements together, and bytes of payload.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Account {
    /// Packets that hosts sent.
    pub sent: u64,
    /// Packets that NFs and breakpoints made.
    pub made: u64,
    /// Packets that came to their hosts.
    pub delivered: u64,
    /// Packets for which a link had no room.
    pub dropped: u64,
    /// Packets that a link lost.
    pub lost: u64,
    /// Packets that came to their host with other bytes than were sent.
    pub damaged: u64,
    /// Packets that NFs dropped.
    pub dropped_by_nfs: u64,
    /// Packets that NFs or merge points consumed.
    pub absorbed: u64,
    /// Packets that left an NF with bytes that lead nowhere.
    pub strayed: u64,
    /// Packets that NFs or merge points hold.
    pub held: u64,
    /// Packets in links.
    pub in_flight: u64,
    /// Payload that hosts sent.
    pub sent_bytes: u64,
    /// Payload that came to its host, each copy.
    pub delivered_bytes: u64,
    /// Payload that links dropped or lost, or that was damaged.
    pub gone_bytes: u64,
    /// Payload in links.
    pub in_flight_bytes: u64,
}

impl Account {
    /// Whether every packet is accounted for.
    pub fn balances(&self) -> bool {
        let ended = self.delivered + self.dropped + self.lost + self.damaged + self.dropped_by_nfs;
        self.sent + self.made == ended + self.absorbed + self.strayed + self.held + self.in_flight
    }

    /// Whether every byte is, where there are no NFs and no copies.
    pub fn bytes_balance(&self) -> bool {
        self.sent_bytes == self.delivered_bytes + self.gone_bytes + self.in_flight_bytes
    }
}
