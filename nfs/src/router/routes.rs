//! All routes: what workers look up, what operators change, and the thread that makes the one of the other.
//!
//! Read-copy-update: a change is noted, a thread of the table's own applies it to its book, compiles, and publishes the
//! result; every worker takes it over between bursts. A table that was replaced is freed by that thread when no worker
//! holds it any more, so workers neither wait nor free.

use super::interface::{Hop, Interface};
use super::route::{Route, RouteError};
use engine::Time;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;
use tables::lpm::{Fib, Fib4, Routes};
use wire::{Prefix, Prefix4, Prefix6};

/// Most different ways (gateways, groups of gateways, interfaces) of all routes ever in one table.
pub(super) const MOST_WAYS: usize = 1 << 16;
/// The most that a flat table of IPv4 routes may take: twice what all routes of the Internet do.
const FLAT_BYTES: usize = 128 << 20;
/// How long a replaced table may stay before it is looked at again.
const LINGER: Duration = Duration::from_millis(200);

/// What workers read: a way (an index into `ways`) for each address.
pub(super) struct Table {
    pub v4: Fib4,
    pub v6: Fib<u128>,
    pub ways: Vec<Way>,
    /// The way of each gateway, in order.
    gateways: Vec<(Hop, u32)>,
    list4: Vec<(u32, u8, u32)>,
    list6: Vec<(u128, u8, u32)>,
    pub version: u64,
}

/// A route, and for several gateways the ways of the single ones.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub route: Route,
    pub members: Vec<u32>,
}

impl Table {
    pub fn len(&self) -> usize {
        self.list4.len() + self.list6.len()
    }

    /// The way that leads to this gateway.
    pub fn way_of(&self, hop: &Hop) -> Option<u32> {
        let place = self.gateways.binary_search_by_key(hop, |(known, _)| *known).ok()?;
        self.gateways.get(place).map(|(_, way)| *way)
    }

    /// The route of exactly this prefix.
    pub fn get(&self, prefix: Prefix) -> Option<&Route> {
        let way = match prefix {
            Prefix::V4(p) => {
                let key = (p.address(), p.len());
                let place = self.list4.binary_search_by_key(&key, |route| (route.0, route.1)).ok()?;
                self.list4.get(place)?.2
            }
            Prefix::V6(p) => {
                let key = (p.address(), p.len());
                let place = self.list6.binary_search_by_key(&key, |route| (route.0, route.1)).ok()?;
                self.list6.get(place)?.2
            }
        };
        self.ways.get(way as usize).map(|way| &way.route)
    }

    /// Routes from the `from`-th on: IPv4 in order of their prefixes, then IPv6.
    pub fn list(&self, from: usize) -> impl Iterator<Item = (Prefix, &Route)> {
        let v4 = self.list4.iter().skip(from).map(|&(a, l, way)| (Prefix::V4(Prefix4::new(a, l)), way));
        let from = from.saturating_sub(self.list4.len());
        let v6 = self.list6.iter().skip(from).map(|&(a, l, way)| (Prefix::V6(Prefix6::new(a, l)), way));
        v4.chain(v6).filter_map(|(prefix, way)| Some((prefix, &self.ways.get(way as usize)?.route)))
    }
}

/// Routes to edit.
#[derive(Default)]
struct Book {
    v4: Routes<u32>,
    v6: Routes<u128>,
    ways: Vec<Way>,
    index: HashMap<Route, u32>,
}

impl Book {
    fn way(&mut self, route: &Route) -> Result<u32, RouteError> {
        if let Some(&way) = self.index.get(route) {
            return Ok(way);
        }
        let members = match route {
            Route::Via(hops) if hops.len() > 1 => {
                hops.iter().map(|hop| self.way(&Route::Via(vec![*hop]))).collect::<Result<_, _>>()?
            }
            _ => Vec::new(),
        };
        if self.ways.len() >= MOST_WAYS {
            return Err(RouteError::TooManyWays(MOST_WAYS));
        }
        let way = self.ways.len() as u32;
        self.ways.push(Way { route: route.clone(), members });
        self.index.insert(route.clone(), way);
        Ok(way)
    }

