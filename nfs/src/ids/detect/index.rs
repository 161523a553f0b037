//! Which rules may be about a packet, a stream or a message: by protocol, ports and patterns.

use super::compiled::{Compiled, Rules};
use super::lane::{Lane, Member};
use super::patterns::{Databases, Patterns};
use hyperscan::Database;
use ids_rules::buffer::{Application, Buffer};
use ids_rules::inspect::Inspect;
use ids_rules::rule::Protocol;
use std::collections::BTreeMap;
use wire::protocol::ip;

/// Where rules are found.
pub(in crate::ids) struct Index {
    /// By the packet's kind: [`Kind`].
    packets: [Lane; 4],
    /// TCP packets that no stream has taken: those of `packets`, and rules for streams.
    pub unstreamed: Lane,
    pub streams: Lane,
    /// Rules for the first packets of a flow, by the packet's kind.
    firsts: [Vec<u32>; 4],
    /// Rules for messages: by a pattern in a buffer, …
    pub buffers: BTreeMap<Buffer, Patterns>,
    /// … or always, by application.
    always: [Vec<u32>; 3],
    /// Rules for flows whose application has been found.
    detections: [Vec<u32>; 3],
    /// Longest pattern of streams.
    pub longest: usize,
    /// Any rule is about applications.
    applications: bool,
}

/// What a packet is, as far as finding rules goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::ids) enum Kind {
    Tcp = 0,
    Udp = 1,
    Icmp = 2,
    Other = 3,
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::Tcp, Kind::Udp, Kind::Icmp, Kind::Other];

    #[inline]
    pub(in crate::ids) fn of(protocol: u8) -> Kind {
        match protocol {
            ip::TCP => Kind::Tcp,
            ip::UDP => Kind::Udp,
            ip::ICMP | ip::ICMPV6 => Kind::Icmp,
            _ => Kind::Other,
        }
    }

    /// Whether a rule for this protocol can be about such a packet.
    fn is_of(self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::Ip | Protocol::Ipv4 | Protocol::Ipv6 => true,
            Protocol::Tcp | Protocol::TcpPacket | Protocol::TcpStream => self == Kind::Tcp,
            Protocol::Udp => self == Kind::Udp,
            Protocol::Icmp | Protocol::Icmpv4 | Protocol::Icmpv6 => self == Kind::Icmp,
            Protocol::Sctp => self == Kind::Other,
            Protocol::Application(Application::Dns) => matches!(self, Kind::Tcp | Kind::Udp),
            Protocol::Application(_) => self == Kind::Tcp,
        }
    }
}

fn number(application: Application) -> usize {
    match application {
        Application::Http => 0,
        Application::Tls => 1,
        Application::Dns => 2,
    }
}

impl Index {
    /// Of all rules, with the databases that it refers to.
    ///
    /// # Errors
    /// What Hyperscan says against a pattern.
    pub(in crate::ids) fn new(rules: &Rules) -> Result<(Index, Vec<Database>), hyperscan::Error> {
        let mut databases = Databases::default();
        let members = |wanted: &dyn Fn(&Compiled) -> bool| -> Vec<Member> {
            let all = rules.all.iter().zip(0..);
            all.filter(|(rule, _)| wanted(rule)).map(|(rule, place)| Member::of(rule, place)).collect()
        };
        let is_of_packets = |kind: Kind, rule: &Compiled| {
            kind.is_of(rule.rule.protocol)
                && match rule.inspect {
                    Inspect::Packets | Inspect::PacketsAndStream => true,
                    // Where there are no streams.
                    Inspect::Stream => kind != Kind::Tcp && !rule.is_of_streams_only(),
                    _ => false,
                }
        };
        let mut packets = Vec::new();
        for kind in Kind::ALL {
            packets.push(Lane::new(&members(&|rule| is_of_packets(kind, rule)), &mut databases)?);
        }
        let Ok(packets) = <[Lane; 4]>::try_from(packets) else { return Err(hyperscan::Error::Memory) };
        let is_of_streams = |rule: &Compiled| {
            Kind::Tcp.is_of(rule.rule.protocol)
                && matches!(rule.inspect, Inspect::Stream | Inspect::PacketsAndStream)
        };
        let unstreamed = Lane::new(
            &members(&|rule| {
                is_of_packets(Kind::Tcp, rule) || is_of_streams(rule) && !rule.is_of_streams_only()
            }),
            &mut databases,
        )?;
        let streams = Lane::new(&members(&is_of_streams), &mut databases)?;
        let mut index = Index {
            longest: streams.longest(),
            applications: rules.all.iter().any(|rule| rule.rule.needs().applications),
            packets,
            unstreamed,
            streams,
            firsts: Default::default(),
            buffers: BTreeMap::new(),
            always: Default::default(),
            detections: Default::default(),
        };
        index.add_messages(rules, &mut databases)?;
        Ok((index, databases.finish()))
    }

    fn add_messages(&mut self, rules: &Rules, databases: &mut Databases) -> Result<(), hyperscan::Error> {
        let mut by_buffer: BTreeMap<Buffer, Vec<_>> = BTreeMap::new();
        for (rule, place) in rules.all.iter().zip(0..) {
            match rule.inspect {
                Inspect::Messages(application) => match rule.pattern(place) {
                    Some((buffer, pattern)) => by_buffer.entry(buffer).or_default().push(pattern),
                    None => self.always[number(application)].push(place),
                },
                Inspect::Detection(Some(application)) => self.detections[number(application)].push(place),
                Inspect::Detection(None) => self.detections.iter_mut().for_each(|rules| rules.push(place)),
                Inspect::FirstPackets => {
                    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_of(rule.rule.protocol)) {
                        self.firsts[kind as usize].push(place);
                    }
                }
                _ => {}
            }
        }
        for (buffer, patterns) in by_buffer {
            self.buffers.insert(buffer, databases.compile(&patterns)?);
        }
        Ok(())
    }

    #[inline]
    pub(in crate::ids) fn packets(&self, kind: Kind) -> &Lane {
        &self.packets[kind as usize]
    }

    #[inline]
    pub(in crate::ids) fn firsts(&self, kind: Kind) -> &[u32] {
        &self.firsts[kind as usize]
    }

    pub(in crate::ids) fn always(&self, application: Application) -> &[u32] {
        &self.always[number(application)]
    }

    pub(in crate::ids) fn detections(&self, application: Application) -> &[u32] {
        &self.detections[number(application)]
    }

    /// Whether anything is to be found in streams.
    pub(in crate::ids) fn looks_into_streams(&self) -> bool {
        !self.streams.is_empty()
    }

    /// Whether any rule is about applications.
    pub(in crate::ids) fn looks_into_messages(&self) -> bool {
        self.applications
    }
}
