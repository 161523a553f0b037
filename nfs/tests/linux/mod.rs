//! Linux, asked packet by packet what it makes of them: frames enter a network namespace by a cable, and nftables rules
//! log what they see.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod frames;

use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use wire::builder::Builder;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Frames that may be under way.
const BATCH: usize = 32;
/// The far end of the cable.
const PROBE: [u8; 6] = [2, 0, 0, 0, 0, 0xff];
/// Numbers of marks, above those of frames.
const MARKS: u32 = 1 << 31;

/// What makes a rule log a letter; with little of the packet, as whole ones would fill the log's buffer when the machine
/// is busy elsewhere.
pub(crate) fn log(letter: char) -> String {
    format!("log prefix \"{letter}\" group 5 snaplen 64 queue-threshold 1")
}

/// A table with these rules, to which only frames from the cable come.
fn table(rules: &str) -> String {
    format!(
        "table inet judge {{
            chain in {{ type filter hook prerouting priority 0; policy accept
                iifname != probe accept
                {rules}
            }}
            # What this host would answer is none of the packets.
            chain out {{ type filter hook output priority -300; policy drop
            }}
        }}
        "
    )
}

/// A namespace of its own; gone with the value.
pub(crate) struct Linux {
    space: String,
    folder: PathBuf,
    children: Vec<Child>,
    feed: UnixDatagram,
    log: Receiver<(u32, char)>,
    marks: u32,
}

impl Linux {
    /// Builds it, with rules of which one logs each packet; without root or a tool it says so and is `None`.
    pub(crate) fn new(test: &str, rules: &str) -> Option<Linux> {
        let id = Command::new("id").arg("-u").output().ok()?;
        if id.stdout != b"0\n" {
            println!("skipped: network namespaces need root");
            return None;
        }
        for (tool, argument) in [("ip", "-V"), ("nft", "-v"), ("socat", "-V"), ("tcpdump", "--version")] {
            if Command::new(tool).arg(argument).output().is_err() {
                println!("skipped: {tool} is not installed");
                return None;
            }
        }
        let space = format!("braid-ct-{test}-{}", std::process::id());
        let folder = std::env::temp_dir().join(&space);
        std::fs::create_dir_all(&folder).expect("a folder");
        let (sender, log) = channel();
        let feed = UnixDatagram::unbound().expect("a socket");
        let mut linux = Linux { space, folder, children: Vec::new(), feed, log, marks: MARKS };
        run(Command::new("ip").args(["netns", "add", &linux.space])).expect("a namespace");
        for words in [
            "ip link set lo up",
            "ip link add name feed mtu 65535 type veth peer name probe mtu 65535",
            "ip link set probe address 02:00:00:00:00:ff addrgenmode none",
            "ip link set feed addrgenmode none",
            "ip link set feed up",
            "ip link set probe up",
            // Every address is this host's, so that packets arrive, which makes their connections real.
            "ip route add local 0.0.0.0/0 dev probe table local",
            "ip -6 route add local ::/0 dev probe table local",
            "sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.probe.rp_filter=0",
            "sysctl -qw net.ipv4.conf.all.accept_local=1 net.ipv4.conf.all.route_localnet=1",
        ] {
            run(&mut linux.inside(words)).expect(words);
        }
        let file = linux.folder.join("rules");
        std::fs::write(&file, table(rules)).expect("a file");
        if let Err(error) = run(&mut linux.inside(&format!("nft -f {}", file.display()))) {
            assert!(!error.contains("syntax"), "{error}");
            println!("skipped: no connection tracking in this kernel: {error}");
            return None;
        }
        // No packet is to be judged by its checksum, as captures often have none, or by how long the test takes.
        for words in ["checksum=0", "tcp_timeout_close=3600", "tcp_timeout_last_ack=3600", "udp_timeout=3600"]
        {
            let setting = format!("sysctl -qw net.netfilter.nf_conntrack_{words}");
            run(&mut linux.inside(&setting)).expect(words);
        }
        linux.connect(sender);
        Some(linux)
    }

