//! What is known of a host.

use super::print::Moment;
use engine::Time;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::IpAddr;
use wire::Mac;

/// What is kept of one host.
pub(super) const FINDINGS: usize = 64;

/// A host: addresses of different VLANs are different hosts. VLAN 0 is none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(in crate::monitor) struct Host {
    pub address: IpAddr,
    pub vlan: u16,
}

/// How something was found.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::monitor) enum How {
    /// By the fingerprint of a segment that opens, accepts, ends or refuses.
    Syn,
    SynAck,
    Fin,
    Rst,
    /// By what it says, or its port: as a server, as a client.
    Server,
    Client,
}

impl From<Moment> for How {
    fn from(moment: Moment) -> How {
        match moment {
            Moment::Syn => How::Syn,
            Moment::SynAck => How::SynAck,
            Moment::Fin => How::Fin,
            Moment::Rst => How::Rst,
        }
    }
}

/// Something that is known of a host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::monitor) struct Finding {
    pub how: How,
    pub proto: u8,
    /// The service's port; of a fingerprint, the sender's.
    pub port: u16,
    /// The system or the service, `unknown` without a signature.
    pub name: String,
    /// Its version and the like; of an unknown service the port's name behind an `@`.
    pub what: String,
    pub print: Option<Traits>,
    /// Routers on the way.
    pub distance: u8,
    pub first: Time,
    pub last: Time,
}

/// What a fingerprint says besides.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::monitor) struct Traits {
    /// As p0f 2 writes it.
    pub text: String,
    /// The sender's link, by the MTU.
    pub link: Option<String>,
    /// Hours since the sender's start.
    pub uptime: Option<u32>,
}

pub(super) const UNKNOWN: &str = "unknown";

impl Finding {
    /// They tell the same thing: a host has one of each. A fingerprint is told apart by what it stands for, a service by
    /// its port.
    fn is_about_the_same(&self, other: &Finding) -> bool {
        self.how == other.how
            && match self.how {
                How::Server | How::Client => (self.port, self.proto) == (other.port, other.proto),
                _ => (&self.name, &self.what) == (&other.name, &other.what),
            }
    }

    /// A service that is known by its port only.
    fn is_guess(&self) -> bool {
        matches!(self.how, How::Server | How::Client) && self.name == UNKNOWN
    }

    /// Joins what tells the same thing: what was said first stays, but a guess gives way to what is known.
    fn merge(&mut self, other: Finding) {
        let (first, last) = (self.first.min(other.first), self.last.max(other.last));
        let earlier = other.first < self.first;
        if (self.is_guess(), other.is_guess()) == (true, false)
            || earlier && self.is_guess() == other.is_guess()
        {
            let known_since = if earlier { first } else { other.first };
            *self = Finding { first: known_since, ..other };
        }
        self.last = last;
    }
}

/// What is known of a host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::monitor) struct Asset {
    pub mac: Option<Mac>,
    pub findings: Vec<Finding>,
    pub first: Time,
    pub last: Time,
}

impl Asset {
    pub(super) fn new(now: Time) -> Asset {
        Asset { mac: None, findings: Vec::new(), first: now, last: now }
    }

    /// Whether there was room for it.
    pub(super) fn note(&mut self, finding: Finding) -> bool {
        self.first = self.first.min(finding.first);
        self.last = self.last.max(finding.last);
        let has_room = self.findings.len() < FINDINGS;
        match self.findings.iter_mut().find(|known| known.is_about_the_same(&finding)) {
            Some(known) => known.merge(finding),
            None if has_room => self.findings.push(finding),
            None => return false,
        }
        true
    }

    /// Joins what is known of the same host elsewhere.
    pub(super) fn merge(&mut self, other: Asset) {
        if self.mac.is_none() || other.mac.is_some() && other.last > self.last {
            self.mac = other.mac;
        }
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        for finding in other.findings {
            self.note(finding);
        }
    }
}

/// Assets of several workers as one, in the order of their hosts.
pub(in crate::monitor) fn unite(assets: impl IntoIterator<Item = (Host, Asset)>) -> Vec<(Host, Asset)> {
    let mut known: HashMap<Host, Asset> = HashMap::new();
    for (host, asset) in assets {
        match known.get_mut(&host) {
            Some(one) => one.merge(asset),
            None => _ = known.insert(host, asset),
        }
    }
    let mut all: Vec<(Host, Asset)> = known.into_iter().collect();
    all.sort_by_key(|(host, _)| *host);
    all
}
