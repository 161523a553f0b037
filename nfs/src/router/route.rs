//! One route: where packets to a prefix go, and how that is written.

use super::interface::{Hop, Interface, is_link_local};
use std::fmt;
use std::net::IpAddr;
use wire::Prefix;

/// Most gateways of one route.
pub(super) const MOST_WAYS: usize = 64;

/// Where packets go.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Route {
    /// To one of these gateways, by the flow's hash.
    Via(Vec<Hop>),
    /// To whom they are for, who is on an interface's network.
    Link(u16),
    /// To the router itself, by this interface's address.
    Own(u16),
    /// Nowhere, and nobody is told.
    Discard,
    /// Nowhere, and the sender is told.
    Unreachable,
}

/// Why a set of routes cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum RouteError {
    #[error("more than {0} different gateways and groups of them")]
    TooManyWays(usize),
    #[error("{0}")]
    Bad(String),
}

/// `PREFIX via ADDRESS [dev PORT] [via ...]`, `PREFIX dev PORT`, `PREFIX discard`, `PREFIX unreachable`.
pub(super) fn parse_route(text: &str, interfaces: &[Interface]) -> Result<(Prefix, Route), String> {
    let mut words = text.split_whitespace().peekable();
    let written = words.next().ok_or("no prefix")?;
    let prefix: Prefix = match written {
        "default" => "0.0.0.0/0".parse(),
        written => written.parse(),
    }
    .map_err(|error| format!("{written}: {error}"))?;
    let named = |name: Option<&str>| {
        let name = name.unwrap_or_default();
        let place = interfaces.iter().position(|interface| interface.name == name);
        place.map(|place| place as u16).ok_or_else(|| format!("there is no interface '{name}'"))
    };
    let mut hops = Vec::new();
    while let Some(word) = words.next() {
        let done = hops.is_empty() && words.peek().is_none();
        match word {
            "discard" if done => return Ok((prefix, Route::Discard)),
            "unreachable" if done => return Ok((prefix, Route::Unreachable)),
            "dev" if hops.is_empty() => {
                let interface = named(words.next())?;
                return match words.next() {
                    None => Ok((prefix, Route::Link(interface))),
                    Some(more) => Err(format!("'{more}' after the interface; write via ADDRESS dev PORT")),
                };
            }
            "via" => {
                let written = words.next().unwrap_or_default();
                let address: IpAddr =
                    written.parse().map_err(|_| format!("'{written}' is no gateway's address"))?;
                let interface = if words.next_if_eq(&"dev").is_some() {
                    named(words.next())?
                } else {
                    gateway(address, interfaces)?
                };
                if address.is_ipv4() != matches!(prefix, Prefix::V4(_)) {
                    return Err(format!("gateway {address} is of another IP version than {prefix}"));
                }
                if interfaces.iter().any(|interface| interface.has(address)) {
                    return Err(format!("gateway {address} is the router itself"));
                }
                hops.push(Hop { interface, address });
            }
            _ => return Err(format!("'{word}': expected via ADDRESS, dev PORT, discard or unreachable")),
        }
    }
    match hops.len() {
        0 => Err("no way: expected via ADDRESS, dev PORT, discard or unreachable".to_owned()),
        1..=MOST_WAYS => Ok((prefix, Route::Via(hops))),
        more => Err(format!("{more} gateways are more than {MOST_WAYS}")),
    }
}

fn gateway(address: IpAddr, interfaces: &[Interface]) -> Result<u16, String> {
    if is_link_local(address) {
        return Err(format!("gateway {address} is link-local: add dev PORT"));
    }
    let place = interfaces.iter().position(|interface| interface.reaches(address));
    place.map(|place| place as u16).ok_or_else(|| {
        format!(
            "gateway {address} is in the network of no interface: add dev PORT if it is there all the same"
        )
    })
}

/// A route as it is written, with the names of its interfaces.
pub(super) struct Written<'a>(pub &'a Route, pub &'a [Interface]);

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Written(route, interfaces) = self;
        let name = |index: &u16| interfaces.get(usize::from(*index)).map_or("?", |i| i.name.as_str());
        match route {
            Route::Via(hops) => {
                for (i, hop) in hops.iter().enumerate() {
                    let space = if i == 0 { "" } else { " " };
                    write!(f, "{space}via {} dev {}", hop.address, name(&hop.interface))?;
                }
                Ok(())
            }
            Route::Link(interface) => write!(f, "dev {}", name(interface)),
            Route::Own(interface) => write!(f, "own address of {}", name(interface)),
            Route::Discard => f.write_str("discard"),
            Route::Unreachable => f.write_str("unreachable"),
        }
    }
}
