//! Network functions: one folder each, one line each in [`registry`].
#![forbid(unsafe_code)]

pub mod conntrack;
pub mod external;
pub mod firewall;
mod flow_key;
mod fragments;
#[cfg(feature = "ids")]
pub mod ids;
pub mod ipip;
pub mod l2fwd;
pub mod lb;
pub mod mac_swap;
pub mod monitor;
pub mod mpls;
pub mod nat;
pub mod nat64;
pub mod netem;
pub mod nptv6;
mod outlet;
mod rate;
mod roster;
pub mod router;
#[cfg(feature = "vpn")]
mod secret;
pub mod shaper;
pub mod smart;
mod span;
pub mod static_nat;
mod teller;
mod tunnel;
pub mod vlan;
#[cfg(feature = "vpn")]
pub mod vpn;
pub mod vxlan;
#[cfg(feature = "vpn")]
pub mod wireguard;

pub use rate::Rate;
#[cfg(feature = "vpn")]
pub use secret::Secret;
pub use span::Span;

use engine::{CommandError, Registry};
use serde::Deserialize;
use serde_json::Value;

/// Every kind of NF that is here.
pub fn registry() -> Registry {
    let registry = Registry::new()
        .with::<mac_swap::MacSwap>()
        .with::<l2fwd::L2Fwd>()
        .with::<firewall::Firewall>()
        .with::<monitor::Monitor>()
        .with::<vlan::Vlan>()
        .with::<ipip::IpIp>()
        .with::<mpls::Mpls>()
        .with::<vxlan::Vxlan>()
        .with::<lb::Lb>()
        .with::<netem::Netem>()
        .with::<shaper::Shaper>()
        .with::<conntrack::Conntrack>()
        .with::<router::Router>()
        .with::<nat::Nat>()
        .with::<nat64::Nat64>()
        .with::<nptv6::Nptv6>()
        .with::<static_nat::StaticNat>()
        .with::<external::External>()
        .with::<smart::tagger::Tagger>()
        .with::<smart::breakpoint::Breakpoint>()
        .with::<smart::merge::Merge>();
    #[cfg(feature = "vpn")]
    let registry = registry.with::<vpn::Vpn>().with::<wireguard::WireGuard>();
    #[cfg(feature = "ids")]
    let registry = registry.with::<ids::Ids>();
    registry
}

/// The arguments of a command; none at all are as good as an empty object.
fn arguments<T: for<'de> Deserialize<'de>>(arguments: &Value) -> Result<T, CommandError> {
    let empty = Value::Object(serde_json::Map::new());
    let given = if arguments.is_null() { &empty } else { arguments };
    T::deserialize(given).map_err(|error| CommandError::Arguments(error.to_string()))
}
