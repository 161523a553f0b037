//! Header views, builders, checksums and flow keys over bytes.
//!
//! - [`parse`] finds a packet's headers in one pass and never fails: [`Headers`] says how far it got.
//! - One module per protocol has its view: `Packet<&[u8]>` to read, `Packet<&mut [u8]>` to write, checked
//!   once for length by `new_checked`. Network order in the packet, host order in the API.
//! - [`FlowKey`] is the five-tuple, [`checksum`] the internet checksum, [`fields`] say which bytes belong
//!   to what, and [`builder`] makes packets for tests.
//!
//! An accessor of a view made by `new_checked` does not panic, whatever the bytes are.
#![forbid(unsafe_code)]

pub mod arp;
pub mod builder;
pub mod checksum;
pub mod ethernet;
pub mod fields;
pub mod flow;
pub mod fragment;
pub mod headers;
pub mod icmp;
pub mod icmpv6;
pub mod ipv4;
pub mod ipv6;
mod mac;
pub mod mpls;
mod order;
pub mod pppoe;
mod prefix;
pub mod protocol;
pub mod sctp;
pub mod tcp;
pub mod udp;
pub mod vlan;
pub mod vxlan;

pub use fields::{Field, Fields};
pub use flow::{Direction, Ends4, FlowKey, FlowKey4, FlowKey6, FragmentKey, Words4};
pub use headers::{Headers, IpVersion, Malformed, UsualIpv4, parse, parse_ip, parse_with_len};
pub use mac::{Mac, ParseMacError};
pub use prefix::{ParsePrefixError, Prefix, Prefix4, Prefix6};
