//! Packets in words: the language is described in `language.md`.

#[cfg(test)]
mod tests;

use std::str::FromStr;
use wire::Mac;
use wire::builder::Builder;
use wire::tcp::flags;

/// What a description gets wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LanguageError(String);

type Result<T> = std::result::Result<T, LanguageError>;

/// The bytes of the frame that `text` describes; the language is in the docs of [`crate`].
///
/// # Errors
/// Which word is not understood.
pub fn packet(text: &str) -> Result<Vec<u8>> {
    let mut builder = Builder::default();
    for layer in layers(text)? {
        let mut words = Words { words: layer.split_whitespace().collect(), layer: &layer };
        builder = match layer.strip_prefix('"') {
            Some(quoted) => match quoted.strip_suffix('"') {
                Some(inner) => builder.payload(inner.as_bytes()),
                None => return Err(words.error("a text that does not end with a quote")),
            },
            None => add(builder, &mut words)?,
        };
        if !layer.starts_with('"') {
            words.end()?;
        }
    }
    Ok(builder.build())
}

/// The text between slashes that are not in quotes.
fn layers(text: &str) -> Result<Vec<String>> {
    let (mut layers, mut quoted) = (vec![String::new()], false);
    for letter in text.trim().chars() {
        quoted ^= letter == '"';
        match (letter, quoted) {
            ('/', false) => layers.push(String::new()),
            (letter, _) => layers.iter_mut().next_back().into_iter().for_each(|layer| layer.push(letter)),
        }
    }
    let layers: Vec<String> = layers.iter().map(|layer| layer.trim().to_owned()).collect();
    match layers.iter().any(String::is_empty) {
        true => Err(LanguageError(format!("an empty layer in '{text}'"))),
        false => Ok(layers),
    }
}

fn add(builder: Builder, words: &mut Words<'_>) -> Result<Builder> {
    let name = words.next("a layer")?;
    match name {
        "eth" => ethernet(builder, words),
        "vlan" | "qinq" => {
            let id: u16 = words.number()?;
            let priority = if words.skip("prio") { words.number::<u16>()? } else { 0 };
            let kind = if name == "vlan" { 0x8100 } else { 0x88a8 };
            Ok(builder.tag(kind, (priority & 7) << 13 | id & 0x0fff))
        }
        "arp" => arp(builder, words),
        "mpls" => {
            let label = words.number()?;
            let ttl = if words.skip("ttl") { words.number()? } else { 64 };
            Ok(builder.mpls(label, ttl))
        }
        "pppoe" => Ok(builder.pppoe(words.number()?)),
        "ipv4" | "ipv6" => ip(builder, name, words),
        "hop-by-hop" => Ok(builder.hop_by_hop()),
        "destination" => Ok(builder.destination_options()),
        "fragment" => fragment(builder, words),
        "ah" => Ok(builder.authentication(words.number()?, 1)),
        "tcp" => tcp(builder, words),
        "udp" => udp(builder, words),
        "sctp" => {
            let (source, destination) = words.pair()?;
            let tag = if words.skip("tag") { words.number()? } else { 0 };
            Ok(bad(builder.sctp(source, destination, tag), words))
        }
        "icmp" => {
            let (kind, code) = (words.number()?, words.number()?);
            let rest = if words.skip("rest") { words.number()? } else { 0 };
            Ok(bad(builder.icmp(kind, code, rest), words))
        }
        "echo-request" => Ok(bad(builder.echo_request(words.number()?, words.number()?), words)),
        "echo-reply" => Ok(bad(builder.echo_reply(words.number()?, words.number()?), words)),
        "vxlan" => {
            let vni = words.number()?;
            let sport = if words.skip("sport") { words.number()? } else { 49152 };
            Ok(builder.vxlan(sport, vni))
        }
        "hex" => Ok(builder.payload(&words.bytes()?)),
        "count" => Ok(builder.payload_len(words.number()?)),
        "pad" => Ok(builder.pad_to(words.number()?)),
        other => Err(words.error(&format!("'{other}' is no layer"))),
    }
}

fn bad(builder: Builder, words: &mut Words<'_>) -> Builder {
    if words.skip("bad") { builder.bad_checksum() } else { builder }
}

fn ethernet(builder: Builder, words: &mut Words<'_>) -> Result<Builder> {
    let (source, destination): (Mac, Mac) = words.pair()?;
    let builder = builder.inner_ethernet(source, destination);
    Ok(if words.skip("type") { builder.ether_type(words.number()?) } else { builder })
}

fn arp(builder: Builder, words: &mut Words<'_>) -> Result<Builder> {
    let operation = words.next("request or reply")?;
    let sender = (words.parse()?, words.parse()?);
    words.expect(">")?;
    match operation {
        "request" => Ok(builder.arp(1, sender, (Mac([0; 6]), words.parse()?))),
        "reply" => Ok(builder.arp(2, sender, (words.parse()?, words.parse()?))),
        other => Err(words.error(&format!("'{other}' is neither request nor reply"))),
    }
}

