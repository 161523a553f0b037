//! What a rule is called: `msg`, `sid`, `rev`, `classtype` and so on; and the checks at its end.

use super::{Builder, Opt, Span, text, variables};
use crate::{
    buffer::{Application, Buffer, Side},
    packet::PacketTest,
    refusal::{Kind, Refusal},
    rule::{FlowDirection, Protocol, Rule, Target},
};

impl Builder<'_> {
    /// Takes the option if it describes the rule.
    pub(super) fn meta(&mut self, option: Opt<'_>) -> Result<bool, Refusal> {
        let meta = &mut self.rule.meta;
        let number = |most: u64| option.need()?.unquoted().trim().number(option.name, most);
        match option.name {
            "msg" => meta.message = text(&unescape(option.need()?.unquoted().bytes)),
            "sid" => {
                meta.sid = match u32::try_from(number(u32::MAX.into())?) {
                    Ok(sid) if sid > 0 => sid,
                    _ => return Err(option.bad("must be at least 1")),
                };
                self.sid = true;
            }
            "rev" => meta.rev = u32::try_from(number(u32::MAX.into())?).unwrap_or(0),
            "gid" => meta.gid = u32::try_from(number(u32::MAX.into())?).unwrap_or(1),
            "priority" => match number(255)? {
                0 => return Err(option.bad("must be 1 to 255")),
                priority => self.priority = u8::try_from(priority).ok(),
            },
            "classtype" => {
                let name = option.need()?.text();
                // A class that nobody knows gives the default priority, as in Suricata.
                if let Some((class, priority)) = self.classes.get(name.trim()) {
                    meta.class = Some(class.clone());
                    self.class_priority = Some(priority);
                }
            }
            "reference" => {
                let Some((kind, identifier)) = option.need()?.cut(b',') else {
                    return Err(option.bad("needs a kind and an identifier, with a comma between them"));
                };
                meta.references.push((text(kind.bytes), text(&unescape(identifier.bytes))));
            }
            "metadata" => {
                for pair in option.value.into_iter().flat_map(Span::list).filter(|pair| !pair.is_empty()) {
                    let (key, value) = pair.cut(b' ').unwrap_or((pair, pair.skip(pair.bytes.len())));
                    meta.metadata.push((text(key.bytes), text(value.bytes)));
                }
            }
            "target" => match option.need()?.bytes {
                b"src_ip" => meta.target = Some(Target::Source),
                b"dest_ip" => meta.target = Some(Target::Destination),
                _ => return Err(option.bad("is src_ip or dest_ip")),
            },
            "noalert" => {
                option.bare()?;
                self.rule.noalert = true;
            }
            // Speed only: which test is tried first.
            "prefilter" => option.bare()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The rule, if its parts go together.
    pub(super) fn finish(mut self, span: Span<'_>) -> Result<Rule, Refusal> {
        let conflict = |keyword: &str, message: String| Err(span.refuse(keyword, Kind::Conflict, message));
        if !self.sid {
            return Err(span.refuse("sid", Kind::Syntax, "every rule needs one"));
        }
        if let Some(sticky) =
            self.sticky.as_ref().filter(|sticky| sticky.unused && sticky.buffer != Buffer::Payload)
        {
            return conflict(sticky.buffer.name(), "nothing looks into it".to_owned());
        }
        self.rule.meta.priority = self.priority.or(self.class_priority).unwrap_or(3);
        let mut rule = self.rule;
        if let Err(name) = variables::renumber(&mut rule) {
            return conflict(
                "rule",
                format!("uses the variable \"{name}\" before the buffer that it is read from"),
            );
        }
        let mut applications = rule.buffers.iter().filter_map(|group| group.buffer.application());
        let application = applications.next().or((!rule.dns.is_empty()).then_some(Application::Dns));
        if applications.any(|other| Some(other) != application)
            || (!rule.dns.is_empty() && application != Some(Application::Dns))
        {
            return conflict("rule", "looks into buffers of several applications".to_owned());
        }
        if let Some(application) = application {
            let fits = match rule.protocol {
                Protocol::Application(of_rule) => of_rule == application,
                Protocol::Udp => application == Application::Dns,
                Protocol::Ip | Protocol::Ipv4 | Protocol::Ipv6 | Protocol::Tcp => true,
                _ => false,
            };
            if !fits {
                return conflict("protocol", format!("has no buffers of {application:?}"));
            }
            if rule.packet.iter().any(|test| matches!(test, PacketTest::Dsize(_))) {
                return conflict(
                    "dsize",
                    "is of packets, and does not go with buffers of applications".to_owned(),
                );
            }
            if rule.buffers.iter().any(|group| group.buffer.is_packet_header()) {
                return conflict(
                    "rule",
                    "looks into headers of packets and into buffers of an application".to_owned(),
                );
            }
        }
        let sides = |wanted: Side| rule.buffers.iter().find(|group| group.buffer.side() == wanted);
        let (requests, responses) = (sides(Side::ToServer), sides(Side::ToClient));
        match (requests, responses, rule.flow.direction) {
            (Some(request), Some(response), _) => conflict(
                response.buffer.name(),
                format!("is of the other direction than {}", request.buffer.name()),
            ),
            (Some(request), _, Some(FlowDirection::ToClient)) => {
                conflict(request.buffer.name(), "is never sent to the client".to_owned())
            }
            (_, Some(response), Some(FlowDirection::ToServer)) => {
                conflict(response.buffer.name(), "is never sent to the server".to_owned())
            }
            _ => Ok(rule),
        }
    }
}

/// Text without the backslashes before `;`, `"`, `:` and `\`.
pub(super) fn unescape(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        match (byte, rest.peek()) {
            (b'\\', Some(&next @ (b';' | b'"' | b'\\' | b':'))) => {
                out.push(next);
                rest.next();
            }
            _ => out.push(byte),
        }
    }
    out
}
