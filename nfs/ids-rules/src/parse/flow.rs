//! What a rule demands of, and does with, more than one packet: `flow`, bits, rates.

use super::{Builder, Opt, Span, is_name, text};
use crate::{
    bits::{BitCommand, BitOwner, BitTest},
    buffer::Application,
    refusal::{Kind, Refusal},
    rule::{ApplicationTest, FlowDirection, FlowState, Fragments, StreamOnly},
    threshold::{Filter, Threshold, ThresholdKind, Track},
};

/// Seconds that a bit of a host lives by default.
const HOSTBITS_EXPIRE: u32 = 300;
/// Seconds that an `xbits` lives by default.
const XBITS_EXPIRE: u32 = 30;

impl Builder<'_> {
    /// Takes the option if it is about flows, hosts or rates.
    pub(super) fn flow(&mut self, option: Opt<'_>) -> Result<bool, Refusal> {
        match option.name {
            "flow" => self.flow_test(option)?,
            "flowbits" => self.flowbits(option)?,
            "hostbits" => self.hostbits(option)?,
            "xbits" => self.xbits(option)?,
            "threshold" => {
                if self.rule.threshold.is_some() || self.rule.detection_filter.is_some() {
                    return Err(option.conflict("a rule has one threshold or one detection_filter"));
                }
                self.rule.threshold = Some(threshold(option)?);
            }
            "detection_filter" => {
                if self.rule.threshold.is_some() || self.rule.detection_filter.is_some() {
                    return Err(option.conflict("a rule has one threshold or one detection_filter"));
                }
                let rate = Rate::read(option)?;
                if rate.kind.is_some() || rate.multiplier.is_some() {
                    return Err(option.bad("has neither type nor multiplier"));
                }
                let seconds = rate.seconds.ok_or_else(|| option.bad("needs seconds"))?;
                self.rule.detection_filter = Some(Filter { track: rate.track, count: rate.count, seconds });
            }
            "app-layer-protocol" => {
                let value = option.need()?;
                let (name, negated) = match value.strip(b"!") {
                    Some(rest) => (rest, true),
                    None => (value, false),
                };
                let application = match name.bytes {
                    b"http" | b"http1" => Some(Application::Http),
                    b"tls" | b"ssl" => Some(Application::Tls),
                    b"dns" => Some(Application::Dns),
                    b"unknown" => None,
                    _ => return Err(option.unsupported(format!("\"{}\" is not in the subset", name.text()))),
                };
                self.rule.application.push(ApplicationTest { application, negated });
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn flow_test(&mut self, option: Opt<'_>) -> Result<(), Refusal> {
        let flow = &mut self.rule.flow;
        let mut stateless = false;
        for word in option.need()?.list() {
            fn once<T: PartialEq>(field: &mut Option<T>, value: T) -> bool {
                field.replace(value).is_none()
            }
            let lower = word.text().to_ascii_lowercase();
            let fresh = match lower.as_str() {
                "to_server" | "from_client" => once(&mut flow.direction, FlowDirection::ToServer),
                "to_client" | "from_server" => once(&mut flow.direction, FlowDirection::ToClient),
                "established" => !stateless && once(&mut flow.state, FlowState::Established),
                "not_established" => !stateless && once(&mut flow.state, FlowState::NotEstablished),
                "stateless" => flow.state.is_none() && !std::mem::replace(&mut stateless, true),
                "only_stream" => once(&mut flow.stream, StreamOnly::Only),
                "no_stream" => once(&mut flow.stream, StreamOnly::No),
                "only_frag" => once(&mut flow.fragments, Fragments::Only),
                "no_frag" => once(&mut flow.fragments, Fragments::No),
                _ => return Err(word.bad(option.name, format!("\"{lower}\" is no word of it"))),
            };
            if !fresh {
                return Err(word.refuse(
                    option.name,
                    Kind::Conflict,
                    format!("\"{lower}\" contradicts or repeats a word before it"),
                ));
            }
        }
        Ok(())
    }

    fn flowbits(&mut self, option: Opt<'_>) -> Result<(), Refusal> {
        let value = option.need()?;
        if value.bytes == b"noalert" {
            self.rule.noalert = true;
            return Ok(());
        }
        let Some((command, names)) = value.cut(b',') else {
            return Err(option.bad("needs a command and a name, or noalert"));
        };
        let command = command_of(option, command)?;
        let names = names.split(|byte| byte == b'|').collect::<Vec<_>>();
        if names.len() > 1 && !command.is_demand() {
            return Err(option.bad("several names go with isset and isnotset only"));
        }
        self.bit(option, BitOwner::Flow, command, &names, None)
    }

    fn hostbits(&mut self, option: Opt<'_>) -> Result<(), Refusal> {
        let value = option.need()?;
        if value.bytes == b"noalert" {
            self.rule.noalert = true;
            return Ok(());
        }
        let parts: Vec<Span<'_>> = value.list().collect();
        let [command, name, ..] = parts[..] else {
            return Err(option.bad("needs a command and a name, or noalert"));
        };
        let owner = match parts.get(2).map(|span| span.bytes) {
            None | Some(b"src") => BitOwner::Source,
            Some(b"dst") => BitOwner::Destination,
            Some(b"both") => return Err(option.unsupported("both is not in the subset")),
            Some(_) => return Err(option.bad("the side is src or dst")),
        };
        let expire = match parts.get(3) {
            Some(span) => span.number(option.name, u32::MAX.into())? as u32,
            None => HOSTBITS_EXPIRE,
        };
        if parts.len() > 4 || expire == 0 {
            return Err(option.bad("has at most a command, a name, a side and seconds of at least 1"));
        }
        self.bit(option, owner, command_of(option, command)?, &[name], Some(expire))
    }

    fn xbits(&mut self, option: Opt<'_>) -> Result<(), Refusal> {
        let value = option.need()?;
        if value.bytes == b"noalert" {
            self.rule.noalert = true;
            return Ok(());
        }
        let parts: Vec<Span<'_>> = value.list().collect();
        let [command, name, track, ref rest @ ..] = parts[..] else {
            return Err(option.bad("needs a command, a name and track, or noalert"));
        };
        let owner =
            match track.cut(b' ').filter(|(word, _)| word.bytes == b"track").map(|(_, whose)| whose.bytes) {
                Some(b"ip_src") => BitOwner::Source,
                Some(b"ip_dst") => BitOwner::Destination,
                Some(b"ip_pair") => BitOwner::Pair,
                Some(b"tx") => return Err(option.unsupported("track tx is not in the subset")),
                _ => return Err(track.bad(option.name, "track is ip_src, ip_dst or ip_pair")),
            };
        let command = command_of(option, command)?;
        let expire = match rest {
            [] => XBITS_EXPIRE,
            [expire] => match expire.cut(b' ').filter(|(word, _)| word.bytes == b"expire") {
                Some((_, seconds)) => seconds.number(option.name, u32::MAX.into())? as u32,
                None => return Err(expire.bad(option.name, "expected expire and seconds")),
            },
            _ => return Err(option.bad("has too many parts")),
        };
        if expire == 0 {
            return Err(option.bad("expire is at least 1"));
        }
        self.bit(option, owner, command, &[name], Some(expire))
    }

    fn bit(
        &mut self,
        option: Opt<'_>,
        owner: BitOwner,
        command: BitCommand,
        names: &[Span<'_>],
        expire: Option<u32>,
    ) -> Result<(), Refusal> {
        for name in names {
            if !is_name(name.bytes) {
                return Err(name.bad(option.name, format!("\"{}\" is no name", name.text())));
            }
        }
        let names = names.iter().map(|name| text(name.bytes)).collect();
        self.rule.bits.push(BitTest { owner, command, names, expire });
        Ok(())
    }
}

fn command_of(option: Opt<'_>, span: Span<'_>) -> Result<BitCommand, Refusal> {
    Ok(match span.bytes {
        b"set" => BitCommand::Set,
        b"unset" => BitCommand::Unset,
        b"toggle" => BitCommand::Toggle,
        b"isset" => BitCommand::IsSet,
        b"isnotset" => BitCommand::IsNotSet,
        _ => return Err(span.bad(option.name, "the command is set, unset, toggle, isset or isnotset")),
    })
}

/// What `threshold` and `detection_filter` have in common.
struct Rate {
    kind: Option<String>,
    track: Track,
    count: u32,
    seconds: Option<u32>,
    multiplier: Option<u32>,
}

impl Rate {
    fn read(option: Opt<'_>) -> Result<Self, Refusal> {
        let (mut kind, mut track, mut count, mut seconds, mut multiplier) = (None, None, None, None, None);
        for part in option.need()?.list() {
            let (word, value) =
                part.cut(b' ').ok_or_else(|| part.bad(option.name, "needs a word and a value"))?;
            let number = || match value.number(option.name, u32::MAX.into())? {
                0 => Err(value.bad(option.name, format!("{} is at least 1", word.text()))),
                number => Ok(number as u32),
            };
            let twice = match word.bytes {
                b"type" => kind.replace(value.text().into_owned()).is_some(),
                b"track" => {
                    let whose = match value.bytes {
                        b"by_src" => Track::Source,
                        b"by_dst" => Track::Destination,
                        b"by_both" => Track::Both,
                        b"by_rule" => Track::Rule,
                        b"by_flow" => Track::Flow,
                        _ => {
                            let message = "track is by_src, by_dst, by_both, by_rule or by_flow";
                            return Err(value.bad(option.name, message));
                        }
                    };
                    track.replace(whose).is_some()
                }
                b"count" => count.replace(number()?).is_some(),
                b"seconds" => seconds.replace(number()?).is_some(),
                b"multiplier" => multiplier.replace(number()?).is_some(),
                b"unique_on" => return Err(option.unsupported("unique_on is not in the subset")),
                _ => return Err(part.bad(option.name, format!("\"{}\" is no word of it", word.text()))),
            };
            if twice {
                return Err(part.bad(option.name, format!("{} is given twice", word.text())));
            }
        }
        let (Some(track), Some(count)) = (track, count) else {
            return Err(option.bad("needs track and count"));
        };
        Ok(Self { kind, track, count, seconds, multiplier })
    }
}

fn threshold(option: Opt<'_>) -> Result<Threshold, Refusal> {
    let rate = Rate::read(option)?;
    let kind = match rate.kind.as_deref() {
        Some("limit") => ThresholdKind::Limit,
        Some("threshold") => ThresholdKind::Every,
        Some("both") => ThresholdKind::Both,
        Some("backoff") => match rate.multiplier {
            Some(multiplier @ 2..) if rate.track == Track::Flow && rate.seconds.is_none() => {
                ThresholdKind::Backoff { multiplier }
            }
            _ => {
                return Err(
                    option.bad("backoff needs track by_flow and a multiplier of at least 2, and no seconds")
                );
            }
        },
        _ => return Err(option.bad("needs type limit, threshold, both or backoff")),
    };
    let seconds = match (kind, rate.seconds) {
        (ThresholdKind::Backoff { .. }, _) => 0,
        (_, Some(seconds)) if rate.multiplier.is_none() => seconds,
        _ => return Err(option.bad("needs seconds, and multiplier with backoff only")),
    };
    Ok(Threshold { kind, track: rate.track, count: rate.count, seconds })
}
