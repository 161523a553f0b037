//! Which hosts there are and what runs on them, from what they send by themselves: systems by how their TCP opens,
//! accepts, ends and refuses, services and clients by their first words or their ports, MAC addresses by ARP.

mod asset;
mod banner;
mod config;
mod log;
mod names;
mod os;
mod print;
mod state;
#[cfg(test)]
mod tests;

pub(super) use config::Signatures;
pub use config::{AssetsConfig, Format};
pub(super) use log::{show, write};
pub(super) use state::{KIND, is_wanted, parse, record};

pub(super) use asset::{Asset, Host, unite};
pub(super) use banner::Banners;
pub(super) use os::Book;
pub(super) use print::Print;

use crate::roster::Roster;
use asset::{Finding, How, Traits, UNKNOWN};
use banner::{LOOKED_AT, Said, Scratch};
use engine::Time;
use print::{Moment, distance};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tables::flow_table::{Displaced, Eviction, FlowTable};
use wire::protocol::ip;
use wire::{Headers, arp};

/// Packets of a flow, in either direction, whose payload is looked at: what says who a host is comes early.
pub(super) const EARLY: u64 = 10;
/// A payload of fewer bytes says nothing.
const WORD: usize = 5;
/// Bytes of payload that may be looked at per second, and at once.
const RATE: u64 = 16 << 20;
const AT_ONCE: u64 = 4 << 20;
/// What is found takes as long to note as so many bytes to look at: so many new hosts in a flood are passed over.
const NOTING: usize = 1024;

/// What there was to tell, and what was passed over.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Tally {
    pub found: u64,
    /// Assets that were forgotten for others.
    pub evicted: u64,
    /// Findings for which their host had no room.
    pub overfull: u64,
    /// Payloads and findings that nobody had time for.
    pub unread: u64,
}

/// A packet that may tell something.
#[derive(Clone, Copy)]
pub(super) struct Sight<'a> {
    pub headers: &'a Headers,
    pub frame: &'a [u8],
    pub now: Time,
    pub sender: IpAddr,
    /// The sender's port, and the receiver's.
    pub ports: (u16, u16),
    pub proto: u8,
    /// The sender began the flow.
    pub is_client: bool,
    /// Among the first packets of its flow and direction.
    pub is_early: bool,
}

/// All hosts that a worker knows.
pub(super) struct Assets {
    signatures: Arc<Signatures>,
    hosts: FlowTable<Host, Asset>,
    roster: Roster,
    seed: u64,
    scratches: [Option<Scratch>; 3],
    allowance: Allowance,
    pub tally: Tally,
}

/// Bytes that may be looked at.
struct Allowance {
    left: u64,
    since: Time,
}

impl Allowance {
    fn take(&mut self, bytes: usize, now: Time) -> bool {
        let passed = now.since(self.since).min(Duration::from_secs(1)).as_nanos() as u64;
        let gained = passed * RATE / 1_000_000_000;
        if gained > 0 {
            (self.left, self.since) = ((self.left + gained).min(AT_ONCE), now);
        }
        let left = self.left.checked_sub(bytes as u64);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}

/// Whose words they are, by transport.
#[derive(Clone, Copy)]
enum Speaker {
    TcpServer,
    TcpClient,
    UdpServer,
}

impl Assets {
    pub(super) fn new(signatures: &Arc<Signatures>, seed: u64) -> Assets {
        let scratch = |banners: &Option<Banners>| banners.as_ref().map(Banners::scratch);
        Assets {
            hosts: FlowTable::with_capacity(signatures.capacity, seed).evicting(Eviction::Oldest),
            roster: Roster::new(signatures.capacity),
            seed,
            scratches: std::array::from_fn(|speaker| scratch(&signatures.banners[speaker])),
            allowance: Allowance { left: AT_ONCE, since: Time::ZERO },
            tally: Tally::default(),
            signatures: Arc::clone(signatures),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.hosts.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.hosts.capacity()
    }

    /// Looks at a packet of a flow. `rest` has the bytes of it behind `frame`, or nothing.
    pub(super) fn see<'a>(&mut self, sight: &Sight<'a>, rest: impl Iterator<Item = &'a [u8]>) {
        if sight.proto == ip::TCP
            && let Some(moment) = sight.headers.tcp_flags(sight.frame).and_then(Moment::of)
        {
            self.see_moment(moment, sight);
        }
        if sight.is_early {
            self.listen(sight, rest);
        }
    }

