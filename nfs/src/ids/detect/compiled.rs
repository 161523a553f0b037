//! Rules, ready to be looked for: in the order in which they are evaluated, with names turned into numbers.

use super::patterns::Pattern;
use super::payload::Group;
use super::regexes::{Expression, Regexes};
use ids_rules::bits::{BitOwner, Names, Resolved};
use ids_rules::buffer::Buffer;
use ids_rules::inspect::Inspect;
use ids_rules::packet::PacketTest;
use ids_rules::payload::{Content, FastPattern, Test};
use ids_rules::rule::{Protocol, Rule, StreamOnly};
use ids_rules::threshold::Track;

/// A rule, ready.
pub(in crate::ids) struct Compiled {
    pub rule: Rule,
    pub inspect: Inspect,
    /// Groups of tests on bytes.
    pub groups: Vec<Group>,
    pub bits: Vec<Resolved>,
    /// What it does to a packet it does to the rest of the flow.
    pub lasting: Lasting,
}

/// Whether a rule that passes or drops does so with the rest of the flow (Suricata's flow action of a rule's type).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::ids) enum Lasting {
    No,
    /// Where it matched a stream.
    Stream,
    Yes,
}

/// All rules.
pub(in crate::ids) struct Rules {
    pub all: Vec<Compiled>,
    pub regexes: Box<[Expression]>,
    pub names: Names,
}

impl Rules {
    /// Of rules in the order in which they are to be evaluated.
    ///
    /// # Errors
    /// Why a rule cannot be used.
    pub(in crate::ids) fn compile(rules: Vec<Rule>) -> Result<Rules, String> {
        let (mut regexes, names) = (Regexes::default(), Names::of(&rules));
        let mut all = Vec::with_capacity(rules.len());
        for rule in rules {
            let sid = rule.meta.sid;
            let groups = rule.buffers.iter().map(|tests| Group::of(tests, &mut regexes));
            let groups = groups
                .collect::<Result<_, _>>()
                .map_err(|error| format!("sid {sid}: an expression of pcre: {error}"))?;
            let bits = rule.bits.iter().map(|test| names.resolve(test));
            let bits =
                bits.collect::<Option<_>>().ok_or_else(|| format!("sid {sid}: too many names of bits"))?;
            let inspect = rule.inspect();
            all.push(Compiled { inspect, groups, bits, lasting: lasting(inspect), rule });
        }
        Ok(Rules { all, regexes: regexes.finish(), names })
    }
}

fn lasting(inspect: Inspect) -> Lasting {
    match inspect {
        Inspect::Packets => Lasting::No,
        Inspect::Stream | Inspect::PacketsAndStream => Lasting::Stream,
        Inspect::FirstPackets | Inspect::Detection(_) | Inspect::Messages(_) => Lasting::Yes,
    }
}

impl Compiled {
    /// Whether it is about nothing but reassembled bytes: not even about a packet that no stream took.
    pub(in crate::ids) fn is_of_streams_only(&self) -> bool {
        self.rule.protocol == Protocol::TcpStream || self.rule.flow.stream == Some(StreamOnly::Only)
    }

    /// Whether it asks for what only a flow has.
    pub(in crate::ids) fn needs_flows(&self) -> bool {
        let rule = &self.rule;
        let tracks = |track: Option<Track>| track == Some(Track::Flow);
        rule.flow.direction.is_some()
            || rule.flow.state.is_some()
            || matches!(self.inspect, Inspect::FirstPackets | Inspect::Detection(_) | Inspect::Messages(_))
            || matches!(rule.protocol, Protocol::Application(_))
            || !rule.application.is_empty()
            || rule.bits.iter().any(|bit| bit.owner == BitOwner::Flow)
            || tracks(rule.threshold.as_ref().map(|threshold| threshold.track))
            || tracks(rule.detection_filter.as_ref().map(|filter| filter.track))
            || rule.packet.iter().any(|test| {
                use PacketTest::{FlowAge, FlowBytes, FlowPackets, StreamSize};
                matches!(test, StreamSize(_) | FlowAge(_) | FlowPackets(_) | FlowBytes(_))
            })
    }

    /// The content by which the rule is found, and the buffer in which that is: the one that the rule names, else the
    /// longest of an application's buffer, else the longest. `None`: it has to be evaluated always.
    pub(in crate::ids) fn pattern(&self, place: u32) -> Option<(Buffer, Pattern)> {
        let messages = matches!(self.inspect, Inspect::Messages(_));
        let usable = |group: &&Group| {
            let buffer = group.tests.buffer;
            group.tests.transforms.is_empty()
                && if messages { buffer.application().is_some() } else { buffer == Buffer::Payload }
        };
        let contents = self.groups.iter().filter(usable).flat_map(|group| {
            group.tests.tests.iter().filter_map(move |test| match test {
                Test::Content(content) if !content.negated => Some((group.tests.buffer, content)),
                _ => None,
            })
        });
        let (buffer, content) =
            contents.max_by_key(|(_, content)| (content.fast_pattern.is_some(), content.pattern.len()))?;
        // The position of the part that is chopped out does not matter: all of the content is compared later.
        Some((buffer, Pattern { rule: place, bytes: chopped(content).into(), nocase: content.nocase }))
    }
}

fn chopped(content: &Content) -> &[u8] {
    let whole = &*content.pattern;
    match content.fast_pattern {
        Some(FastPattern::Chop { offset, length }) => {
            let (from, length) = (usize::from(offset), usize::from(length));
            whole.get(from..from + length).filter(|part| !part.is_empty()).unwrap_or(whole)
        }
        _ => whole,
    }
}
