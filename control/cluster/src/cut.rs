//! Cuts chains where they go from one server to another, and joins the ends by tunnels.
//!
//! Two NFs that may run side by side and are on two servers get a mirror and a merge. On the first server `external` in the
//! role `mirror` sends a numbered copy into a loop of two ports, from where it goes to the second server by a hop of its
//! own and passes the second NF. The merge is there (M/M in the thesis) or on the first server (MM), to which the copies
//! come back by one hop more; in both cases through another loop.

use crate::assign::{port_name, server_and_port};
use crate::server::{By, Link, Server};
use crate::wanted::{Beside, Chain, MergeOn, RESERVED, Wanted};
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
    /// Loops of the server that are taken.
    loops: usize,
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
        let mut ways = Ways { parts: &mut parts, servers, before, hops: &mut hops, chain, place: 0 };
        let mut here = at(&port_name(std::slice::from_ref(&chain.from)))?;
        let mut segment = Segment::first(chain);
        // The loop from which the copies for the next NF come, if they do.
        let mut copies: Option<(&Beside, String)> = None;
        for (number, nf) in chain.path.names().iter().enumerate() {
            let there = at(nf)?;
            let next = chain.path.names().get(number + 1);
            let table = wanted.nfs[nf].clone();
            if let Some((beside, from)) = copies.take() {
                let goes_on = next.map_or_else(|| at(&port_name(chain.to.names())), |nf| at(nf))?;
                let joined = match beside.merge {
                    Some(MergeOn::First) => here.clone(),
                    None if goes_on == here => here.clone(),
                    Some(MergeOn::Second) | None => there.clone(),
                };
                if joined != here {
                    segment = ways.cross(segment, &here, &joined)?;
                }
                let back = ways.copy(from, [&here, &there, &joined], nf)?;
                ways.add(&there, nf, table)?;
                let join = format!("{RESERVED}{}-{nf}-merge", chain.name);
                ways.add(&joined, &join, merge(beside, &back))?;
                segment.path.push(join);
                here = joined;
                continue;
            }
            if there != here {
                segment = ways.cross(segment, &here, &there)?;
            }
            here = there;
            let beside =
                chain.beside.iter().find(|beside| beside.nfs[0] == *nf && Some(&beside.nfs[1]) == next);
            if let Some(beside) = beside
                && at(&beside.nfs[1])? != here
            {
                let [out, back] = ways.take_loop(&here)?;
                let split = format!("{RESERVED}{}-{nf}-mirror", chain.name);
                ways.add(&here, &split, mirror(&out))?;
                segment.path.push(split);
                copies = Some((beside, back));
            }
            segment.path.push(nf.clone());
            ways.add(&here, nf, table)?;
        }
        let there = at(&port_name(chain.to.names()))?;
        if there != here {
            segment = ways.cross(segment, &here, &there)?;
            here = there;
        }
        let to = chain.to.names().iter().map(|port| server_and_port(port).1.to_owned()).collect();
        ways.end(segment, &here, to)?;
    }
    let parts =
        parts.into_iter().map(|(name, part)| Ok((name, part.text()?))).collect::<Result<_, String>>()?;
    Ok(Cut { parts, hops })
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
struct Segment {
    name: String,
    from: String,
    matches: Option<String>,
    path: Vec<String>,
    /// It begins in a tunnel or a loop.
    arriving: bool,
}

impl Segment {
    fn first(chain: &Chain) -> Segment {
        Segment {
            name: chain.name.clone(),
            from: server_and_port(&chain.from).1.to_owned(),
            matches: chain.matches.clone(),
            path: Vec::new(),
            arriving: false,
        }
    }
}

/// Where the parts of a chain are put.
struct Ways<'a> {
    parts: &'a mut BTreeMap<String, Part>,
    servers: &'a BTreeMap<String, Server>,
    before: &'a Hops,
    hops: &'a mut Hops,
    chain: &'a Chain,
    /// Segments so far.
    place: usize,
}

