//! Security associations: keys, sequence numbers, what has come.

use super::cipher::{Authenticated, Cipher, IV_LEN};
use super::config::{Keyed, Plan};
use super::window::{Arrival, Window};
use ahash::{HashMap, HashMapExt};
use engine::Time;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use wire::flow::{DEFAULT_SEED, mix};

/// Which way its packets go.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Direction {
    Outbound,
    Inbound,
}

impl Direction {
    pub(super) fn name(self) -> &'static str {
        match self {
            Direction::Outbound => "outbound",
            Direction::Inbound => "inbound",
        }
    }

    pub(super) fn of(name: &str) -> Option<Direction> {
        [Direction::Outbound, Direction::Inbound].into_iter().find(|direction| direction.name() == name)
    }
}

/// Which association it is. Of one that packets come by, the SPI says it alone; of one that they leave by, the SPI is
/// the other end's choice.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Name {
    pub tunnel: String,
    pub direction: Direction,
    pub spi: u32,
    /// Tells its key from others.
    pub check: [u8; 8],
}

/// What an association has carried.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Account {
    pub packets: u64,
    pub bytes: u64,
    /// When the last one came.
    pub last: Time,
}

impl Account {
    #[inline]
    fn add(&mut self, bytes: usize, now: Time) {
        self.packets += 1;
        self.bytes += bytes as u64;
        self.last = now;
    }

    fn unite(&mut self, other: Account) {
        self.packets = self.packets.max(other.packets);
        self.bytes = self.bytes.max(other.bytes);
        self.last = self.last.max(other.last);
    }
}

/// What of an association may leave: all but its keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Course {
    /// The last sequence number that was given, or the highest that has come.
    pub highest: u64,
    /// Which before that have come; of an outbound association none.
    pub seen: Vec<u64>,
    pub account: Account,
}

impl Course {
    /// Joins what is known of the same association elsewhere, as [`Association::go_on`] does: what one of them has seen,
    /// has come.
    fn unite(&mut self, other: &Course) {
        let mut window = Window::new(*Window::SIZES.end());
        for course in [&*self, other] {
            window.unite(course.highest, &course.seen);
        }
        let outbound = self.seen.is_empty() && other.seen.is_empty();
        self.highest = window.highest();
        self.seen = if outbound { Vec::new() } else { window.seen() };
        self.account.unite(other.account);
    }
}

/// Numbers that a packet leaves with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Numbers {
    pub sequence: u64,
    pub iv: [u8; IV_LEN],
}

/// An association.
pub(super) struct Association {
    pub tunnel: usize,
    pub spi: u32,
    pub extended: bool,
    pub cipher: Arc<Cipher>,
    /// Whether a command has added it.
    pub added: bool,
    pub account: Account,
    pub side: Side,
}

/// What the two directions do not have in common.
pub(super) enum Side {
    Outbound {
        /// The last sequence number that was given.
        sequence: u64,
        /// Initialisation vectors count from here: as random as the worker's seed.
        iv: u64,
        /// Whether it was told that there are no numbers left.
        told: bool,
    },
    Inbound(Window),
}

impl Association {
    /// One that has carried nothing yet. `iv`: where initialisation vectors of an outbound one start.
    pub(super) fn new(plan: &Plan, keyed: &Keyed, iv: u64, added: bool) -> Association {
        let side = match keyed.direction {
            Direction::Outbound => Side::Outbound { sequence: 0, iv, told: false },
            Direction::Inbound => {
                Side::Inbound(Window::new(plan.tunnels.get(keyed.tunnel).map_or(64, |tunnel| tunnel.window)))
            }
        };
        Association {
            tunnel: keyed.tunnel,
            spi: keyed.spi,
            extended: keyed.extended,
            cipher: Arc::clone(&keyed.cipher),
            added,
            account: Account::default(),
            side,
        }
    }

    pub(super) fn direction(&self) -> Direction {
        match self.side {
            Side::Outbound { .. } => Direction::Outbound,
            Side::Inbound(_) => Direction::Inbound,
        }
    }

    pub(super) fn name(&self, plan: &Plan) -> Name {
        Name {
            tunnel: plan.tunnels.get(self.tunnel).map_or_else(String::new, |tunnel| tunnel.name.clone()),
            direction: self.direction(),
            spi: self.spi,
            check: self.cipher.check(),
        }
    }

    /// Whether it has carried anything.
    pub(super) fn is_used(&self) -> bool {
        match &self.side {
            Side::Outbound { sequence, .. } => *sequence > 0,
            Side::Inbound(window) => window.highest() > 0,
        }
    }

    pub(super) fn course(&self) -> Course {
        let (highest, seen) = match &self.side {
            Side::Outbound { sequence, .. } => (*sequence, Vec::new()),
            Side::Inbound(window) => (window.highest(), window.seen()),
        };
        Course { highest, seen, account: self.account }
    }

    /// Goes on from where another one is. It never goes back: no number is given twice.
    pub(super) fn go_on(&mut self, course: &Course) {
        match &mut self.side {
            Side::Outbound { sequence, .. } => *sequence = (*sequence).max(course.highest),
            Side::Inbound(window) => window.unite(course.highest, &course.seen),
        }
        self.account.unite(course.account);
    }

    /// The numbers of the next packet to leave; `None`: there are no more (RFC 4303 section 3.3.3).
    #[inline]
    pub(super) fn next(&mut self, bytes: usize, now: Time) -> Option<Numbers> {
        let Side::Outbound { sequence, iv, .. } = &mut self.side else { return None };
        let last = if self.extended { u64::MAX } else { u32::MAX.into() };
        if *sequence >= last {
            return None;
        }
        *sequence += 1;
        self.account.add(bytes, now);
        Some(Numbers { sequence: *sequence, iv: iv.wrapping_add(*sequence).to_be_bytes() })
    }

