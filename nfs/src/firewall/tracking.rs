//! Rules that ask for the state of connections: a tracker beside the classifier.

use super::config::Plan;
use super::rules::{Action, STATES};
use crate::conntrack::{Cause, Moved, Settings, Tracker, Turnover, Verdict};
use engine::{BURST, Cx, WorkerSite};
use tables::classifier::{Key, Keys, NONE};
use wire::protocol::ip;
use wire::{FlowKey, Headers};

/// Where a classified packet would have begun a connection, and there is no room for it.
pub(super) const NO_ROOM: u32 = NONE - 1;

/// Of the firewall's counters, that of the first state; the others of [`STATES`] follow, and those of the turnover.
pub(super) const FIRST_COUNTER: usize = 3;
const TURNOVER: usize = FIRST_COUNTER + STATES.len();

/// Connections, on one worker.
pub(super) struct Tracking {
    pub(super) tracker: Tracker,
    worker: usize,
    /// What of the turnover the counters tell already.
    published: Turnover,
    /// Packets of the burst in hand that the rules are asked about, and which of them are later fragments, a bit each.
    staged: usize,
    later: u64,
}

impl Tracking {
    pub(super) fn new(settings: Settings, worker: &WorkerSite) -> Tracking {
        Tracking {
            tracker: Tracker::new(settings, worker.seed),
            worker: worker.index,
            published: Turnover::default(),
            staged: 0,
            later: 0,
        }
    }

    /// Notes the next packet that the rules are asked about.
    #[inline(always)]
    pub(super) fn stage(&mut self, headers: &Headers, frame: &[u8]) {
        self.tracker.stage(headers, frame);
        self.later |= u64::from(headers.is_later_fragment()) << (self.staged % BURST);
        self.staged += 1;
    }

    /// The first rule that each of the staged packets matches, now that the state of its connection is known.
    ///
    /// A connection begins only with a packet that goes on, as in Linux: when one would, the rules are asked about its
    /// packet as a new one. Bursts of known connections ask them once, others twice.
    pub(super) fn classify(
        &mut self,
        plan: &Plan,
        keys: &mut Keys,
        cx: &mut Cx<'_>,
        found: &mut [u32; BURST],
    ) {
        for i in 0..keys.len() {
            keys.tag(i, tag(0));
        }
        let mut as_new: Option<[u32; BURST]> = None;
        let verdicts = self.tracker.settle(cx.now(), |i| {
            let found = as_new.get_or_insert_with(|| {
                let mut found = [NONE; BURST];
                plan.classifier.classify_burst(keys, &mut found);
                found
            });
            found.get(i).is_some_and(|&term| plan.action(term) == Action::Allow)
        });
        let mut counts = [0; STATES.len()];
        let mut refused = 0u64;
        for (i, verdict) in verdicts.iter().enumerate() {
            let state = number(verdict);
            counts[state] += 1;
            keys.tag(i, tag(state));
            refused |= u64::from(*verdict == Verdict::Invalid(Cause::TableFull)) << i;
        }
        if self.later != 0 {
            self.complete(keys);
        }
        plan.classifier.classify_burst(keys, found);
        for i in bits(refused) {
            found[i] = NO_ROOM;
        }
        (self.staged, self.later) = (0, 0);
        for (state, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            cx.count(FIRST_COUNTER + state, count);
        }
        self.publish(cx);
    }

    /// The rules are asked about later fragments as about their datagram, as far as that is known.
    #[cold]
    fn complete(&self, keys: &mut Keys) {
        for i in bits(self.later) {
            let Some(transport) = self.tracker.transport(i) else { continue };
            let key = keys.get(i);
            let (source_port, destination_port) = transport.ports.unwrap_or_default();
            let icmp = transport.icmp.map_or(0, |(kind, code)| u16::from_be_bytes([kind, code]));
            let whole = Key {
                source_port,
                destination_port,
                icmp,
                tcp_flags: transport.tcp_flags.unwrap_or(0),
                has_ports: transport.ports.is_some()
                    && has_ports(key.protocol)
                    && (key.protocol != ip::TCP || transport.tcp_flags.is_some()),
                has_icmp: transport.icmp.is_some(),
                ..key
            };
            keys.replace(i, &whole);
        }
    }

    /// Runs timers.
    pub(super) fn tick(&mut self, cx: &mut Cx<'_>) {
        self.tracker.expire(cx.now());
        self.publish(cx);
    }

    /// Brings the counters of connections up to date.
    fn publish(&mut self, cx: &mut Cx<'_>) {
        let (now, told) = (self.tracker.turnover(), &mut self.published);
        if now != *told {
            cx.count(TURNOVER, now.opened - told.opened);
            cx.count(TURNOVER + 1, now.ended - told.ended);
            cx.count(TURNOVER + 2, now.expired - told.expired);
            cx.count(TURNOVER + 3, now.evicted - told.evicted);
            *told = now;
        }
    }

    /// Takes over the connections of an earlier configuration.
    pub(super) fn adopt(&mut self, old: Tracking) {
        self.tracker.adopt(old.tracker);
        // What the old instance has counted it has told.
        self.published = self.tracker.turnover();
    }

    /// Gives up the connections that other workers own.
    pub(super) fn split(
        &mut self,
        owner: &dyn Fn(&FlowKey) -> usize,
    ) -> impl Iterator<Item = (usize, Moved)> + use<> {
        self.tracker.split(self.worker, owner)
    }
}

/// The place of a verdict in [`STATES`].
fn number(verdict: &Verdict) -> usize {
    match verdict {
        Verdict::New => 0,
        Verdict::Established => 1,
        Verdict::Related => 2,
        Verdict::Invalid(_) => 3,
        Verdict::Untracked => 4,
    }
}

/// The tag of packets in this one of [`STATES`].
fn tag(state: usize) -> u8 {
    1 << state
}

/// Protocols with ports where `wire` finds them.
fn has_ports(protocol: u8) -> bool {
    matches!(protocol, ip::TCP | ip::UDP | ip::SCTP | ip::DCCP | ip::UDP_LITE)
}

/// Places of the bits that are set.
fn bits(mut mask: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = mask.trailing_zeros() as usize;
        mask &= mask.wrapping_sub(1);
        (place < 64).then_some(place)
    })
}