    fn set(&mut self, prefix: Prefix, route: Option<&Route>) -> Result<(), RouteError> {
        let Some(route) = route else {
            match prefix {
                Prefix::V4(p) => self.v4.remove(p.address(), p.len()),
                Prefix::V6(p) => self.v6.remove(p.address(), p.len()),
            };
            return Ok(());
        };
        let way = self.way(route)?;
        let set = match prefix {
            Prefix::V4(p) => self.v4.insert(p.address(), p.len(), way),
            Prefix::V6(p) => self.v6.insert(p.address(), p.len(), way),
        };
        set.map(drop).map_err(|error| RouteError::Bad(error.to_string()))
    }

    fn compile(&self, version: u64) -> Table {
        let single = |(i, way): (usize, &Way)| match &way.route {
            Route::Via(hops) => hops.first().filter(|_| hops.len() == 1).map(|hop| (*hop, i as u32)),
            _ => None,
        };
        let mut gateways: Vec<_> = self.ways.iter().enumerate().filter_map(single).collect();
        gateways.sort_unstable();
        Table {
            v4: self.v4.compile_within(FLAT_BYTES),
            v6: self.v6.compile(),
            ways: self.ways.clone(),
            gateways,
            list4: self.v4.iter().collect(),
            list6: self.v6.iter().collect(),
            version,
        }
    }
}

/// A change of a route by command: the new one, or none.
pub(super) type Change = (Option<Route>, Time);

