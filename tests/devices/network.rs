//! Two hosts, each a kernel in a network namespace, and a namespace between them in which `braid` runs.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::{Command, Output};
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// How long a packet may be on its way before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// The hosts `a` (10.9.0.1, fd00:9::1) and `b` (10.9.0.2, fd00:9::2); their cables, interfaces named `to-a` and
/// `to-b`, end in the namespace in which the test's thread is, and whatever it starts.
pub struct Network {
    name: String,
}

impl Network {
    /// Builds it; without root or a tool it says so and is `None`.
    pub fn new(test: &str) -> Option<Network> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: network namespaces need root");
            return None;
        }
        for (tool, arguments) in [("ip", "-V"), ("ping", "-V"), ("ethtool", "--version")] {
            if Command::new(tool).arg(arguments).output().is_err() {
                println!("skipped: {tool} is not installed");
                return None;
            }
        }
        let network = Network { name: format!("braid-{test}-{}", std::process::id()) };
        for space in [network.name.clone(), network.host('a'), network.host('b')] {
            run("ip", &["netns", "add", &space]);
        }
        network.enter(&network.name);
        // What the middle's kernel would say of itself does not belong into anybody's counters.
        run("sysctl", &["-qw", "net.ipv6.conf.default.disable_ipv6=1"]);
        run("ip", &["link", "set", "lo", "up"]);
        for (host, number) in [('a', 1), ('b', 2)] {
            let space = network.host(host);
            let name = format!("to-{host}");
            run("ip", &["link", "add", &name, "type", "veth", "peer", "name", "eth0", "netns", &space]);
            run("ip", &["link", "set", &name, "up"]);
            network.tell(host, "ip", &["addr", "add", &format!("10.9.0.{number}/24"), "dev", "eth0"]);
            let v6 = format!("fd00:9::{number}/64");
            network.tell(host, "ip", &["addr", "add", &v6, "dev", "eth0", "nodad"]);
            network.tell(host, "ip", &["link", "set", "eth0", "up"]);
            // A veth leaves checksums and segmentation to the other end. There is no kernel there that would
            // know of it: packets would arrive with half a checksum, and of 64 kB.
            network.tell(host, "ethtool", &["-K", "eth0", "tx", "off", "tso", "off", "gso", "off"]);
        }
        Some(network)
    }

    /// The namespace of a host.
    pub fn host(&self, host: char) -> String {
        format!("{}-{host}", self.name)
    }

    fn enter(&self, space: &str) {
        let file = File::open(format!("/run/netns/{space}")).expect("a namespace");
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).expect("to enter it");
    }

    /// Runs a tool on a host; it has to succeed.
    pub fn tell(&self, host: char, tool: &str, arguments: &[&str]) -> String {
        let space = self.host(host);
        run("ip", &[&["netns", "exec", space.as_str(), tool], arguments].concat())
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
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.enter(&self.host(host));
                action()
            });
            thread.join().expect("the action on a host")
        })
    }

    /// Sends bytes over TCP from `a` to a port of `b`, and checks that they arrive as they are.
    pub fn transfer(&self, to: &str, length: usize) {
        let to: SocketAddr = to.parse().expect("an address");
        let data: Vec<u8> = (0..length).map(|i| ((i * 31) >> 3) as u8).collect();
        let listener = self.on('b', || TcpListener::bind(to).expect("a listener"));
        std::thread::scope(|scope| {
            let arrived = scope.spawn(|| {
                let mut bytes = Vec::with_capacity(length);
                let (mut stream, _) = listener.accept().expect("a connection");
                stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
                stream.read_to_end(&mut bytes).expect("all bytes");
                bytes
            });
            self.on('a', || {
                let mut stream = TcpStream::connect_timeout(&to, PATIENCE).expect("a connection");
                stream.set_write_timeout(Some(PATIENCE)).expect("a time-out");
                stream.write_all(&data).expect("to send");
            });
            assert!(arrived.join().expect("the receiver") == data, "the bytes have changed on their way");
        });
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for space in [self.host('a'), self.host('b'), self.name.clone()] {
            output("ip", &["netns", "del", &space]);
        }
    }
}

/// Runs a tool that has to succeed.
pub fn run(tool: &str, arguments: &[&str]) -> String {
    let output = output(tool, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn output(tool: &str, arguments: &[&str]) -> Output {
    Command::new(tool).args(arguments).output().expect(tool)
}