fn ip(builder: Builder, version: &str, words: &mut Words<'_>) -> Result<Builder> {
    let mut builder = if version == "ipv4" {
        let (source, destination): (std::net::Ipv4Addr, std::net::Ipv4Addr) = words.pair()?;
        builder.ipv4(source, destination)
    } else {
        let (source, destination): (std::net::Ipv6Addr, std::net::Ipv6Addr) = words.pair()?;
        builder.ipv6(source, destination)
    };
    let (mut offset, mut more, mut bad) = (0, false, false);
    while let Some(word) = words.maybe() {
        builder = match (word, version) {
            ("ttl", "ipv4") | ("hop", "ipv6") => builder.ttl(words.number()?),
            ("dscp", _) => builder.dscp(words.number()?),
            ("ecn", _) => builder.ecn(words.number()?),
            ("proto", _) => builder.protocol(words.number()?),
            ("length", _) => builder.raw_ip_length(words.number()?),
            ("first", _) => builder.raw_ip_first_byte(words.number()?),
            ("flow", "ipv6") => builder.flow_label(words.number()?),
            ("id", "ipv4") => builder.id(words.number()?),
            ("df", "ipv4") => builder.dont_fragment(),
            ("options", "ipv4") => builder.ip_options(&words.bytes()?),
            ("offset", "ipv4") => {
                offset = words.number()?;
                builder
            }
            ("mf", "ipv4") => {
                more = true;
                builder
            }
            ("bad", "ipv4") => {
                bad = true;
                builder
            }
            (other, _) => return Err(words.error(&format!("'{other}' is not of {version}"))),
        };
    }
    if offset != 0 || more {
        builder = builder.fragment(offset, more);
    }
    Ok(if bad { builder.bad_checksum() } else { builder })
}

fn fragment(builder: Builder, words: &mut Words<'_>) -> Result<Builder> {
    let id = words.number()?;
    let offset = if words.skip("offset") { words.number()? } else { 0 };
    Ok(builder.ipv6_fragment(offset, words.skip("mf"), id))
}

fn tcp(builder: Builder, words: &mut Words<'_>) -> Result<Builder> {
    let (source, destination) = words.pair()?;
    let mut builder = builder.tcp(source, destination);
    let (mut set, mut bad) = (0, false);
    while let Some(word) = words.maybe() {
        let acknowledged =
            words.words.first().is_some_and(|next| next.starts_with(|c: char| c.is_ascii_digit()));
        builder = match word {
            "ack" if acknowledged => {
                set |= flags::ACK;
                builder.ack(words.number()?)
            }
            "seq" => builder.seq(words.number()?),
            "win" => builder.window(words.number()?),
            "options" => builder.tcp_options(&words.bytes()?),
            "words" => builder.raw_data_offset(words.number()?),
            flag => {
                match flag {
                    "syn" => set |= flags::SYN,
                    "ack" => set |= flags::ACK,
                    "fin" => set |= flags::FIN,
                    "rst" => set |= flags::RST,
                    "psh" => set |= flags::PSH,
                    "urg" => set |= flags::URG,
                    "bad" => bad = true,
                    other => return Err(words.error(&format!("'{other}' is not of tcp"))),
                }
                builder
            }
        };
    }
    builder = builder.flags(set);
    Ok(if bad { builder.bad_checksum() } else { builder })
}

fn udp(builder: Builder, words: &mut Words<'_>) -> Result<Builder> {
    let (source, destination) = words.pair()?;
    let mut builder = builder.udp(source, destination);
    if words.skip("length") {
        builder = builder.raw_udp_length(words.number()?);
    }
    if words.skip("nochecksum") {
        builder = builder.no_udp_checksum();
    }
    Ok(bad(builder, words))
}

/// The words of one layer that are still to be read.
struct Words<'a> {
    words: Vec<&'a str>,
    layer: &'a str,
}

impl<'a> Words<'a> {
    fn maybe(&mut self) -> Option<&'a str> {
        (!self.words.is_empty()).then(|| self.words.remove(0))
    }

    fn next(&mut self, wanted: &str) -> Result<&'a str> {
        self.maybe().ok_or_else(|| self.error(&format!("{wanted} is missing")))
    }

    fn skip(&mut self, word: &str) -> bool {
        let there = self.words.first() == Some(&word);
        if there {
            self.words.remove(0);
        }
        there
    }

    fn expect(&mut self, word: &str) -> Result<()> {
        if self.skip(word) { Ok(()) } else { Err(self.error(&format!("'{word}' is missing"))) }
    }

    fn parse<T: FromStr>(&mut self) -> Result<T> {
        let word = self.next("a value")?;
        word.parse().map_err(|_| self.error(&format!("'{word}' does not fit here")))
    }

    /// `A > B`.
    fn pair<T: FromStr>(&mut self) -> Result<(T, T)> {
        let first = self.parse()?;
        self.expect(">")?;
        Ok((first, self.parse()?))
    }

    /// A number, decimal or 0x….
    fn number<T: TryFrom<u64>>(&mut self) -> Result<T> {
        let word = self.next("a number")?;
        let number = match word.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None => word.parse().ok(),
        };
        let number = number.and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| self.error(&format!("'{word}' is no number that fits here")))
    }

    /// All following words of hex digits.
    fn bytes(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while let Some(word) = self.words.first() {
            match hex(word) {
                Some(more) => bytes.extend(more),
                None => break,
            }
            self.words.remove(0);
        }
        if bytes.is_empty() { Err(self.error("bytes in hex are missing")) } else { Ok(bytes) }
    }

    fn end(&self) -> Result<()> {
        match self.words.first() {
            Some(word) => Err(self.error(&format!("'{word}' is not expected"))),
            None => Ok(()),
        }
    }

    fn error(&self, what: &str) -> LanguageError {
        LanguageError(format!("{what}, in '{}'", self.layer))
    }
}

fn hex(word: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        word.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits?;
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
