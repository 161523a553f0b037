//! Hosts that are kernels of their own, in network namespaces, and a namespace among them in which `braid` runs.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::{Command, Output};
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// How long a packet may be on its way before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// A namespace for each host, and one for the test's thread and whatever it starts: the middle. They go with this.
pub struct Spaces {
    name: String,
    hosts: &'static [&'static str],
}

impl Spaces {
    /// Makes them; without root or a tool it says so and is `None`.
    pub fn new(test: &str, hosts: &'static [&'static str]) -> Option<Spaces> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: network namespaces need root");
            return None;
        }
        let tools = [("ip", "-V"), ("ping", "-V"), ("ethtool", "--version"), ("sysctl", "--version")];
        for (tool, arguments) in tools {
            if Command::new(tool).arg(arguments).output().is_err() {
                println!("skipped: {tool} is not installed");
                return None;
            }
        }
        let spaces = Spaces { name: format!("braid-{test}-{}", std::process::id()), hosts };
        run("ip", &["netns", "add", &spaces.name]);
        for host in hosts {
            run("ip", &["netns", "add", &spaces.of(host)]);
        }
        enter(&spaces.name);
        // What the middle's kernel would say of itself does not belong into anybody's counters.
        run("sysctl", &["-qw", "net.ipv6.conf.default.disable_ipv6=1"]);
        run("ip", &["link", "set", "lo", "up"]);
        Some(spaces)
    }

    /// The namespace of a host.
    pub fn of(&self, host: &str) -> String {
        format!("{}-{host}", self.name)
    }

    /// A cable from the middle, where its interface is `to-` and the host's name, to the host's `eth0`.
    pub fn join(&self, host: &str) {
        let (space, name) = (self.of(host), format!("to-{host}"));
        run("ip", &["link", "add", &name, "type", "veth", "peer", "name", "eth0", "netns", &space]);
        run("ip", &["link", "set", &name, "up"]);
    }

    /// Gives an interface of a host its addresses, as `10.0.0.1/24`, and sets it up.
    pub fn address(&self, host: &str, interface: &str, addresses: [&str; 2]) {
        for address in addresses {
            let no_wait: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
            self.tell(host, "ip", &[&["addr", "add", address, "dev", interface], no_wait].concat());
        }
        self.tell(host, "ip", &["link", "set", interface, "up"]);
        // A veth leaves checksums and segmentation to the other end. There is no kernel there that would know of it:
        // packets would arrive with half a checksum, and of 64 kB.
        self.tell(host, "ethtool", &["-K", interface, "tx", "off", "tso", "off", "gso", "off"]);
    }

    /// Runs a tool on a host, whatever it comes to.
    pub fn ask(&self, host: &str, tool: &str, arguments: &[&str]) -> Output {
        let space = self.of(host);
        output("ip", &[&["netns", "exec", space.as_str(), tool], arguments].concat())
    }

    /// Runs a tool on a host; it has to succeed.
    pub fn tell(&self, host: &str, tool: &str, arguments: &[&str]) -> String {
        said(tool, arguments, &self.ask(host, tool, arguments))
    }

    /// Runs `action` on a thread that is on a host.
    pub fn on<T: Send>(&self, host: &str, action: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                enter(&self.of(host));
                action()
            });
            thread.join().expect("the action on a host")
        })
    }

    /// Sends bytes over TCP from host `a` to a port of `b`, and checks that they arrive as they are.
    pub fn transfer(&self, to: &str, length: usize) {
        let to: SocketAddr = to.parse().expect("an address");
        let data: Vec<u8> = (0..length).map(|i| ((i * 31) >> 3) as u8).collect();
        let listener = self.on("b", || TcpListener::bind(to).expect("a listener"));
        std::thread::scope(|scope| {
            let arrived = scope.spawn(|| {
                let mut bytes = Vec::with_capacity(length);
                let (mut stream, _) = listener.accept().expect("a connection");
                stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
                stream.read_to_end(&mut bytes).expect("all bytes");
                bytes
            });
            self.on("a", || {
                let mut stream = TcpStream::connect_timeout(&to, PATIENCE).expect("a connection");
                stream.set_write_timeout(Some(PATIENCE)).expect("a time-out");
                stream.write_all(&data).expect("to send");
            });
            assert!(arrived.join().expect("the receiver") == data, "the bytes have changed on their way");
        });
    }
}

impl Drop for Spaces {
    fn drop(&mut self) {
        for host in self.hosts {
            output("ip", &["netns", "del", &self.of(host)]);
        }
        output("ip", &["netns", "del", &self.name]);
    }
}

/// The calling thread goes there.
fn enter(space: &str) {
    let file = File::open(format!("/run/netns/{space}")).expect("a namespace");
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).expect("to enter it");
}

/// Runs a tool that has to succeed.
pub fn run(tool: &str, arguments: &[&str]) -> String {
    said(tool, arguments, &output(tool, arguments))
}

/// Runs a tool, whatever it comes to.
pub fn output(tool: &str, arguments: &[&str]) -> Output {
    Command::new(tool).args(arguments).output().expect(tool)
}

/// What a tool said that has to have succeeded.
fn said(tool: &str, arguments: &[&str], output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {arguments:?}: {error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Sends bytes over a connection, and checks that they arrive as they are.
pub fn exchange(sender: &mut TcpStream, receiver: &mut TcpStream) {
    receiver.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
    sender.write_all(&[7; 3000]).expect("to send");
    let mut bytes = [0; 3000];
    receiver.read_exact(&mut bytes).expect("all of it");
    assert_eq!(bytes, [7; 3000]);
}
