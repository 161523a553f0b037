//! Two hosts, each a kernel in a network namespace, and a namespace between them in which `braid` runs.

#[allow(unused_imports, reason = "not every test program runs tools itself")]
pub use crate::rig::spaces::run;
use crate::rig::spaces::{Spaces, output};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

/// The hosts `a` (10.9.0.1, fd00:9::1) and `b` (10.9.0.2, fd00:9::2); their cables, interfaces named `to-a` and
/// `to-b`, end in the namespace in which the test's thread is, and whatever it starts.
pub struct Network {
    spaces: Spaces,
}

impl Network {
    /// Builds it; without root or a tool it says so and is `None`.
    pub fn new(test: &str) -> Option<Network> {
        let spaces = Spaces::new(test, &["a", "b"])?;
        for (host, number) in [("a", 1), ("b", 2)] {
            spaces.join(host);
            let addresses = [format!("10.9.0.{number}/24"), format!("fd00:9::{number}/64")];
            spaces.address(host, "eth0", [&addresses[0], &addresses[1]]);
        }
        Some(Network { spaces })
    }

    /// The namespace of a host.
    pub fn host(&self, host: char) -> String {
        self.spaces.of(host.encode_utf8(&mut [0; 4]))
    }

    /// Runs a tool on a host; it has to succeed.
    pub fn tell(&self, host: char, tool: &str, arguments: &[&str]) -> String {
        self.spaces.tell(host.encode_utf8(&mut [0; 4]), tool, arguments)
    }

    /// Whether `a` has an answer to each of three pings to an address, with so many bytes in them.
    pub fn ping(&self, to: &str, bytes: usize) -> bool {
        self.ping_with(to, bytes, &[])
    }

    /// The same with further arguments.
    pub fn ping_with(&self, to: &str, bytes: usize, arguments: &[&str]) -> bool {
        let (space, bytes) = (self.host('a'), bytes.to_string());
        let fixed = ["netns", "exec", &space, "ping", "-q", "-c3", "-i0.05", "-W2", "-s", &bytes];
        output("ip", &[&fixed, arguments, &[to]].concat()).status.success()
    }

    /// Runs `action` on a thread that is on a host.
    pub fn on<T: Send>(&self, host: char, action: impl FnOnce() -> T + Send) -> T {
        self.spaces.on(host.encode_utf8(&mut [0; 4]), action)
    }

    /// Whether a UDP socket of `a` is told by ICMP that nobody listens at an address.
    #[allow(dead_code, reason = "devices are not asked about ICMP")]
    pub fn is_refused(&self, to: SocketAddr) -> bool {
        self.on('a', || {
            let any: IpAddr =
                if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
            let socket = UdpSocket::bind((any, 0)).expect("a socket");
            socket.connect(to).expect("an address");
            socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out");
            socket.send(b"anybody?").expect("to send");
            socket.recv(&mut [0; 16]).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
        })
    }

    /// Sends bytes over TCP from `a` to a port of `b`, and checks that they arrive as they are.
    pub fn transfer(&self, to: &str, length: usize) {
        self.spaces.transfer(to, length);
    }
}
