//! Peers and their handshakes. The protocol is the library's; which peer a message is of, and where a peer is, is ours.

use super::config::Plan;
use boringtun::noise::errors::WireGuardError;
use boringtun::noise::handshake::parse_handshake_anon;
use boringtun::noise::rate_limiter::RateLimiter;
use boringtun::noise::{Packet, Tunn, TunnResult};
use engine::Time;
use std::net::SocketAddr;
use std::sync::Arc;

/// The library numbers the sessions of a peer in the lowest byte of an index, and the peer above it.
const SESSION_BITS: u32 = 8;

/// A peer: its sessions, and where it was last.
pub(super) struct Peer {
    pub tunn: Tunn,
    /// What its indices on the wire begin with; it never changes, as sessions have them.
    slot: u32,
    pub endpoint: Option<SocketAddr>,
    /// Since when it is there.
    pub moved: Time,
    /// Packets sealed for it and opened from it.
    pub sealed: u64,
    pub opened: u64,
}

/// All peers of an interface, in the order of the configuration.
pub(super) struct Peers {
    pub all: Vec<Peer>,
    limiter: Arc<RateLimiter>,
    next_slot: u32,
}

/// Whose message it is, or what becomes of it at once.
pub(super) enum Sender {
    /// Of that peer.
    Peer(usize),
    /// Somebody sends handshakes who must prove his address: so many bytes of an answer were written.
    Cookie(usize),
    /// Nobody's.
    Refused(WireGuardError),
}

impl Peers {
    pub(super) fn new(plan: &Plan) -> Peers {
        let limiter = Arc::new(RateLimiter::new(&plan.public, plan.handshakes));
        let mut new = Peers { all: Vec::new(), limiter, next_slot: 0 };
        for number in 0..plan.peers.len() {
            let peer = new.fresh(plan, number);
            new.all.extend(peer);
        }
        new
    }

    /// A peer without sessions.
    fn fresh(&mut self, plan: &Plan, number: usize) -> Option<Peer> {
        let peer = plan.peers.get(number)?;
        let slot = self.next_slot;
        self.next_slot = self.next_slot.wrapping_add(1) & (u32::MAX >> SESSION_BITS);
        // The limit is to all handshakes together; to the library's own, of each peer, there is none.
        let unlimited = Arc::new(RateLimiter::new(&plan.public, u64::MAX));
        let tunn = Tunn::new(
            plan.private.clone(),
            peer.public.into(),
            peer.preshared.as_deref().copied(),
            peer.keepalive,
            slot,
            Some(unlimited),
        );
        Some(Peer { tunn, slot, endpoint: peer.endpoint, moved: Time::ZERO, sealed: 0, opened: 0 })
    }

    /// Lets time pass: handshakes are counted by the second.
    pub(super) fn rest(&self) {
        self.limiter.reset_count();
    }

    /// Whose message it is. A handshake from a crowd is answered in `out` with a cookie.
    pub(super) fn sender(&self, plan: &Plan, message: &[u8], from: SocketAddr, out: &mut [u8]) -> Sender {
        let packet = match self.limiter.verify_packet(Some(from.ip()), message, out) {
            Ok(packet) => packet,
            Err(TunnResult::WriteToNetwork(cookie)) => return Sender::Cookie(cookie.len()),
            Err(TunnResult::Err(error)) => return Sender::Refused(error),
            Err(_) => return Sender::Refused(WireGuardError::InvalidPacket),
        };
        let index = match packet {
            Packet::HandshakeInit(init) => {
                let half = match parse_handshake_anon(&plan.private, &plan.public, &init) {
                    Ok(half) => half,
                    Err(error) => return Sender::Refused(error),
                };
                let known = plan.peers.iter().position(|peer| peer.public == half.peer_static_public);
                return known.map_or(Sender::Refused(WireGuardError::WrongKey), Sender::Peer);
            }
            Packet::HandshakeResponse(response) => response.receiver_idx,
            Packet::PacketCookieReply(reply) => reply.receiver_idx,
            Packet::PacketData(data) => data.receiver_idx,
        };
        let slot = index >> SESSION_BITS;
        let known = match self.all.get(slot as usize) {
            Some(peer) if peer.slot == slot => Some(slot as usize),
            _ => self.all.iter().position(|peer| peer.slot == slot),
        };
        known.map_or(Sender::Refused(WireGuardError::WrongIndex), Sender::Peer)
    }

    /// Goes on with the sessions of those peers that are the same under both plans.
    pub(super) fn take_over(&mut self, plan: &Plan, mut old: Peers, old_plan: &Plan) {
        if plan.private.to_bytes() != old_plan.private.to_bytes() {
            return;
        }
        self.next_slot = old.next_slot;
        let mut olds: Vec<Option<Peer>> = old.all.drain(..).map(Some).collect();
        let mut all = Vec::new();
        for (number, peer) in plan.peers.iter().enumerate() {
            let same = |before: &super::config::PeerPlan| {
                before.public == peer.public
                    && before.preshared == peer.preshared
                    && before.keepalive == peer.keepalive
            };
            let before = old_plan.peers.iter().position(same);
            let kept = before.and_then(|before| olds.get_mut(before)?.take());
            let moved = before.and_then(|before| old_plan.peers.get(before));
            all.extend(match kept {
                Some(mut kept) => {
                    if moved.is_some_and(|moved| moved.endpoint != peer.endpoint) {
                        kept.endpoint = peer.endpoint.or(kept.endpoint);
                    }
                    Some(kept)
                }
                None => self.fresh(plan, number),
            });
        }
        self.all = all;
        self.limiter = Arc::clone(&old.limiter);
        if plan.handshakes != old_plan.handshakes {
            self.limiter = Arc::new(RateLimiter::new(&plan.public, plan.handshakes));
        }
    }
}
