//! One NF on a stand, and somebody else's program in a network namespace that is given the same packets.
#![allow(dead_code, reason = "each test program uses a part of it")]

use dpdk::{Eal, EalOptions};
use engine::{Emitted, Fate, Input, Packing, Round, Site, Stand, StandPools, Time, WorkerSite};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// One instance of an NF, and its clock.
pub struct Bench {
    stand: Stand,
    pub now: Time,
}

impl Bench {
    pub fn new(kind: &str, config: &str) -> Bench {
        static POOLS: OnceLock<StandPools> = OnceLock::new();
        let pools = POOLS.get_or_init(|| {
            let file_prefix = format!("referee-{}", std::process::id());
            let options =
                EalOptions { hugepages: false, pci: false, memory_mb: 64, file_prefix, extra: Vec::new() };
            StandPools::new(&Eal::init(&options).expect("EAL"), 1024).expect("packet memory")
        });
        let registry = nfs::registry();
        let table = DeTable::parse(config).expect("TOML");
        let span = table.span();
        let config = ValueDeserializer::from(Spanned::new(span, DeValue::Table(table.into_inner())));
        let configured = registry.get(kind).expect("registered").configure(config).expect("a configuration");
        let prepared = configured.prepare(&Site::default()).expect("a good configuration");
        let stand = Stand::new(pools, prepared.as_ref(), WorkerSite { index: 0, count: 1, seed: 7 });
        Bench { stand, now: Time::from_nanos(1_700_000_000_000_000_000) }
    }

    /// The stand itself.
    pub fn stand(&mut self) -> &mut Stand {
        &mut self.stand
    }

    /// One packet; what becomes of it, and what is sent besides.
    pub fn round(&mut self, frame: &[u8]) -> (Fate, Vec<Emitted>) {
        self.now = self.now + Duration::from_millis(1);
        let input = [Input { bytes: frame, ingress: 0 }];
        let round = self.stand.run(&input, Packing::Contiguous, self.now);
        let Round { mut fates, emitted, .. } = round.expect("packet memory");
        (fates.remove(0), emitted)
    }

    /// One packet, as it comes out; or why it does not.
    pub fn send(&mut self, frame: &[u8]) -> Result<Vec<u8>, &'static str> {
        match self.round(frame).0 {
            Fate::Forward(bytes) => Ok(bytes),
            Fate::Drop(reason) => Err(reason),
            other => panic!("{other:?}"),
        }
    }
}

/// A network namespace; gone with the value.
pub struct Space {
    pub name: String,
}

impl Space {
    /// Makes it; without root or a tool it says so and is `None`.
    pub fn new(test: &str, tools: &[&str]) -> Option<Space> {
        let id = Command::new("id").arg("-u").output().ok()?;
        if id.stdout != b"0\n" {
            println!("skipped: network namespaces need root");
            return None;
        }
        for tool in tools {
            if Command::new(tool).arg("--help").output().is_err() {
                println!("skipped: {tool} is not installed");
                return None;
            }
        }
        let space = Space { name: format!("braid-{test}-{}", std::process::id()) };
        let made = Command::new("ip").args(["netns", "add", &space.name]).output().expect("ip");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Some(space)
    }

    /// A command that runs in it.
    pub fn inside(&self, words: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).args(words.split(' '));
        command
    }

    /// Runs one that may fail.
    pub fn try_run(&self, words: &str) -> Result<String, String> {
        let output = self.inside(words).output().map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Runs one that has to succeed.
    pub fn run(&self, words: &str) -> String {
        self.try_run(words).unwrap_or_else(|error| panic!("{words}: {error}"))
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

/// Sends what it reads, a packet in hex per line and how many seconds to wait, on one interface, and says what arrives on
/// another: a packet that was not sent from here, in hex, or `-` when there is none.
const PROBE: &str = r#"
import select, socket, sys, time
kind = socket.SOCK_RAW if sys.argv[3] == "ethernet" else socket.SOCK_DGRAM
def opened(name):
    s = socket.socket(socket.AF_PACKET, kind, socket.htons(3))
    s.bind((name, 3))
    return s
sender, receiver = opened(sys.argv[1]), opened(sys.argv[2])
print("ready", flush=True)
for line in sys.stdin:
    packet, patience = line.split()
    packet = bytes.fromhex(packet)
    while select.select([receiver], [], [], 0)[0]:
        receiver.recv(65535)
    if kind == socket.SOCK_RAW:
        sender.send(packet)
    else:
        sender.sendto(packet, (sys.argv[1], 0x86dd if packet[0] >> 4 == 6 else 0x0800))
    answer, end = "-", time.monotonic() + float(patience)
    while answer == "-" and time.monotonic() < end:
        if select.select([receiver], [], [], max(0, end - time.monotonic()))[0]:
            seen, where = receiver.recvfrom(65535)
            if where[2] != socket.PACKET_OUTGOING and seen != packet:
                answer = seen.hex()
    print(answer, flush=True)
"#;

/// Somebody who sends packets in a namespace, and sees what becomes of them.
pub struct Probe {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Probe {
    /// `link`: `ethernet`, or `ip` for interfaces without a link header.
    pub fn new(space: &Space, sender: &str, receiver: &str, link: &str) -> Probe {
        let mut child = space
            .inside("python3 -c")
            .args([PROBE, sender, receiver, link])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let (input, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        let mut probe = Probe { child, input, output: BufReader::new(output) };
        assert_eq!(probe.line(), "ready");
        probe
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        line.trim().to_owned()
    }

    /// What becomes of a packet, if anything does within so many seconds.
    pub fn ask(&mut self, packet: &[u8], patience: f64) -> Option<Vec<u8>> {
        let hex: String = packet.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(self.input, "{hex} {patience}").expect("to write");
        let line = self.line();
        let digit = |at: usize| u8::from_str_radix(&line[at..at + 2], 16).expect("hex");
        (line != "-").then(|| (0..line.len()).step_by(2).map(digit).collect())
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
