//! strongSwan on a host: its key exchange, and its ESP in user space (`kernel-libipsec`).

use super::{PATIENCE, Program};
use crate::network::Network;
use crate::rig::Folder;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The daemon, and the plugin without which it asks the kernel, where Debian has them.
pub const CHARON: &str = "/usr/lib/ipsec/charon";
pub const LIBIPSEC: &str = "/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so";

/// What the key exchange has come to, seen from the host: SPIs, and keys with their salts in hexadecimal digits.
pub struct Keys {
    pub spi_out: u32,
    pub spi_in: u32,
    pub out: String,
    pub inward: String,
}

/// A daemon of its own, with its log and its control socket in the test's folder.
pub struct StrongSwan<'a> {
    _daemon: Program,
    host: char,
    folder: &'a Folder,
}

impl<'a> StrongSwan<'a> {
    /// Starts it on `a` (192.0.2.1, with 10.1.0.0/24 behind it) or `b` (192.0.2.2, 10.2.0.0/24). On `a` it gets no
    /// routes: there, others carry the packets.
    pub fn start(network: &Network, host: char, folder: &'a Folder) -> StrongSwan<'a> {
        let (own, other) = if host == 'a' { (1, 2) } else { (2, 1) };
        let path = |what: &str| folder.path(&format!("{host}.{what}")).display().to_string();
        // At the highest level the log has the keys.
        let settings = format!(
            "charon {{\n load_modular = no\n load = random nonce openssl aes sha1 sha2 hmac gcm kdf pem pubkey \
             kernel-libipsec kernel-netlink socket-default vici\n install_routes = {}\n \
             plugins {{ vici {{ socket = unix://{} }} }}\n \
             filelog {{ log {{ path = {}\n default = 1\n chd = 4\n flush_line = yes }} }}\n}}\n",
            if host == 'a' { "no" } else { "yes" },
            path("vici"),
            path("log"),
        );
        let settings = folder.file(&format!("{host}.conf"), settings);
        let connection = format!(
            "connections {{ peer {{\n version = 2\n local_addrs = 192.0.2.{own}\n remote_addrs = 192.0.2.{other}\n \
             encap = yes\n mobike = no\n proposals = aes128gcm16-prfsha256-x25519\n \
             local {{ auth = psk\n id = {host} }}\n remote {{ auth = psk }}\n \
             children {{ net {{\n local_ts = 10.{own}.0.0/24\n remote_ts = 10.{other}.0.0/24\n \
             esp_proposals = aes128gcm16-x25519 }} }}\n}} }}\nsecrets {{ ike-1 {{ secret = \"between two\" }} }}\n"
        );
        folder.file(&format!("{host}.swanctl"), connection);
        let run = format!("mount -t tmpfs none /run && exec {CHARON}");
        let daemon = network.on(host, || {
            let mut command = Command::new("unshare");
            command.args(["-m", "sh", "-c", &run]).env("STRONGSWAN_CONF", &settings);
            Program(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("unshare"))
        });
        let daemon = StrongSwan { _daemon: daemon, host, folder };
        let begun = Instant::now();
        let file = path("swanctl");
        while !daemon.tell(&["--load-all", "--file", &file]).0 {
            assert!(begun.elapsed() < PATIENCE, "charon does not come up: {}", daemon.log());
            std::thread::sleep(Duration::from_millis(100));
        }
        daemon
    }

    fn path(&self, what: &str) -> PathBuf {
        self.folder.path(&format!("{}.{what}", self.host))
    }

    fn log(&self) -> String {
        self.folder.read(&format!("{}.log", self.host))
    }

    /// Whether a command succeeded, and what was said.
    fn tell(&self, arguments: &[&str]) -> (bool, String) {
        let socket = format!("unix://{}", self.path("vici").display());
        let output =
            Command::new("swanctl").args(arguments).args(["--uri", &socket]).output().expect("swanctl");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Negotiates the first keys.
    pub fn initiate(&self) {
        let begun = Instant::now();
        loop {
            let (is_up, said) = self.tell(&["--initiate", "--child", "net", "--timeout", "5"]);
            if is_up {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "no key exchange: {said}");
        }
    }

    /// Negotiates other keys.
    pub fn rekey(&self) {
        let before = self.log().matches("adding outbound ESP SA").count();
        assert!(self.tell(&["--rekey", "--child", "net"]).0, "it is asked for other keys");
        let begun = Instant::now();
        while self.log().matches("adding outbound ESP SA").count() == before {
            assert!(begun.elapsed() < PATIENCE, "no other keys: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        // The lines with the SPI follow at once.
        std::thread::sleep(Duration::from_millis(200));
    }

    /// The last keys of which the log tells: of the side that initiated.
    pub fn keys(&self) -> Keys {
        let log = self.log();
        let after = |mark: &str| {
            let at = log.rfind(mark).unwrap_or_else(|| panic!("no '{mark}' in {log}"));
            &log[at..]
        };
        let spi = |mark: &str| {
            let line = after(mark).lines().nth(1).expect("a line with the SPI");
            let digits = line.split("0x").nth(1).expect("an SPI").chars().take_while(char::is_ascii_hexdigit);
            u32::from_str_radix(&digits.collect::<String>(), 16).expect("an SPI")
        };
        // Lines like `15[CHD]    0: 7B 62 9E … 44  {b.[`, of 16 bytes.
        let key = |mark: &str| {
            let lines =
                after(mark).lines().skip(1).map_while(|line| line.split_once("]  ")?.1.split_once(": "));
            let bytes = lines.flat_map(|(_, bytes)| bytes.split("  ").next().unwrap_or("").split(' '));
            bytes.collect::<String>().to_lowercase()
        };
        let keys = Keys {
            spi_out: spi("adding outbound ESP SA"),
            spi_in: spi("adding inbound ESP SA"),
            out: key("encryption initiator key"),
            inward: key("encryption responder key"),
        };
        assert_eq!((keys.out.len(), keys.inward.len()), (40, 40), "{log}");
        keys
    }

    /// Packets that its association has opened and sealed.
    pub fn carried(&self) -> (u64, u64) {
        let (_, said) = self.tell(&["--list-sas", "--raw"]);
        let sum = |name: &str| {
            let mark = format!("{name}=");
            let values = said.split(&mark).skip(1);
            values.filter_map(|rest| rest.split([' ', '}']).next()?.parse::<u64>().ok()).sum()
        };
        (sum("packets-in"), sum("packets-out"))
    }
}
