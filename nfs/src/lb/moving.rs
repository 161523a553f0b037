//! Connections go on to another worker, or to the balancer of another configuration. Back-ends have other numbers there,
//! and the same names.

use super::config::Plan;
use super::connections::Connection;
use super::{Course, Lb, Standing};
use engine::{Part, Time};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{FlowKey, FragmentKey, Words4};

/// Connections on their way to another worker.
pub(super) struct Moving {
    /// The configuration by whose numbers the rest goes.
    plan: Arc<Plan>,
    standings: Vec<Standing>,
    connections: Vec<(FlowKey, Connection)>,
    /// All that are known: which are of these connections nobody can tell.
    datagrams: Datagrams,
}

type Datagrams = Vec<(FragmentKey, Course, Time)>;

impl Lb {
    /// All that an instance of an earlier configuration knew.
    pub(super) fn inherit(&mut self, old: &Lb) {
        let numbers = self.numbers(&old.plan);
        self.hear(&old.plan, &old.standings, &numbers);
        self.receive(old.connections(), old.datagrams(), &numbers);
    }

    /// What belongs to other workers; it is gone here.
    pub(super) fn part_with(&mut self, owner: &dyn Fn(&FlowKey) -> usize) -> Vec<(usize, Part)> {
        let mut parts: BTreeMap<usize, Vec<(FlowKey, Connection)>> = BTreeMap::new();
        for (key, connection) in self.connections() {
            let worker = owner(&key);
            if worker != self.worker.index {
                let seed = self.worker.seed;
                match key {
                    FlowKey::V4(key) => {
                        let words = Words4::from(key);
                        self.v4.remove(&words, words.hash_with(seed));
                    }
                    FlowKey::V6(key) => self.v6.remove(&key, key.hash_with(seed)),
                }
                parts.entry(worker).or_default().push((key, connection));
            }
        }
        let moving = |connections| Moving {
            plan: Arc::clone(&self.plan),
            standings: self.standings.clone(),
            connections,
            datagrams: self.datagrams(),
        };
        parts.into_iter().map(|(worker, part)| (worker, Box::new(moving(part)) as Part)).collect()
    }

    /// What another worker parted with.
    pub(super) fn take_up(&mut self, part: Moving) {
        let numbers = self.numbers(&part.plan);
        // A worker that is new has not heard what was said of back-ends.
        self.hear(&part.plan, &part.standings, &numbers);
        self.receive(part.connections, part.datagrams, &numbers);
    }

    /// For each back-end of another configuration its number here, if it is here.
    fn numbers(&self, other: &Plan) -> Vec<Option<usize>> {
        other.backends.iter().map(|backend| self.plan.by_name.get(&backend.name).copied()).collect()
    }

    /// What was said of back-ends where another configuration holds.
    fn hear(&mut self, other: &Plan, standings: &[Standing], numbers: &[Option<usize>]) {
        let before = self.standings.clone();
        for ((standing, backend), number) in standings.iter().zip(&other.backends).zip(numbers) {
            if let Some(ours) = number.and_then(|n| self.standings.get_mut(n)) {
                ours.health = standing.health;
                // A weight that was set by command stays, one of the other configuration does not.
                if standing.weight != backend.weight {
                    ours.weight = standing.weight;
                }
            }
        }
        for service in 0..self.plan.services.len() {
            let backends = self.plan.services[service].backends.clone();
            if before.get(backends.clone()) != self.standings.get(backends) {
                self.refill(service);
            }
        }
    }

    fn receive(
        &mut self,
        connections: Vec<(FlowKey, Connection)>,
        datagrams: Datagrams,
        numbers: &[Option<usize>],
    ) {
        let here = |backend: u16| u16::try_from(numbers.get(usize::from(backend)).copied().flatten()?).ok();
        for (key, connection) in connections {
            if let Some(backend) = here(connection.backend) {
                self.take_in(key, Connection { backend, ..connection });
            }
        }
        for (datagram, course, seen) in datagrams {
            let course = match course {
                Course::Forth(backend) => here(backend).map(Course::Forth),
                Course::Back(backend) => here(backend).map(Course::Back),
            };
            if let Some(course) = course {
                self.fragments.learn(datagram, course, seen);
            }
        }
    }

    fn datagrams(&self) -> Datagrams {
        let mut all = Vec::new();
        let mut from = Some(0);
        while let Some(place) = from {
            from = self.fragments.page(place, usize::MAX, |datagram, course, seen| {
                all.push((datagram, *course, seen));
                true
            });
        }
        all
    }

    /// All connections.
    fn connections(&self) -> Vec<(FlowKey, Connection)> {
        let v4 = self.v4.all().into_iter().map(|(key, connection)| (FlowKey::V4(key.into()), connection));
        let v6 = self.v6.all().into_iter().map(|(key, connection)| (key.into(), connection));
        v4.chain(v6).collect()
    }
}
