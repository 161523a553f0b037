//! Cuts chains where they go from one server to another, and joins the ends by tunnels.

use crate::assign::{port_name, server_and_port};
use crate::server::{By, Link, Server};
use crate::wanted::{Chain, RESERVED, Wanted};
use std::collections::BTreeMap;
use std::net::IpAddr;
use toml::{Table, Value};

/// Number of each hop, by `chain/place/from>to`. It stays while the hop does.
pub type Hops = BTreeMap<String, u16>;

/// Hops are told apart by UDP ports from here on.
const FIRST_UDP_PORT: u16 = 24_000;
/// As many as there are VLANs.
const MOST_HOPS: u16 = 4000;

/// What each server is to run, as TOML, and the numbers of the hops.
pub struct Cut {
    /// By server; one without a part of its own has an empty one.
    pub parts: BTreeMap<String, String>,
    /// The hops.
    pub hops: Hops,
}

#[derive(Default)]
struct Part {
    nfs: Table,
    /// Chains that begin in a tunnel: they come first, as those of users may take all.
    arriving: Vec<Value>,
    chains: Vec<Value>,
}

/// Cuts all chains; `place` says where NFs and ports are, `before` which hops there were.
///
/// # Errors
/// Servers between which there is no way.
pub fn cut(
    wanted: &Wanted,
    servers: &BTreeMap<String, Server>,
    place: &BTreeMap<String, String>,
    before: &Hops,
) -> Result<Cut, String> {
    let mut parts: BTreeMap<String, Part> =
        servers.keys().map(|name| (name.clone(), Part::default())).collect();
    let mut hops = Hops::new();
    for chain in &wanted.chains {
        let at = |what: &str| {
            let server =
                place.get(what).ok_or_else(|| format!("chain '{}': {what} has no place", chain.name))?;
            Ok::<String, String>(server.clone())
        };
        let mut here = at(&port_name(std::slice::from_ref(&chain.from)))?;
        let mut segment = Segment::first(chain);
        for nf in chain.path.names() {
            let there = at(nf)?;
            if there != here {
                segment = segment.cross(&mut parts, servers, (&here, &there), before, &mut hops)?;
                here = there;
            }
            segment.path.push(nf.clone());
            part(&mut parts, &here)?.nfs.insert(nf.clone(), Value::Table(wanted.nfs[nf].clone()));
        }
        let there = at(&port_name(chain.to.names()))?;
        if there != here {
            segment = segment.cross(&mut parts, servers, (&here, &there), before, &mut hops)?;
            here = there;
        }
        let to = chain.to.names().iter().map(|port| server_and_port(port).1.to_owned()).collect();
        segment.end(&mut parts, &here, to)?;
    }
    let parts =
        parts.into_iter().map(|(name, part)| Ok((name, part.text()?))).collect::<Result<_, String>>()?;
    Ok(Cut { parts, hops })
}

fn part<'a>(parts: &'a mut BTreeMap<String, Part>, server: &str) -> Result<&'a mut Part, String> {
    parts.get_mut(server).ok_or_else(|| format!("there is no server {server}"))
}

impl Part {
    fn text(self) -> Result<String, String> {
        let mut table = Table::new();
        let chains = [self.arriving, self.chains].concat();
        if !self.nfs.is_empty() {
            table.insert("nf".to_owned(), Value::Table(self.nfs));
        }
        if !chains.is_empty() {
            table.insert("chain".to_owned(), Value::Array(chains));
        }
        toml::to_string(&table).map_err(|error| error.to_string())
    }
}

/// A part of a chain that is on one server.
struct Segment<'a> {
    chain: &'a Chain,
    name: String,
    from: String,
    matches: Option<String>,
    path: Vec<String>,
    arriving: bool,
    place: usize,
}

