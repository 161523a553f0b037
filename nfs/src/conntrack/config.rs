//! What a user says of connection tracking.

use super::phase::Patience;
use crate::Span;
use engine::ConfigError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Configuration of [`super::Conntrack`].
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What becomes of packets that belong to no connection and may not begin one.
    pub invalid: Invalid,
    /// How connections are tracked.
    pub tracking: Tracking,
}

/// What becomes of invalid packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Invalid {
    /// They are dropped, counted by what is wrong with them.
    #[default]
    Drop,
    /// They are counted, and go on.
    Pass,
}

/// How connections are tracked: the same in every NF that does.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tracking {
    /// How many connections each worker keeps at a time, for IPv4 and for IPv6 each.
    pub capacity: usize,
    /// Take up TCP connections whose beginning was not seen.
    pub pick_up: bool,
    /// Of TCP check flags and order, but not whether sequence numbers are in the window.
    pub liberal: bool,
    /// How long connections may be quiet.
    pub timeouts: Timeouts,
}

impl Default for Tracking {
    fn default() -> Self {
        Tracking { capacity: 65_536, pick_up: true, liberal: false, timeouts: Timeouts::default() }
    }
}

/// How long a connection may be quiet before it is forgotten.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// TCP: a SYN without an answer.
    pub tcp_syn_sent: Span,
    /// TCP: an answered SYN without the ACK that opens the connection.
    pub tcp_syn_received: Span,
    /// TCP: a connection that was taken up in its middle, while only one side has been heard.
    pub tcp_picked_up: Span,
    /// TCP: an open connection; at least 2 h 4 min by RFC 5382, requirement 5.
    pub tcp_established: Span,
    /// TCP: after one side's FIN.
    pub tcp_fin_wait: Span,
    /// TCP: after one side's FIN was acknowledged.
    pub tcp_close_wait: Span,
    /// TCP: after both sides' FIN.
    pub tcp_last_ack: Span,
    /// TCP: after both sides' FIN were acknowledged.
    pub tcp_time_wait: Span,
    /// TCP: after a reset.
    pub tcp_closed: Span,
    /// UDP: only one side has been heard.
    pub udp_unreplied: Span,
    /// UDP: both sides have been heard; 5 min by RFC 4787, requirement 5.
    pub udp_stream: Span,
    /// ICMP and ICMPv6 queries.
    pub icmp: Span,
    /// Other protocols.
    pub other: Span,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            tcp_syn_sent: Span::seconds(120),
            tcp_syn_received: Span::seconds(60),
            tcp_picked_up: Span::seconds(300),
            tcp_established: Span::seconds(7440),
            tcp_fin_wait: Span::seconds(120),
            tcp_close_wait: Span::seconds(60),
            tcp_last_ack: Span::seconds(30),
            tcp_time_wait: Span::seconds(120),
            tcp_closed: Span::seconds(10),
            udp_unreplied: Span::seconds(30),
            udp_stream: Span::seconds(300),
            icmp: Span::seconds(30),
            other: Span::seconds(600),
        }
    }
}

/// Capacities up to this.
const MOST: usize = 1 << 24;

/// [`Tracking`], checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    pub(super) capacity: usize,
    pub(super) pick_up: bool,
    pub(super) liberal: bool,
    pub(super) patience: Patience,
}

impl Settings {
    /// Checks what a user wrote under `tracking`.
    ///
    /// # Errors
    /// A capacity that is not possible, a time-out of nothing.
    pub fn new(tracking: &Tracking) -> Result<Settings, ConfigError> {
        let Tracking { capacity, pick_up, liberal, timeouts } = tracking;
        if !(1..=MOST).contains(capacity) {
            let message = format!("a capacity of {capacity} connections is not possible");
            return Err(ConfigError::at("tracking", message).help(format!("a number from 1 to {MOST}")));
        }
        let patience = Patience::of(timeouts);
        if super::phase::Phase::ALL.iter().any(|&phase| patience.with(phase) == 0) {
            let message = "a time-out of nothing forgets connections at once";
            return Err(ConfigError::at("tracking", message).help("write \"30s\", or leave it out"));
        }
        Ok(Settings { capacity: *capacity, pick_up: *pick_up, liberal: *liberal, patience })
    }
}
