//! Configuration, planning and the control socket: everything between an operator and the engine.
//!
//! A configuration file becomes a [`Config`], a `Config` becomes the engine's [`Plan`](engine::Plan), and the
//! [`Controller`] changes a running engine from one to the next. The control socket
//! ([`socket::Server`]) and its [`Client`](client::Client) let other programs do so.
#![forbid(unsafe_code)]

mod adaptation;
pub mod client;
pub mod config;
mod controller;
pub mod cores;
pub mod duration;
#[cfg(test)]
mod fakes;
mod handle;
pub mod planning;
mod scaling;
pub mod signals;
pub mod socket;
mod watch;

pub use config::Config;
pub use controller::{AppliedChange, ApplyError, ChainState, Controller, Current, NfState, Scaled};
pub use handle::{EngineHandle, HandleError, Notice};
pub use watch::Watch;
