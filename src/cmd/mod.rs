//! The subcommands, a file each, and what they share: how failures are shown, how output is written.

pub mod agent;
pub mod check;
pub mod cluster;
pub mod ctl;
mod failure;
pub mod nfs;
pub mod pagination;
pub mod plan;
mod provision;
pub mod replay;
pub mod rules;
pub mod run;
mod session;
pub mod sim;

pub use failure::{Failure, Outcome, print, show_warnings};
