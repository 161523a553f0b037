//! The kernel's interface below a virtual device: what DPDK does not ask it, or does not let through.

use std::ffi::CString;
use std::io;

/// A socket to ask about interfaces with.
struct Asker(libc::c_int);

impl Asker {
    fn new() -> io::Result<Asker> {
        // SAFETY: makes a descriptor, or returns -1.
        match unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) } {
            -1 => Err(io::Error::last_os_error()),
            socket => Ok(Asker(socket)),
        }
    }

    /// One request about the interface of that number, which `fill` completes.
    fn ask(
        &self,
        index: u32,
        request: libc::Ioctl,
        fill: impl FnOnce(&mut libc::ifreq),
    ) -> io::Result<libc::ifreq> {
        let mut name = [0; libc::IF_NAMESIZE];
        // SAFETY: the array has the length that the call may fill.
        if unsafe { libc::if_indextoname(index, name.as_mut_ptr()) }.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a plain C structure of integers and a union of them, for which zero is a value.
        let mut interface: libc::ifreq = unsafe { std::mem::zeroed() };
        interface.ifr_name = name;
        fill(&mut interface);
        // SAFETY: the descriptor is open; both requests read and write one ifreq.
        match unsafe { libc::ioctl(self.0, request, &raw mut interface) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(interface),
        }
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        // SAFETY: the descriptor is this object's own.
        unsafe { libc::close(self.0) };
    }
}

/// Whether there is an interface of that name in this process's network namespace (/sys may show another's).
pub(super) fn exists(name: &str) -> bool {
    let Ok(name) = CString::new(name) else { return false };
    // SAFETY: the name is a C string.
    unsafe { libc::if_nametoindex(name.as_ptr()) != 0 }
}

/// Whether the interface is up and has a carrier; `None` when it cannot be asked (it has gone, or lives in another
/// network namespace).
pub(super) fn has_carrier(index: u32) -> Option<bool> {
    const UP: i32 = libc::IFF_UP | libc::IFF_RUNNING;
    let interface = Asker::new().ok()?.ask(index, libc::SIOCGIFFLAGS, |_| {}).ok()?;
    // SAFETY: the request filled in the flags.
    let flags = i32::from(unsafe { interface.ifr_ifru.ifru_flags });
    Some(flags & UP == UP)
}

/// Sets the interface's MTU, in bytes of layer 3.
pub(super) fn set_mtu(index: u32, mtu: u16) -> io::Result<()> {
    let fill = |interface: &mut libc::ifreq| interface.ifr_ifru.ifru_mtu = i32::from(mtu);
    Asker::new()?.ask(index, libc::SIOCSIFMTU, fill).map(drop)
}
