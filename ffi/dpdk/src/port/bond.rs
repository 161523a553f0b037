//! Bonds: devices that drive other ports. Those are probed first, each as a [`Port`](super::Port) of its own,
//! are named in the bond's device string (`slave=` up to DPDK 23.07, `member=` from 23.11), and belong to it
//! from then on.

use std::sync::{Arc, Mutex, Weak};

use super::{Inner, locked};
use crate::DpdkError;

/// All ports, to find the members of a bond by name.
static PORTS: Mutex<Vec<Weak<Inner>>> = Mutex::new(Vec::new());

/// Makes the port one that a bond can have as a member.
pub(super) fn register(port: &Arc<Inner>) {
    let mut ports = locked(&PORTS);
    ports.retain(|port| port.strong_count() > 0);
    ports.push(Arc::downgrade(port));
}

/// For a bond: the ports that it names, which nobody else may start from now on. Nothing for other devices.
pub(super) fn claim_members(device: &str, name: &str) -> Result<Vec<Arc<Inner>>, DpdkError> {
    if !name.starts_with("net_bonding") {
        return Ok(Vec::new());
    }
    let known: Vec<Arc<Inner>> = locked(&PORTS).iter().filter_map(Weak::upgrade).collect();
    let mut members: Vec<Arc<Inner>> = Vec::new();
    for wanted in members_in(device) {
        let member = known.iter().find(|port| port.name == wanted);
        let problem = match member {
            None => Some("is no port of this process: probe it first"),
            Some(port) => {
                let mut lifecycle = port.lock();
                if lifecycle.running || lifecycle.member {
                    Some("is in use")
                } else {
                    lifecycle.member = true;
                    members.push(Arc::clone(port));
                    None
                }
            }
        };
        if let Some(problem) = problem {
            release_members(&members);
            let by = format!("its member {wanted:?} {problem}");
            return Err(DpdkError::Busy { device: device.to_owned(), by });
        }
    }
    Ok(members)
}

/// The bond is gone (or never came to be).
pub(super) fn release_members(members: &[Arc<Inner>]) {
    for member in members {
        member.lock().member = false;
    }
}

fn members_in(device: &str) -> impl Iterator<Item = &str> {
    device.split(',').skip(1).filter_map(|argument| {
        let (key, value) = argument.split_once('=')?;
        matches!(key.trim(), "slave" | "member").then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_from_the_device_string() {
        let device = "net_bonding0,mode=1,slave=net_null0,member=net_null1";
        assert_eq!(members_in(device).collect::<Vec<_>>(), ["net_null0", "net_null1"]);
    }

    #[test]
    fn a_bond_of_ports_that_do_not_exist_is_refused() {
        let error = claim_members("net_bonding0,slave=net_null9", "net_bonding0").err().unwrap();
        assert!(error.to_string().contains("probe it first"), "{error}");
        assert!(claim_members("net_null0,slave=x", "net_null0").unwrap().is_empty());
    }
}
