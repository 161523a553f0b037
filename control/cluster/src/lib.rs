//! Several servers that run chains together.
//!
//! What is wanted ([`wanted`]), which servers there are ([`server`]), and who runs what are kept in etcd ([`store`]).
//! The [`planner`] makes the last of the first two; an [`agent`] on each server runs its part.
//!
//! - [`assign`]: the provisioning problem of chains and servers, and its solution by names.
//! - [`cut`]: each server's part of the chains, joined by VXLAN or VLAN tags.
//! - [`decide`]: what the planner does next, as a function of all that is in etcd.
//! - [`etcd`]: a small client of etcd's JSON interface.
#![forbid(unsafe_code)]

pub mod agent;
pub mod assign;
pub mod cut;
pub mod decide;
pub mod etcd;
pub mod planner;
pub mod server;
pub mod store;
pub mod wanted;

/// Tells of something that happened: its source (`planner`, `agent`), its name, and more in words.
pub type Tell<'a> = dyn Fn(&str, &str, &str) + Sync + 'a;