/// The routes of a router, shared by its workers.
pub(super) struct RouteTable {
    /// The configuration's own, by which two tables are compared.
    origin: Vec<(Prefix, Route)>,
    interfaces: Arc<[Interface]>,
    book: Mutex<Book>,
    published: Mutex<Arc<Table>>,
    /// Of the published table.
    version: AtomicU64,
    /// All changes since the start, and those that the book does not have yet.
    changes: Mutex<(BTreeMap<Prefix, Change>, Vec<Prefix>)>,
    waker: OnceLock<Option<Sender<()>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RouteTable {
    pub fn new(
        interfaces: &Arc<[Interface]>,
        origin: Vec<(Prefix, Route)>,
    ) -> Result<RouteTable, RouteError> {
        let mut book = Book::default();
        // RFC 6890: "this network", loopback, multicast and reserved addresses are nobody's.
        for martian in ["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3", "::/127", "ff00::/8", "fe80::/10"] {
            let prefix = martian.parse().map_err(|_| RouteError::Bad(martian.to_owned()))?;
            book.set(prefix, Some(&Route::Discard))?;
        }
        for (prefix, route) in &origin {
            book.set(*prefix, Some(route))?;
        }
        for (prefix, route) in fixed(interfaces) {
            book.set(prefix, Some(&route))?;
        }
        let table = Arc::new(book.compile(1));
        Ok(RouteTable {
            origin,
            interfaces: Arc::clone(interfaces),
            book: Mutex::new(book),
            published: Mutex::new(table),
            version: AtomicU64::new(1),
            changes: Mutex::default(),
            waker: OnceLock::new(),
        })
    }

    /// Whether the other table began as this one.
    pub fn same_origin(&self, other: &RouteTable) -> bool {
        self.origin == other.origin && self.interfaces == other.interfaces
    }

    /// The table as it is now.
    pub fn table(&self) -> Arc<Table> {
        Arc::clone(&lock(&self.published))
    }

    /// The table, if it is another one than `known`; never waits.
    pub fn news(&self, known: u64) -> Option<Arc<Table>> {
        if self.version.load(Ordering::Acquire) == known {
            return None;
        }
        self.published.try_lock().ok().map(|table| Arc::clone(&table))
    }

    /// Whether a route is an interface's own, which comes and goes with its configuration.
    pub fn is_fixed(&self, prefix: Prefix) -> bool {
        fixed(&self.interfaces).iter().any(|(own, _)| *own == prefix)
    }

    /// The route of a prefix, changes that are not in the table yet included.
    pub fn has(&self, prefix: Prefix) -> bool {
        match lock(&self.changes).0.get(&prefix) {
            Some((route, _)) => route.is_some(),
            None => self.table().get(prefix).is_some(),
        }
    }

    /// Notes changes, and has them compiled; `false` when there is no thread to do it. Those that were noted before,
    /// at the same time, cost nothing.
    #[must_use]
    pub fn change(self: &Arc<Self>, changes: impl IntoIterator<Item = (Prefix, Change)>) -> bool {
        {
            let mut noted = lock(&self.changes);
            let before = noted.1.len();
            for (prefix, change) in changes {
                if noted.0.get(&prefix) != Some(&change) {
                    noted.0.insert(prefix, change);
                    noted.1.push(prefix);
                }
            }
            if noted.1.len() == before {
                return true;
            }
        }
        let waker = self.waker.get_or_init(|| start(Arc::downgrade(self)));
        waker.as_ref().is_some_and(|waker| waker.send(()).is_ok())
    }

    /// All changes since the start, by prefix.
    pub fn changes(&self) -> BTreeMap<Prefix, Change> {
        lock(&self.changes).0.clone()
    }

    /// Applies what is noted; the table that was replaced. A change that cannot be is left out.
    fn update(&self) -> Option<Arc<Table>> {
        let mut book = lock(&self.book);
        let edits: Vec<(Prefix, Option<Route>)> = {
            let mut noted = lock(&self.changes);
            let prefixes = std::mem::take(&mut noted.1);
            prefixes.iter().filter_map(|p| Some((*p, noted.0.get(p)?.0.clone()))).collect()
        };
        if edits.is_empty() {
            return None;
        }
        for (prefix, route) in edits {
            if book.set(prefix, route.as_ref()).is_err() {
                lock(&self.changes).0.remove(&prefix);
            }
        }
        let version = self.version.load(Ordering::Relaxed) + 1;
        let table = Arc::new(book.compile(version));
        let old = std::mem::replace(&mut *lock(&self.published), table);
        self.version.store(version, Ordering::Release);
        Some(old)
    }
}

/// Routes of the interfaces: their networks, their own addresses, and broadcasts, which are not for routers (RFC 2644).
fn fixed(interfaces: &[Interface]) -> Vec<(Prefix, Route)> {
    let mut networks = Vec::new();
    let mut own = Vec::new();
    for (i, interface) in interfaces.iter().enumerate() {
        for (address, network) in &interface.addresses {
            networks.push((*network, Route::Link(i as u16)));
            let host = match (address, network) {
                (std::net::IpAddr::V4(address), Prefix::V4(network)) => {
                    if network.len() < 31 {
                        own.push((Prefix4::host(network.address()).into(), Route::Discard));
                        own.push((Prefix4::host(network.last()).into(), Route::Discard));
                    }
                    Prefix4::host((*address).into()).into()
                }
                (std::net::IpAddr::V6(address), _) => Prefix6::host((*address).into()).into(),
                (std::net::IpAddr::V4(address), _) => Prefix4::host((*address).into()).into(),
            };
            own.push((host, Route::Own(i as u16)));
        }
    }
    networks.extend(own);
    networks
}

/// Starts the thread that compiles; it ends when the table is gone. `None`: there is no thread to be had.
fn start(table: Weak<RouteTable>) -> Option<Sender<()>> {
    let (sender, receiver) = channel::<()>();
    let work = move || {
        let mut replaced: Vec<Arc<Table>> = Vec::new();
        loop {
            let woken = if replaced.is_empty() {
                receiver.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                receiver.recv_timeout(LINGER)
            };
            match woken {
                Ok(()) => {
                    let Some(table) = table.upgrade() else { return };
                    replaced.extend(table.update());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            replaced.retain(|table| Arc::strong_count(table) > 1);
        }
    };
    std::thread::Builder::new().name("routes".to_owned()).spawn(work).ok().map(|_| sender)
}