    fn see_moment(&mut self, moment: Moment, sight: &Sight<'_>) {
        let signatures = Arc::clone(&self.signatures);
        let Some(book) = signatures.library.book(moment) else { return };
        let Some(print) = Print::of(sight.headers, sight.frame) else { return };
        let (name, what) = book.find(&print).map_or((UNKNOWN, UNKNOWN), |signature| signature.says());
        let how = How::from(moment);
        // Most of them say what is known already.
        if let Some(asset) = self.known(sight) {
            let known = asset
                .findings
                .iter_mut()
                .find(|known| known.how == how && known.name == name && known.what == what);
            if let Some(known) = known {
                known.last = known.last.max(sight.now);
                asset.last = asset.last.max(sight.now);
                return;
            }
        }
        let traits = Traits {
            text: print.to_string(),
            link: print.mtu().map(|mtu| signatures.links.name(mtu)),
            uptime: print.uptime_hours(),
        };
        self.note(sight, how, sight.ports.0, (name.to_owned(), what.to_owned()), Some(traits));
    }

    /// Whether a packet is from a client: from who began the flow, unless only the sender's port is that of a known
    /// service. So it is where a flow's beginning was not seen.
    fn is_client(&self, sight: &Sight<'_>) -> bool {
        let is_known = |port: u16| self.signatures.ports.name(sight.proto, port).is_some();
        match (is_known(sight.ports.0), is_known(sight.ports.1)) {
            (true, false) => false,
            (false, true) => true,
            _ => sight.is_client,
        }
    }

    /// Reads the first words of a client or a server.
    fn listen<'a>(&mut self, sight: &Sight<'a>, rest: impl Iterator<Item = &'a [u8]>) {
        let (Some(at), Some(len)) = (sight.headers.payload_offset(), sight.headers.payload_len()) else {
            return;
        };
        if len < WORD || sight.headers.is_later_fragment() {
            return;
        }
        let sight = &Sight { is_client: self.is_client(sight), ..*sight };
        let speaker = match (sight.proto, sight.is_client) {
            (ip::TCP, false) => Speaker::TcpServer,
            (ip::TCP, true) => Speaker::TcpClient,
            (ip::UDP, false) => Speaker::UdpServer,
            (ip::UDP, true) => return self.guess(sight),
            _ => return,
        };
        let looked_at = len.min(LOOKED_AT);
        if !self.allowance.take(looked_at, sight.now) {
            self.tally.unread += 1;
            return;
        }
        let here = sight.frame.get(at..).unwrap_or_default();
        let mut gathered = [0; LOOKED_AT];
        let payload = match here.get(..looked_at) {
            Some(whole) => whole,
            None => {
                let bytes = here.iter().chain(rest.flatten());
                let count = gathered[..looked_at].iter_mut().zip(bytes).map(|(to, from)| *to = *from).count();
                &gathered[..count]
            }
        };
        let signatures = Arc::clone(&self.signatures);
        let said = match (&signatures.banners[speaker as usize], &mut self.scratches[speaker as usize]) {
            (Some(banners), Some(scratch)) => banners.find(scratch, payload),
            _ => None,
        };
        match said {
            Some(Said { service, what }) => {
                let (how, port) = role(sight);
                self.note(sight, how, port, (service, what), None);
            }
            None => self.guess(sight),
        }
    }

    /// What a port's name says of a service.
    fn guess(&mut self, sight: &Sight<'_>) {
        let (how, port) = role(sight);
        let signatures = Arc::clone(&self.signatures);
        let Some(name) = signatures.ports.name(sight.proto, port) else { return };
        if let Some(asset) = self.known(sight)
            && let Some(known) = asset
                .findings
                .iter_mut()
                .find(|known| (known.how, known.port, known.proto) == (how, port, sight.proto))
        {
            known.last = known.last.max(sight.now);
            asset.last = asset.last.max(sight.now);
            return;
        }
        self.note(sight, how, port, (UNKNOWN.to_owned(), format!("@{name}")), None);
    }

