//! Flows move: to the instance of another configuration, and to other workers.

use super::Ids;
use super::flow::{Body, Flow};
use super::marks::id;
use super::scene::Room;
use super::state::Places;
use super::watch::Watch;
use engine::Part;
use std::collections::BTreeMap;
use std::sync::Arc;
use streams::FlowRecord;
use wire::FlowKey;

/// A flow on its way to another pool.
pub(super) struct Moved {
    key: FlowKey,
    flow: Flow,
    stream: Option<FlowRecord>,
}

/// Where the rules of another set are now, by their places there.
struct Mapping(Vec<Option<u32>>);

impl Mapping {
    fn of<T>(&self, list: &mut Vec<T>, place: impl Fn(&mut T) -> &mut u32) {
        list.retain_mut(|one| {
            let place = place(one);
            match self.0.get(*place as usize) {
                Some(Some(now)) => {
                    *place = *now;
                    true
                }
                _ => false,
            }
        });
    }
}

impl Watch {
    fn pack(&mut self, key: FlowKey) -> Option<Moved> {
        let (key, mut flow) = self.remove(&key)?;
        self.room.give_back(flow.held());
        let mut stream = None;
        if let Body::Tcp(tcp) = &mut flow.body {
            stream = Some(tcp.stream.export(&self.pool));
            tcp.stream.release(&mut self.pool);
        }
        Some(Moved { key, flow, stream })
    }

    /// What the pool has no room for goes on without.
    fn unpack(&mut self, moved: Moved) {
        let Moved { key, mut flow, stream } = moved;
        if let (Body::Tcp(tcp), Some(record)) = (&mut flow.body, stream) {
            tcp.stream =
                streams::Flow::import(&record, &self.settings.streams, &mut self.pool).unwrap_or_default();
        }
        self.take_in(key, flow);
    }

    /// Takes over the flows of another; by move where both are alike.
    fn succeed(&mut self, mut old: Watch) {
        let alike = self.flows.capacity() == old.flows.capacity()
            && self.settings.streams == old.settings.streams
            && self.pool.capacity() == old.pool.capacity()
            && self.seed == old.seed;
        if alike {
            let room = Room { most: self.room.most, ..old.room };
            *self = Watch { settings: Arc::clone(&self.settings), room, ..old };
            return;
        }
        for key in old.keys() {
            if let Some(moved) = old.pack(key) {
                self.unpack(moved);
            }
        }
        (self.events, self.opened, self.expired) = (old.events, old.opened, old.expired);
        (self.evicted, self.bad_checksums) = (self.evicted + old.evicted, old.bad_checksums);
    }
}

impl Ids {
    /// Takes over everything from an instance under the configuration before.
    pub(super) fn inherit(&mut self, old: Ids) {
        let Ids { plan, inspector, watch, defrag, seen, published, .. } = old;
        self.defrag = defrag;
        (self.seen, self.published) = (seen, published);
        self.watch.succeed(watch);
        let (ours, theirs) = (&self.plan.rules, &plan.rules);
        let places = Places::of(ours);
        let mapping = Mapping(theirs.all.iter().map(|rule| places.get(&id(rule))).collect());
        for key in self.watch.keys() {
            let Some(flow) = self.watch.get_mut(&key) else { continue };
            mapping.of(&mut flow.meta.matched, |(_, place)| place);
            let bits =
                ids_rules::bits::FlowBits::from_names(flow.meta.bits.names(&theirs.names), &ours.names);
            flow.meta.bits = bits;
            if let Body::Tcp(tcp) = &mut flow.body {
                for way in &mut tcp.ways {
                    mapping.of(&mut way.pending, |pending| &mut pending.rule);
                    mapping.of(&mut way.matched, |(place, _)| place);
                }
            }
        }
        for bit in inspector.marks.hosts.records(&theirs.names) {
            self.inspector.marks.hosts.restore(&bit, &ours.names);
        }
        for rate in inspector.marks.rates.records().filter(|rate| places.get(&rate.rule).is_some()) {
            self.inspector.marks.rates.restore(rate);
        }
        for (now, count) in mapping.0.iter().zip(&inspector.by_rule) {
            if let Some(ours) = now.and_then(|now| self.inspector.by_rule.get_mut(now as usize)) {
                *ours += count;
            }
        }
        self.inspector.tally = inspector.tally;
        self.inspector.outlet.succeed(&inspector.outlet);
    }

    /// Gives up the flows of other workers.
    pub(super) fn part(&mut self, owner: &dyn Fn(&FlowKey) -> usize) -> Vec<(usize, Part)> {
        let mut parts: BTreeMap<usize, Vec<Moved>> = BTreeMap::new();
        for key in self.watch.keys() {
            let worker = owner(&key);
            if worker != self.worker.index
                && let Some(moved) = self.watch.pack(key)
            {
                parts.entry(worker).or_default().push(moved);
            }
        }
        parts.into_iter().map(|(worker, flows)| (worker, Box::new(flows) as Part)).collect()
    }

    /// Takes in what another worker gave up.
    pub(super) fn take_in(&mut self, part: Part) {
        if let Ok(flows) = part.downcast::<Vec<Moved>>() {
            flows.into_iter().for_each(|moved| self.watch.unpack(moved));
        }
    }
}