impl Ways<'_> {
    /// The name of the segment that begins. No chain of a user has one like it.
    fn next_name(&self) -> String {
        format!("{RESERVED}{}-{}", self.chain.name, self.place)
    }

    fn part(&mut self, server: &str) -> Result<&mut Part, String> {
        self.parts.get_mut(server).ok_or_else(|| format!("there is no server {server}"))
    }

    fn add(&mut self, server: &str, name: &str, nf: Table) -> Result<(), String> {
        self.part(server)?.nfs.insert(name.to_owned(), Value::Table(nf));
        Ok(())
    }

    /// Ends a segment with a tunnel to another server, and begins the next one there.
    fn cross(&mut self, mut segment: Segment, here: &str, there: &str) -> Result<Segment, String> {
        let servers = self.servers;
        let link = |name: &str| {
            let link = servers.get(name).and_then(|server| server.link.as_ref());
            link.ok_or_else(|| format!("server {name} has no [server.link], by which others reach it"))
        };
        let (a, b) = (link(here)?, link(there)?);
        if a.by != b.by || a.address.is_ipv4() != b.address.is_ipv4() {
            return Err(format!("the links of {here} and {there} are not of one kind"));
        }
        let key = format!("{}/{}/{here}>{there}", self.chain.name, self.place);
        self.place += 1;
        let number = number(&key, self.before, self.hops)?;
        let (encap, decap, matches) = tunnel(number, a, b);
        let (into, out) =
            (format!("{RESERVED}{number}-to-{there}"), format!("{RESERVED}{number}-from-{here}"));
        self.add(here, &into, encap)?;
        self.add(there, &out, decap)?;
        segment.path.push(into);
        self.end(segment, here, vec![a.port.clone()])?;
        Ok(Segment {
            name: self.next_name(),
            from: b.port.clone(),
            matches: Some(matches),
            path: vec![out],
            arriving: true,
        })
    }

    /// Brings copies from a loop on one server through an NF on another into a loop where the merge is, and says where
    /// they come out.
    fn copy(&mut self, from: String, [here, there, joined]: [&str; 3], nf: &str) -> Result<String, String> {
        self.place += 1;
        let name = self.next_name();
        let matches = Some("vlan".to_owned());
        let first = Segment { name, from, matches, path: Vec::new(), arriving: true };
        let mut copies = self.cross(first, here, there)?;
        copies.path.push(nf.to_owned());
        if joined != there {
            copies = self.cross(copies, there, joined)?;
        }
        let [out, back] = self.take_loop(joined)?;
        self.end(copies, joined, vec![out])?;
        Ok(back)
    }

    fn take_loop(&mut self, server: &str) -> Result<[String; 2], String> {
        let loops = self.servers.get(server).map(|described| described.loops.clone()).unwrap_or_default();
        let part = self.part(server)?;
        part.loops += 1;
        loops.get(part.loops - 1).cloned().ok_or_else(|| {
            format!(
                "server {server} has no loop left for a mirror or a merge: name pairs of ports in 'loops'"
            )
        })
    }

    fn end(&mut self, segment: Segment, here: &str, to: Vec<String>) -> Result<(), String> {
        let mut table = Table::new();
        table.insert("name".to_owned(), Value::String(segment.name));
        table.insert("from".to_owned(), Value::String(segment.from));
        if let Some(matches) = segment.matches {
            table.insert("match".to_owned(), Value::String(matches));
        }
        table.insert("path".to_owned(), strings(segment.path));
        table.insert("to".to_owned(), strings(to));
        if let Some(parallel) = &self.chain.parallel {
            table.insert("parallel".to_owned(), Value::String(parallel.clone()));
        }
        let part = self.part(here)?;
        let chains = if segment.arriving { &mut part.arriving } else { &mut part.chains };
        chains.push(Value::Table(table));
        Ok(())
    }
}

fn strings(all: Vec<String>) -> Value {
    Value::Array(all.into_iter().map(Value::String).collect())
}

fn external(role: &str) -> Table {
    let mut table = Table::new();
    table.insert("kind".to_owned(), Value::String("external".to_owned()));
    table.insert("role".to_owned(), Value::String(role.to_owned()));
    table
}

fn mirror(out: &str) -> Table {
    let mut table = external("mirror");
    table.insert("out".to_owned(), Value::String(out.to_owned()));
    table
}

fn merge(beside: &Beside, back: &str) -> Table {
    let mut table = external("merge");
    table.insert("in".to_owned(), Value::String(back.to_owned()));
    table.insert("writes".to_owned(), strings(beside.writes.clone()));
    // What is in a loop besides copies, such as what the kernel says by itself, is none of the chain's business.
    table.insert("creates".to_owned(), Value::Boolean(false));
    if let Some(timeout) = &beside.timeout {
        table.insert("timeout".to_owned(), Value::String(timeout.clone()));
    }
    table
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