    /// Whether it is to be told that there are no numbers left, which is told once.
    pub(super) fn ends(&mut self) -> bool {
        match &mut self.side {
            Side::Outbound { told, .. } => !std::mem::replace(told, true),
            Side::Inbound(_) => false,
        }
    }

    /// What becomes of a packet of this number.
    #[inline]
    pub(super) fn look(&self, low: u32) -> Arrival {
        match &self.side {
            Side::Inbound(window) => window.look(low, self.extended),
            Side::Outbound { .. } => Arrival::TooOld,
        }
    }

    /// Notes an authentic packet.
    #[inline]
    pub(super) fn note(&mut self, sequence: u64, bytes: usize, now: Time) {
        if let Side::Inbound(window) = &mut self.side {
            window.note(sequence);
        }
        self.account.add(bytes, now);
    }

    #[inline]
    pub(super) fn authenticated(&self, sequence: u64) -> Authenticated {
        Authenticated::new(self.spi, sequence, self.extended)
    }
}

/// All associations of one worker.
pub(super) struct Associations {
    all: Vec<Association>,
    /// Those that packets come by.
    by_spi: HashMap<u32, usize>,
    /// The one that packets leave by, tunnel by tunnel.
    current: Vec<Option<usize>>,
    /// What came in before the keys did.
    pub(super) waiting: BTreeMap<Name, Course>,
    /// How many initialisation vectors were begun.
    drawn: u64,
    seed: u64,
}

impl Associations {
    pub(super) fn new(plan: &Plan, seed: u64) -> Associations {
        let mut new = Associations {
            all: Vec::new(),
            by_spi: HashMap::new(),
            current: vec![None; plan.tunnels.len()],
            waiting: BTreeMap::new(),
            drawn: 0,
            seed: mix(seed, plan.serial, DEFAULT_SEED),
        };
        for keyed in &plan.keyed {
            new.push(plan, keyed, false);
        }
        new.index();
        new
    }

    /// Adds one; what has waited for its key, it goes on from.
    pub(super) fn add(&mut self, plan: &Plan, keyed: &Keyed, added: bool) {
        self.push(plan, keyed, added);
        self.index();
    }

    fn push(&mut self, plan: &Plan, keyed: &Keyed, added: bool) {
        self.drawn += 1;
        let iv = mix(self.seed, self.drawn, u64::from(keyed.spi));
        let mut association = Association::new(plan, keyed, iv, added);
        if let Some(course) = self.waiting.remove(&association.name(plan)) {
            association.go_on(&course);
        }
        self.all.push(association);
    }

    /// Takes one away; whether it was there.
    pub(super) fn remove(&mut self, tunnel: Option<usize>, direction: Direction, spi: u32) -> bool {
        let before = self.all.len();
        self.all.retain(|known| {
            let is_it = known.spi == spi
                && known.direction() == direction
                && tunnel.is_none_or(|tunnel| tunnel == known.tunnel);
            !is_it
        });
        self.index();
        self.all.len() < before
    }

    /// Takes those away that `to` names a place for.
    pub(super) fn take_if<T>(&mut self, to: impl Fn(&Association) -> Option<T>) -> Vec<(T, Association)> {
        let mut taken = Vec::new();
        for association in std::mem::take(&mut self.all) {
            match to(&association) {
                Some(place) => taken.push((place, association)),
                None => self.all.push(association),
            }
        }
        self.index();
        taken
    }

    /// Draws no initialisation vectors that an instance of before may have drawn.
    pub(super) fn draw_beyond(&mut self, old: &Associations) {
        self.drawn = self.drawn.max(old.drawn);
    }

    fn index(&mut self) {
        self.by_spi.clear();
        self.current.fill(None);
        for (at, association) in self.all.iter().enumerate() {
            match association.direction() {
                Direction::Inbound => {
                    self.by_spi.insert(association.spi, at);
                }
                Direction::Outbound => {
                    if let Some(current) = self.current.get_mut(association.tunnel) {
                        *current = Some(at);
                    }
                }
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Association> {
        self.all.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The one of that SPI that packets come by.
    #[inline]
    pub(super) fn inbound(&mut self, spi: u32) -> Option<&mut Association> {
        self.by_spi.get(&spi).and_then(|&at| self.all.get_mut(at))
    }

    /// The one that packets of a tunnel leave by.
    #[inline]
    pub(super) fn outbound(&mut self, tunnel: usize) -> Option<&mut Association> {
        let at = (*self.current.get(tunnel)?)?;
        self.all.get_mut(at)
    }

    /// The one of that direction and SPI.
    pub(super) fn find(&mut self, tunnel: usize, direction: Direction, spi: u32) -> Option<&mut Association> {
        self.all.iter_mut().find(|known| {
            let same = direction == Direction::Inbound || known.tunnel == tunnel;
            known.spi == spi && known.direction() == direction && same
        })
    }

    /// What is known of an association goes on here: now, or when its key comes.
    pub(super) fn resume(&mut self, plan: &Plan, name: Name, course: &Course) {
        let is_it = |known: &&mut Association| known.spi == name.spi && known.name(plan) == name;
        match self.all.iter_mut().find(is_it) {
            Some(known) => known.go_on(course),
            None => match self.waiting.entry(name) {
                Entry::Occupied(mut waiting) => waiting.get_mut().unite(course),
                Entry::Vacant(place) => drop(place.insert(course.clone())),
            },
        }
    }
}
