//! NFs of random chains: every kind that is the same for the same seed, in its example's configuration and in others.

use super::random::Random;
use control::Config;
use engine::Gates;
use toml::{Table, Value};

/// Kinds that draw from the system what they need to be safe, or from others behind ports: no two runs of them are the
/// same.
const BY_CHANCE: [&str; 2] = ["wireguard", "external"];

/// More configurations than the kinds' own examples: those that leave more to run side by side, above all.
const OTHERS: [(&str, &str); 19] = [
    (
        "firewall",
        "rules = [\"deny tcp to any port 23\", \"deny udp to any port 53\", \"allow ip\"]\ndefault = \"allow\"",
    ),
    ("firewall", "rules = [\"deny tcp to any port 443\", \"allow ip\"]\nmalformed = \"pass\""),
    (
        "firewall",
        "rules = [\"allow ip from 10.0.0.0/8\", \"allow ip to 192.168.0.0/16\", \"deny icmp\"]\ndefault = \"allow\"",
    ),
    ("firewall", "rules = [\"allow ct state established,related\", \"allow tcp\", \"allow udp\"]"),
    ("monitor", ""),
    ("monitor", "capacity = 4096\nidle_timeout = \"10s\""),
    (
        "ids",
        "rules = ['alert udp any any -> any 53 (msg:\"a question\"; content:\"|01 00 00 01|\"; sid:1;)']",
    ),
    (
        "ids",
        "rules = ['drop tcp any any -> any 80 (msg:\"a page\"; content:\"GET\"; sid:1;)']\nmode = \"drop\"",
    ),
    (
        "ids",
        "rules = ['alert tcp any any -> any any (msg:\"a page\"; content:\"GET\"; sid:1;)']\nscope = \"packets\"",
    ),
    ("static_nat", "source = { \"0.0.0.0/1\" = \"128.0.0.0/1\" }\nicmp_errors = \"pass\""),
    ("static_nat", "destination = { \"128.0.0.0/1\" = \"0.0.0.0/1\" }\nicmp_errors = \"pass\""),
    ("ids", "rules = ['alert tcp any any -> any any (msg:\"http\"; http.method; content:\"GET\"; sid:1;)']"),
    ("mac_swap", ""),
    ("vlan", "encap = { id = 77 }"),
    ("vlan", "decap = {}"),
    (
        "nat",
        "inside = [\"192.168.0.0/16\", \"10.0.0.0/8\"]\npool = [\"203.0.113.1\"]\nuntranslated = \"pass\"",
    ),
    ("conntrack", "invalid = \"pass\""),
    ("l2fwd", "learn = true"),
    ("mpls", "encap = { labels = [16] }"),
];

/// Whether some NF is never the same twice.
pub fn is_by_chance(config: &Config) -> bool {
    config.nfs.iter().any(|nf| BY_CHANCE.contains(&nf.entry.name))
}

/// A configuration with a chain of so many NFs, and their kinds.
pub fn chain(random: &mut Random, length: u64) -> (String, Vec<&'static str>) {
    let registry = nfs::registry();
    let examples = registry.iter().map(|entry| (entry.name, entry.example));
    let library: Vec<(&str, &str)> =
        examples.chain(OTHERS).filter(|(kind, _)| !BY_CHANCE.contains(kind)).collect();
    let (mut nfs, mut names, mut kinds) = (Table::new(), Vec::new(), Vec::new());
    for place in 0..length {
        let is_last = place + 1 == length;
        let fits = |kind: &str| is_last || registry.get(kind).is_some_and(|entry| entry.gates == Gates::One);
        let fitting: Vec<(&str, &str)> = library.iter().copied().filter(|(kind, _)| fits(kind)).collect();
        let (kind, example) = *random.one(&fitting);
        let mut nf: Table = example.parse().expect("an example is TOML");
        nf.insert("kind".to_owned(), kind.into());
        let name = format!("{kind}-{place}");
        nfs.insert(name.clone(), Value::Table(nf));
        names.push(Value::String(name));
        kinds.push(kind);
    }
    let mut chain = Table::new();
    chain.insert("name".to_owned(), "chain".into());
    chain.insert("from".to_owned(), "lan".into());
    chain.insert("path".to_owned(), Value::Array(names));
    chain.insert("to".to_owned(), "wan".into());
    let mut config: Table =
        "[ports.lan]\ndevice = \"net_null0\"\n[ports.wan]\ndevice = \"net_null1\"\n".parse().expect("TOML");
    config.insert("nf".to_owned(), Value::Table(nfs));
    config.insert("chain".to_owned(), Value::Array(vec![Value::Table(chain)]));
    (toml::to_string(&config).expect("TOML"), kinds)
}