impl<'a> Segment<'a> {
    fn first(chain: &'a Chain) -> Segment<'a> {
        Segment {
            chain,
            name: chain.name.clone(),
            from: server_and_port(&chain.from).1.to_owned(),
            matches: chain.matches.clone(),
            path: Vec::new(),
            arriving: false,
            place: 0,
        }
    }

    /// Ends the segment with a tunnel to another server, and begins the next one there.
    fn cross(
        mut self,
        parts: &mut BTreeMap<String, Part>,
        servers: &BTreeMap<String, Server>,
        (here, there): (&str, &str),
        before: &Hops,
        hops: &mut Hops,
    ) -> Result<Segment<'a>, String> {
        let link = |name: &str| {
            let link = servers.get(name).and_then(|server| server.link.as_ref());
            link.ok_or_else(|| format!("server {name} has no [server.link], by which others reach it"))
        };
        let (a, b) = (link(here)?, link(there)?);
        if a.by != b.by || a.address.is_ipv4() != b.address.is_ipv4() {
            return Err(format!("the links of {here} and {there} are not of one kind"));
        }
        let key = format!("{}/{}/{here}>{there}", self.chain.name, self.place);
        let number = number(&key, before, hops)?;
        let (encap, decap, matches) = tunnel(number, a, b);
        let (into, out) =
            (format!("{RESERVED}{number}-to-{there}"), format!("{RESERVED}{number}-from-{here}"));
        part(parts, here)?.nfs.insert(into.clone(), Value::Table(encap));
        part(parts, there)?.nfs.insert(out.clone(), Value::Table(decap));
        self.path.push(into);
        let (chain, place) = (self.chain, self.place + 1);
        self.end(parts, here, vec![a.port.clone()])?;
        Ok(Segment {
            chain,
            name: format!("{}-{place}", chain.name),
            from: b.port.clone(),
            matches: Some(matches),
            path: vec![out],
            arriving: true,
            place,
        })
    }

    fn end(self, parts: &mut BTreeMap<String, Part>, here: &str, to: Vec<String>) -> Result<(), String> {
        let strings = |all: Vec<String>| Value::Array(all.into_iter().map(Value::String).collect());
        let mut table = Table::new();
        table.insert("name".to_owned(), Value::String(self.name));
        table.insert("from".to_owned(), Value::String(self.from));
        if let Some(matches) = self.matches {
            table.insert("match".to_owned(), Value::String(matches));
        }
        table.insert("path".to_owned(), strings(self.path));
        table.insert("to".to_owned(), strings(to));
        if let Some(parallel) = &self.chain.parallel {
            table.insert("parallel".to_owned(), Value::String(parallel.clone()));
        }
        let part = part(parts, here)?;
        let chains = if self.arriving { &mut part.arriving } else { &mut part.chains };
        chains.push(Value::Table(table));
        Ok(())
    }
}

/// The number that a hop has already, or one that no hop has or had: a packet of the old plan that is still on its way
/// is not taken for one of another chain.
fn number(key: &str, before: &Hops, hops: &mut Hops) -> Result<u16, String> {
    let taken = |n: &u16| before.values().any(|other| other == n) || hops.values().any(|other| other == n);
    let number = match before.get(key) {
        Some(number) => *number,
        None => (1..MOST_HOPS).find(|n| !taken(n)).ok_or("there are more hops than VLANs")?,
    };
    hops.insert(key.to_owned(), number);
    Ok(number)
}

/// The two ends of a hop, and what its packets look like where they arrive.
fn tunnel(number: u16, a: &Link, b: &Link) -> (Table, Table, String) {
    let table = |entries: Vec<(&str, Value)>| -> Table {
        entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    };
    let text = |text: &str| Value::String(text.to_owned());
    let nf = |kind: &str, way: &str, entries| {
        table(vec![("kind", text(kind)), (way, Value::Table(table(entries)))])
    };
    let id = Value::Integer(i64::from(number));
    if a.by == By::Vlan {
        let encap = nf("vlan", "encap", vec![("id", id.clone())]);
        return (encap, nf("vlan", "decap", vec![("id", id)]), format!("vlan.id == {number}"));
    }
    let address = |address: IpAddr| text(&address.to_string());
    let port = FIRST_UDP_PORT + number;
    let udp = Value::Integer(i64::from(port));
    let macs = table(vec![("source", text(&a.mac)), ("destination", text(&b.mac))]);
    let encap = vec![
        ("vni", id.clone()),
        ("local", address(a.address)),
        ("remote", address(b.address)),
        ("macs", Value::Table(macs)),
        ("port", udp.clone()),
        ("mtu", Value::Integer(i64::from(a.mtu.min(b.mtu)))),
    ];
    let decap =
        vec![("vni", id), ("local", address(b.address)), ("remote", address(a.address)), ("port", udp)];
    let matches = format!("udp.dport == {port} and ip.src == {}", a.address);
    (nf("vxlan", "encap", encap), nf("vxlan", "decap", decap), matches)
}

#[cfg(test)]
mod tests;