    fn note(
        &mut self,
        sight: &Sight<'_>,
        how: How,
        port: u16,
        (name, what): (String, String),
        print: Option<Traits>,
    ) {
        if !self.allowance.take(NOTING, sight.now) {
            self.tally.unread += 1;
            return;
        }
        let finding = Finding {
            how,
            proto: sight.proto,
            port,
            name,
            what,
            print,
            distance: ttl(sight.headers, sight.frame).map_or(0, distance),
            first: sight.now,
            last: sight.now,
        };
        self.tally.found += 1;
        let room = self.entry(host(sight), sight.now).is_none_or(|asset| asset.note(finding));
        self.tally.overfull += u64::from(!room);
    }

    /// Notes who has which address, by an ARP message.
    pub(super) fn see_arp(&mut self, headers: &Headers, frame: &[u8], now: Time) {
        let message = frame.get(headers.l3_offset()..).and_then(|bytes| arp::Packet::new_checked(bytes).ok());
        let Some(message) = message.filter(|message| message.sender_ip() != 0) else { return };
        let address = IpAddr::V4(message.sender_ip().into());
        let host = Host { address, vlan: headers.vlan().unwrap_or(0) };
        if let Some(asset) = self.entry(host, now) {
            asset.mac = Some(message.sender_mac());
            asset.last = asset.last.max(now);
        }
    }

    fn known(&mut self, sight: &Sight<'_>) -> Option<&mut Asset> {
        let host = host(sight);
        let id = self.hosts.find(&host, self.hash(host))?;
        self.hosts.touch_mut(id, 0)
    }

    /// A host's entry, a new one in the place of one that nothing was heard of for long, if need be.
    fn entry(&mut self, host: Host, now: Time) -> Option<&mut Asset> {
        let hash = self.hash(host);
        let id = match self.hosts.find(&host, hash) {
            Some(id) => id,
            None => {
                let inserted = self.hosts.insert(host, hash, Asset::new(now)).ok()?;
                self.tally.evicted += u64::from(matches!(inserted.displaced, Displaced::Evicted(..)));
                self.roster.note(inserted.id);
                inserted.id
            }
        };
        self.hosts.touch_mut(id, 0)
    }

    fn hash(&self, host: Host) -> u32 {
        let bits = match host.address {
            IpAddr::V4(address) => u128::from(u32::from(address)) | 4 << 96,
            IpAddr::V6(address) => u128::from(address),
        };
        let folded =
            (bits >> 64) as u64 ^ (bits as u64).rotate_left(32) ^ u64::from(host.vlan) << 48 ^ self.seed;
        let mixed = (folded ^ folded >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ mixed >> 32) as u32
    }

    /// Joins what is known of a host elsewhere.
    pub(super) fn take_in(&mut self, host: Host, asset: Asset) {
        let now = asset.first;
        if let Some(known) = self.entry(host, now) {
            known.merge(asset);
        }
    }

    /// Whether the host is known.
    pub(super) fn knows(&self, host: Host) -> bool {
        self.hosts.find(&host, self.hash(host)).is_some()
    }

    /// Shows assets from place `from` on, until `show` wanted `count` of them; returns where to go on.
    pub(super) fn page(
        &self,
        from: u64,
        count: usize,
        mut show: impl FnMut(Host, &Asset) -> bool,
    ) -> Option<u64> {
        let entry = |id| self.hosts.entry(id);
        self.roster.page(from, count, |id| entry(id).is_some_and(|(host, asset)| show(*host, asset)))
    }

    /// Takes over, while still fresh, what a former instance knew.
    pub(super) fn succeed(&mut self, old: Assets) {
        self.tally = old.tally;
        if old.signatures.capacity == self.signatures.capacity && old.seed == self.seed {
            (self.hosts, self.roster) = (old.hosts, old.roster);
            return;
        }
        let mut from = Some(0);
        while let Some(at) = from {
            from = old.page(at, old.signatures.capacity, |host, asset| {
                self.take_in(host, asset.clone());
                true
            });
        }
    }
}

fn host(sight: &Sight<'_>) -> Host {
    Host { address: sight.sender, vlan: sight.headers.vlan().unwrap_or(0) }
}

/// As what the sender speaks, and the port of the service.
fn role(sight: &Sight<'_>) -> (How, u16) {
    if sight.is_client { (How::Client, sight.ports.1) } else { (How::Server, sight.ports.0) }
}

/// Time to live or hop limit.
fn ttl(headers: &Headers, frame: &[u8]) -> Option<u8> {
    let at = headers.l3_offset() + if headers.is_ipv4() { 8 } else { 7 };
    frame.get(at).copied()
}
