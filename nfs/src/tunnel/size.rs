//! Packets that are too large for what lies behind a tunnel: they are dropped, and the sender can be told.

use super::{ICMP_ERRORS, Refused, TOO_LARGE};
use crate::teller::{Complaint, Sources, Teller};
use engine::{Burst, ConfigError, Cx};
use std::net::IpAddr;

/// An MTU that every host must take (RFC 791 section 3.1).
const LEAST: u16 = 576;

/// What lies behind the tunnel: how large packets may be, and who tells senders of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Way {
    /// The largest IP packet, the tunnel's headers included.
    pub mtu: usize,
    sources: Sources,
}

impl Way {
    /// `icmp_from`: an address of each IP version whose senders are told, or none.
    ///
    /// # Errors
    /// An MTU that nobody can use; two addresses of one version.
    pub(crate) fn new(mtu: u16, icmp_from: &[IpAddr]) -> Result<Way, ConfigError> {
        if mtu < LEAST {
            let message = format!("an MTU of {mtu} is less than every host must take");
            return Err(ConfigError::at("mtu", message).help(format!("write {LEAST} or more")));
        }
        Ok(Way { mtu: mtu.into(), sources: Sources::new(icmp_from)? })
    }

    /// Whether senders are told.
    pub(crate) fn tells(&self) -> bool {
        self.sources.any()
    }
}

/// [`Way`] of one instance, with its limit to the rate of errors.
pub(crate) struct Size {
    mtu: usize,
    teller: Teller,
}

impl Size {
    pub(crate) fn new(way: Way) -> Size {
        Size { mtu: way.mtu, teller: Teller::new(way.sources) }
    }

    /// Whether an IP packet of `len` bytes goes on with `overhead` bytes of the tunnel.
    ///
    /// # Errors
    /// It is too large. Its sender has been told, if that is wanted and right.
    #[inline]
    pub(crate) fn admit(
        &mut self,
        burst: &mut Burst,
        i: usize,
        cx: &mut Cx<'_>,
        (len, overhead): (usize, usize),
    ) -> Result<(), Refused> {
        if len + overhead <= self.mtu {
            return Ok(());
        }
        if self.teller.tell(burst, i, cx, Complaint::TooLarge(self.mtu.saturating_sub(overhead))) {
            cx.count(ICMP_ERRORS, 1);
        }
        Err(Refused::Drop(TOO_LARGE))
    }
}
