mod config;
mod icmp;
mod prefix;
mod pressure;
mod rfc6146;
mod tcp;
mod words;

use super::translator::Refusal;
use super::*;
use std::net::{Ipv4Addr, Ipv6Addr};
use wire::builder::Builder;
use wire::tcp::flags::{ACK, SYN};
use wire::{FlowKey4, FlowKey6, Mac};

/// Two hosts, and the prefix behind which the IPv4 internet is.
const HOST: &str = "2001:db8::7";
const OTHER: &str = "2001:db8::8";
/// Two IPv4 hosts, as the IPv6 side knows them and as they are.
const WEB: (&str, Ipv4Addr) = ("2001:db8:64::c000:201", Ipv4Addr::new(192, 0, 2, 1));
const DNS: (&str, Ipv4Addr) = ("2001:db8:64::c000:235", Ipv4Addr::new(192, 0, 2, 53));
const POOL: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

fn address(text: &str) -> Ipv6Addr {
    text.parse().expect(text)
}

fn ipv6(source: &str, destination: &str) -> Builder {
    Builder::ethernet(Mac::ZERO, Mac::ZERO).ipv6(address(source), address(destination))
}

fn ipv4(source: Ipv4Addr, destination: Ipv4Addr) -> Builder {
    Builder::ethernet(Mac::ZERO, Mac::ZERO).ipv4(source, destination)
}

/// A plan by its TOML, with a prefix.
fn plan(more: &str) -> Result<Plan, ConfigError> {
    Plan::new(&toml::from_str(&format!("prefix = \"2001:db8:64::/96\"\n{more}")).expect("a configuration"))
}

/// A translator with a clock: packets in, what becomes of their addresses and ports out.
struct Bench {
    nat: Nat64,
    now: Time,
}

impl Bench {
    fn new(more: &str) -> Bench {
        let plan = Arc::new(plan(more).expect("a good configuration"));
        let nat = Nat64::instance(&plan, &WorkerSite { index: 0, count: 1, seed: 7 });
        Bench { nat, now: Time::from_nanos(1_700_000_000_000_000_000) }
    }

    /// With one address in its pool.
    fn one() -> Bench {
        Bench::new("pool = [\"203.0.113.1\"]")
    }

    fn send(&mut self, frame: &Builder) -> Result<FlowKey, &'static str> {
        let frame = frame.clone().build();
        let judged = self.nat.translator.judge(&wire::parse(&frame), &frame, self.now);
        judged.map(|(_, turn)| turn.to).map_err(|refusal| match refusal {
            Refusal::Pass => "pass",
            Refusal::Drop(reason) | Refusal::Complain(reason, _) => name(reason),
        })
    }

    fn sent_as_v4(&mut self, frame: &Builder) -> Result<FlowKey4, &'static str> {
        self.send(frame).map(|key| match key {
            FlowKey::V4(key) => key,
            FlowKey::V6(key) => panic!("to IPv6: {key:?}"),
        })
    }

    fn sent_as_v6(&mut self, frame: &Builder) -> Result<FlowKey6, &'static str> {
        self.send(frame).map(|key| match key {
            FlowKey::V6(key) => key,
            FlowKey::V4(key) => panic!("to IPv4: {key:?}"),
        })
    }

    /// UDP from a host: the port that it gets.
    fn udp(&mut self, from: (&str, u16), to: (&str, u16)) -> Result<u16, &'static str> {
        self.sent_as_v4(&ipv6(from.0, to.0).udp(from.1, to.1).payload(b"x")).map(|key| key.sport)
    }

    /// UDP from outside to a port: whom it reaches.
    fn udp_back(&mut self, from: (Ipv4Addr, u16), port: u16) -> Result<(Ipv6Addr, u16), &'static str> {
        let sent = self.sent_as_v6(&ipv4(from.0, POOL).udp(from.1, port).payload(b"x"));
        sent.map(|key| (key.dst.into(), key.dport))
    }

    fn tcp(&mut self, from: (&str, u16), to: (&str, u16), flags: u8) -> Result<u16, &'static str> {
        self.sent_as_v4(&ipv6(from.0, to.0).tcp(from.1, to.1).flags(flags)).map(|key| key.sport)
    }

    fn tcp_back(
        &mut self,
        from: (Ipv4Addr, u16),
        port: u16,
        flags: u8,
    ) -> Result<(Ipv6Addr, u16), &'static str> {
        let sent = self.sent_as_v6(&ipv4(from.0, POOL).tcp(from.1, port).flags(flags));
        sent.map(|key| (key.dst.into(), key.dport))
    }

    /// Time passes, and timers run.
    fn wait(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        for _ in 0..1000 {
            self.nat.translator.expire(self.now, 1_000_000);
        }
    }

    fn sessions(&self) -> usize {
        self.nat.translator.sessions.len()
    }
}

fn name(reason: engine::Reason) -> &'static str {
    let place = (0u8..).zip(REASONS).find(|(number, _)| engine::Reason::new(*number) == reason);
    place.expect("a declared reason").1
}
