//! Names of ports and of links, from files.

use std::collections::HashMap;

/// Bytes of a name.
const LONGEST: usize = 100;

/// Names of ports, as in `/etc/services`: a name, a port and a protocol, separated by `/`; more names are not looked at.
#[derive(Default)]
pub(super) struct Ports {
    names: HashMap<(u8, u16), Box<str>>,
}

impl Ports {
    /// Reads a file's text; other protocols than TCP and UDP are passed over.
    pub(super) fn parse(text: &str) -> (Ports, Vec<(usize, &'static str)>) {
        let (mut ports, mut wrong) = (Ports::default(), Vec::new());
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.split('#').next().unwrap_or_default();
            let mut words = text.split_whitespace();
            let (Some(name), place) = (words.next(), words.next().and_then(|place| place.split_once('/')))
            else {
                continue;
            };
            let Some((port, protocol)) = place else {
                wrong.push((line, "a line is a name, and a port/protocol"));
                continue;
            };
            let protocol = match protocol {
                "tcp" => wire::protocol::ip::TCP,
                "udp" => wire::protocol::ip::UDP,
                _ => continue,
            };
            match port.parse() {
                Ok(_) if name.len() > LONGEST => wrong.push((line, "the name is longer than 100 bytes")),
                Ok(port) => _ = ports.names.entry((protocol, port)).or_insert_with(|| name.into()),
                Err(_) => wrong.push((line, "a port is a number up to 65535")),
            }
        }
        (ports, wrong)
    }

    pub(super) fn name(&self, protocol: u8, port: u16) -> Option<&str> {
        self.names.get(&(protocol, port)).map(|name| &**name)
    }
}

/// Names of links by their MTU: lines of a number and a name in quotation marks, with a comma between.
#[derive(Default)]
pub(super) struct Links {
    names: HashMap<u16, Box<str>>,
}

impl Links {
    /// Reads a file's text.
    pub(super) fn parse(text: &str) -> (Links, Vec<(usize, &'static str)>) {
        let (mut links, mut wrong) = (Links::default(), Vec::new());
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let parsed = text.split_once(',').and_then(|(mtu, name)| {
                let name = name.trim().strip_prefix('"')?.strip_suffix('"')?;
                Some((mtu.trim().parse().ok()?, Some(name).filter(|name| name.len() <= LONGEST)?))
            });
            match parsed {
                Some((mtu, name)) => _ = links.names.entry(mtu).or_insert_with(|| name.into()),
                None => wrong.push((line, "a line is an MTU, a comma and a name in quotation marks")),
            }
        }
        (links, wrong)
    }

    /// The name of a link, or its MTU for want of one.
    pub(super) fn name(&self, mtu: u16) -> String {
        self.names.get(&mtu).map_or_else(|| format!("unknown-{mtu}"), |name| name.to_string())
    }
}