    fn inside(&self, words: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.space]).args(words.split(' '));
        command
    }

    /// Starts what sends frames and what reads the log, and waits until a mark goes all the way.
    fn connect(&mut self, sender: std::sync::mpsc::Sender<(u32, char)>) {
        let path = self.folder.join("feed");
        let mut feeder =
            self.inside(&format!("socat -u -b 70000 UNIX-RECV:{} INTERFACE:feed", path.display()));
        self.children.push(feeder.spawn().expect("socat"));
        let mut reader = self.inside("tcpdump -U -n -i nflog:5 -w -");
        let mut reader = reader.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("tcpdump");
        let output = reader.stdout.take().expect("a pipe");
        self.children.push(reader);
        std::thread::spawn(move || read_log(output, |seen| sender.send(seen).is_ok()));
        let begun = Instant::now();
        while self.feed.connect(&path).is_err() {
            assert!(begun.elapsed() < PATIENCE, "socat does not come up");
            std::thread::sleep(Duration::from_millis(5));
        }
        loop {
            let mark = self.mark();
            match self.log.recv_timeout(Duration::from_millis(100)) {
                Ok((number, _)) if number == mark => return,
                Ok(_) => return self.await_mark(mark, |_, _| {}),
                Err(_) => assert!(begun.elapsed() < PATIENCE, "the log says nothing"),
            }
        }
    }

    /// Sends a frame that says only that those before it have been judged.
    fn mark(&mut self) -> u32 {
        self.marks += 1;
        let mark = Builder::ethernet([0; 6], PROBE).ipv4([192, 0, 2, 1], [192, 0, 2, 2]).udp(9, 9).build();
        self.send(self.marks, &mark);
        self.marks
    }

    fn send(&self, number: u32, frame: &[u8]) {
        let mut frame = frame.to_vec();
        frame[..6].copy_from_slice(&PROBE);
        frame[6..8].copy_from_slice(&[2, 0]);
        frame[8..12].copy_from_slice(&number.to_be_bytes());
        self.feed.send(&frame).expect("to send");
    }

    fn await_mark(&mut self, mark: u32, mut each: impl FnMut(u32, char)) {
        loop {
            match self.log.recv_timeout(PATIENCE) {
                Ok((number, _)) if number == mark => return,
                Ok((number, _)) if number >= MARKS => {}
                Ok((number, letter)) => each(number, letter),
                Err(error) => panic!("the log ended: {error}"),
            }
        }
    }

    /// The letter of the rule that logged each of the frames, in turn; `None` where none did.
    pub(crate) fn judge(&mut self, frames: &[Vec<u8>]) -> Vec<Option<char>> {
        let mut judged = vec![None; frames.len()];
        for (batch, part) in frames.chunks(BATCH).enumerate() {
            for (i, frame) in part.iter().enumerate() {
                self.send((batch * BATCH + i) as u32, frame);
            }
            let mark = self.mark();
            self.await_mark(mark, |number, letter| {
                if let Some(place) = judged.get_mut(number as usize) {
                    *place = Some(letter);
                }
            });
        }
        judged
    }
}

impl Drop for Linux {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = Command::new("ip").args(["netns", "del", &self.space]).output();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

/// Reads a capture of link type NFLOG: after 4 bytes attributes, each a length, a type and a value.
fn read_log(mut from: impl Read, mut each: impl FnMut((u32, char)) -> bool) {
    const PREFIX: u16 = 10;
    const LINK_HEADER: u16 = 16;
    let mut header = [0; 24];
    if from.read_exact(&mut header).is_err() {
        return;
    }
    loop {
        let mut record = [0; 16];
        if from.read_exact(&mut record).is_err() {
            return;
        }
        let length = u32::from_ne_bytes([record[8], record[9], record[10], record[11]]);
        let mut bytes = vec![0; length as usize];
        if from.read_exact(&mut bytes).is_err() {
            return;
        }
        let (mut rest, mut letter, mut number) = (bytes.get(4..).unwrap_or_default(), None, None);
        while let [a, b, c, d, ..] = *rest {
            let length = usize::from(u16::from_ne_bytes([a, b])).clamp(4, rest.len());
            let value = &rest[4..length];
            match u16::from_ne_bytes([c, d]) {
                PREFIX => letter = value.first().copied().map(char::from),
                LINK_HEADER => {
                    let bytes = value.get(8..12).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
                    number = bytes.map(u32::from_be_bytes);
                }
                _ => {}
            }
            rest = &rest[length.next_multiple_of(4).min(rest.len())..];
        }
        if let Some(judged) = number.zip(letter)
            && !each(judged)
        {
            return;
        }
    }
}
