use super::cipher::{Authenticated, Cipher};
use super::window::{Arrival, Window};
use super::*;
use crate::secret::Secret;
use proptest::prelude::*;
use serde_json::json;

fn bytes(digits: &str) -> Vec<u8> {
    hex::decode(digits).expect("digits")
}

/// One of draft-mcgrew-gcm-test-01: ESP packets as RFC 4106 has them.
struct Vector {
    key: &'static str,
    salt: &'static str,
    spi: u32,
    sequence: u64,
    extended: bool,
    iv: &'static str,
    text: &'static str,
    sealed: &'static str,
}

const VECTORS: [Vector; 3] = [
    Vector {
        key: "4c80cdefbb5d10da906ac73c3613a634",
        salt: "2e443b68",
        spi: 0x4321,
        sequence: 0x8765_4321_0000_0000,
        extended: true,
        iv: "4956ed7e3b244cfe",
        text: "45000048699a000080114db7c0a80102c0a801010a9bf15638d301000001000000000000045f736970045f7564\
               70037369700963796265726369747902646b000021000101020201",
        sealed: "fecf537e729d5b07dc30df528dd22b768d1b98736696a6fd348509fa13ceac34cfa2436f14a3f3cf65925bf1\
                 f4a13c5d15b21e1884f5ff6247aeabb786b93bce61bc17d768fd9732459018148f6cbe722fd04796562dfdb4",
    },
    Vector {
        key: "feffe9928665731c6d6a8f9467308308",
        salt: "cafebabe",
        spi: 0xa5f8,
        sequence: 10,
        extended: false,
        iv: "facedbaddecaf888",
        text: "4500003e698f000080114dccc0a80102c0a801010a980035002a2343b2d0010000010000000000000373697009\
               63796265726369747902646b00000100010001",
        sealed: "deb22cd9b07c72c16e3a65beeb8df304a5a5897d33ae530f1ba76d5d114d2a5c3de81827c10e9a4f51330d0e\
                 ec416642cfbb85a5b47e48a4ec3b9ba95d918bd183b70d3aa8bc6ee4c309e9d85a41ad4a",
    },
    Vector {
        key: "abbccddef00112233445566778899aababbccddef00112233445566778899aab",
        salt: "11223344",
        spi: 0x4a2c_bfe3,
        sequence: 2,
        extended: false,
        iv: "0102030405060708",
        text: "4500003069a6400080062690c0a801029389155e0a9e008b2dc57ee0000000007002400020bf0000020405b401\
               01040201020201",
        sealed: "ff425c9b724599df7a3bcd510194e00d6a78107f1b0b1cbf06efae9d65a5d763748a637985771d347f054565\
                 9f14e99def842d8eb335f4eecfdbf831824b4c4915956c96",
    },
];

#[test]
fn packets_are_sealed_as_the_vectors_of_rfc_4106_are() {
    for vector in VECTORS {
        let cipher = Cipher::new(&[bytes(vector.key), bytes(vector.salt)].concat()).expect("a key");
        assert_eq!(cipher.bits(), vector.key.len() * 4);
        let iv = bytes(vector.iv).try_into().expect("8 bytes");
        let aad = Authenticated::new(vector.spi, vector.sequence, vector.extended);
        let mut packet = bytes(vector.text);
        packet.resize(packet.len() + 16, 0);
        assert!(cipher.seal(iv, aad, &mut packet));
        assert_eq!(hex::encode(&packet), vector.sealed);
        assert!(cipher.open(iv, aad, &mut packet));
        assert_eq!(hex::encode(&packet[..packet.len() - 16]), vector.text);
        let other = Authenticated::new(vector.spi, vector.sequence + 1, vector.extended);
        assert!(!cipher.open(iv, other, &mut bytes(vector.sealed)));
    }
    assert!([0, 4, 16, 19, 21, 28, 32, 35, 37, 64].iter().all(|len| Cipher::new(&vec![1; *len]).is_none()));
}

/// Which numbers a window lets through, said in the plainest way.
struct Plain {
    size: u64,
    seen: std::collections::BTreeSet<u64>,
}

impl Plain {
    fn look(&self, sequence: u64) -> Arrival {
        let highest = self.seen.last().copied().unwrap_or(0);
        match sequence {
            0 => Arrival::TooOld,
            new if new > highest => Arrival::New(new),
            old if highest - old >= self.size => Arrival::TooOld,
            known if self.seen.contains(&known) => Arrival::Again,
            new => Arrival::New(new),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn windows_know_what_a_set_knows(
        size in 1..=64u32,
        steps in proptest::collection::vec((0..3u8, 0..9000u32), 1..400),
    ) {
        let size = size * 64;
        let mut window = Window::new(size);
        let mut plain = Plain { size: size.into(), seen: Default::default() };
        for (kind, by) in steps {
            let highest = window.highest() as u32;
            let sequence = match kind {
                0 => highest.saturating_add(by % 100),
                1 => highest.saturating_sub(by),
                _ => by,
            };
            let look = window.look(sequence, false);
            prop_assert_eq!(look, plain.look(sequence.into()));
            if let Arrival::New(sequence) = look {
                window.note(sequence);
                plain.seen.insert(sequence);
            }
        }
        let mut twin = Window::new(size);
        twin.unite(window.highest(), &window.seen());
        prop_assert_eq!((twin.highest(), twin.seen()), (window.highest(), window.seen()));
    }

    /// A sender counts on, packets come late or not at all; the receiver always knows the number's upper half.
    #[test]
    fn extended_numbers_are_found_from_their_lower_half(
        start in prop_oneof![Just(1u64), 0xffff_ff00..0x1_0000_1000u64, 0x5_ffff_f000..0x6_0000_1000u64],
        steps in proptest::collection::vec(0..200u64, 1..200),
    ) {
        let mut window = Window::new(256);
        window.note(start);
        let mut sent = start;
        for step in steps {
            sent += step % 50 + 1;
            let late = sent.saturating_sub(step).max(start);
            for sequence in [sent, late] {
                match window.look(sequence as u32, true) {
                    Arrival::New(found) => {
                        prop_assert_eq!(found, sequence);
                        window.note(found);
                    }
                    Arrival::Again => {}
                    Arrival::TooOld => prop_assert!(window.highest() - sequence >= 256),
                }
            }
        }
    }
}

const KEYMAT: &str = "000102030405060708090a0b0c0d0e0f10111213";

/// The error that a configuration is refused with.
fn refused(change: impl FnOnce(&mut Value)) -> (String, String) {
    let mut config = json!({ "tunnels": [{
        "name": "t", "local": "192.0.2.1", "remote": "192.0.2.2",
        "selectors": [{ "local": "10.0.0.0/8", "remote": "172.16.0.0/12" }],
        "inbound": [{ "spi": 300, "keymat": KEYMAT }],
    }] });
    change(&mut config);
    let config: Config = serde_json::from_value(config).expect("the shape is right");
    assert!(!format!("{config:?}").contains(&KEYMAT[..8]), "nobody sees the key");
    let error = Vpn::prepare(&config, &Site::default()).map(|_| ()).expect_err("refused");
    (error.key.clone().unwrap_or_default(), format!("{error} {:?}", error.help))
}

#[test]
fn mistakes_are_told_with_their_key_and_without_secrets() {
    for (path, value, key) in [
        ("/tunnels", json!([]), "tunnels"),
        ("/tunnels/0/name", json!(""), "tunnels[0].name"),
        ("/tunnels/0/remote", json!("::1"), "tunnels[0].remote"),
        ("/tunnels/0/selectors", json!([]), "tunnels[0].selectors"),
        ("/tunnels/0/selectors/0/local", json!("10.0.0.1/8"), "tunnels[0].selectors"),
        ("/tunnels/0/selectors/0/local", json!("fd00::/8"), "tunnels[0].selectors"),
        ("/tunnels/0/inbound/0/spi", json!(255), "tunnels[0].inbound[0].spi"),
        ("/tunnels/0/inbound/0/keymat", json!(&KEYMAT[2..]), "tunnels[0].inbound[0].keymat"),
        ("/tunnels/0/inbound/0/keymat", json!(KEYMAT.replace('1', "x")), "tunnels[0].inbound[0].keymat"),
        ("/tunnels/0/inbound/0/keymat", json!(null), "tunnels[0].inbound[0].spi"),
    ] {
        let (at, message) = refused(|config| *config.pointer_mut(path).expect(path) = value.clone());
        assert_eq!(at, key, "{path} = {value}: {message}");
        assert!(!message.contains("0203") && !message.contains("0a0b"), "{message}");
    }
    for (name, value) in [
        ("ttl", json!(0)),
        ("dscp", json!(64)),
        ("mtu", json!(100)),
        ("replay_window", json!(32)),
        ("udp", json!({ "local": 0 })),
        ("icmp_from", json!(["ff02::1"])),
        ("outer_macs", json!({ "source": "here", "destination": "there" })),
    ] {
        let (at, message) = refused(|config| config["tunnels"][0][name] = value.clone());
        assert_eq!(at, format!("tunnels[0].{name}"), "{message}");
    }
    let twice = |config: &mut Value| {
        let first = config["tunnels"][0]["inbound"][0].clone();
        config["tunnels"][0]["inbound"].as_array_mut().expect("a list").push(first);
    };
    assert_eq!(refused(twice).0, "tunnels[0].inbound[1].spi");
    let (key, message) = refused(|config| {
        config["tunnels"][0]["inbound"][0] = json!({ "spi": 300, "keymat_file": "/nowhere/keymat" });
    });
    assert_eq!(key, "tunnels[0].inbound[0].keymat_file");
    assert!(message.contains("/nowhere/keymat"), "{message}");
}

#[test]
fn a_key_that_changes_is_a_change_of_the_configuration() {
    let association = |key: &str| json!({ "spi": 300, "keymat": key });
    let shown = |key: &str| {
        let config: config::Association = serde_json::from_value(association(key)).expect("an association");
        serde_json::to_value(&config).expect("JSON")
    };
    let (one, other) = (shown(KEYMAT), shown(&KEYMAT.replace("13", "14")));
    assert_ne!(one, other);
    assert_eq!(one["keymat"], json!(Secret::new(KEYMAT).to_string()));
}

/// What leaves by a tunnel and what arrives for it meet one worker; so do errors about either.
#[test]
fn a_tunnel_has_one_owner() {
    let tunnel = |name: &str, remote: &str, network: &str, udp: Value| {
        json!({ "name": name, "local": "192.0.2.1", "remote": remote, "udp": udp,
                "selectors": [{ "local": "10.0.0.0/8", "remote": network }] })
    };
    let config = json!({ "tunnels": [
        tunnel("a", "192.0.2.2", "172.16.0.0/16", Value::Null),
        tunnel("b", "192.0.2.3", "172.17.0.0/16", Value::Null),
        tunnel("c", "192.0.2.4", "172.18.0.0/16", json!({})),
        tunnel("d", "192.0.2.5", "172.19.0.0/16", json!({})),
        tunnel("e", "192.0.2.2", "172.20.0.0/16", Value::Null),
    ] });
    let config: Config = serde_json::from_value(config).expect("a configuration");
    let plan = Arc::new(Vpn::prepare(&config, &Site::default()).expect("a good one"));
    let rule = Vpn::ownership(&plan).expect("a rule of its own");
    let owner = |from: [u8; 4], to: [u8; 4], proto: u8, port: u16| {
        let [src, dst] = [from, to].map(u32::from_be_bytes);
        rule.owner(&FlowKey::V4(wire::FlowKey4 { src, dst, proto, sport: port, dport: port }))
    };
    let local = [192, 0, 2, 1];
    let owners: Vec<u32> = (0..5)
        .map(|n| {
            let leaving = owner([10, 0, 0, n], [172, 16 + n, 0, 1], 6, 80);
            assert_eq!(leaving, owner([10, 9, 9, 9], [172, 16 + n, 7, 1], 17, 9), "all that leaves by {n}");
            leaving
        })
        .collect();
    assert_eq!(owner([192, 0, 2, 2], local, 50, 0), owners[0]);
    assert_eq!(owner([192, 0, 2, 3], local, 50, 0), owners[1]);
    // Behind NAT, the other end may have any address.
    for from in [[192, 0, 2, 4], [192, 0, 2, 5], [203, 0, 113, 9]] {
        assert_eq!(owner(from, local, 17, 4500), owners[2]);
    }
    assert_eq!((owners[2], owners[0]), (owners[3], owners[4]), "between the same ends");
    assert!(owners[0] != owners[1] && owners[1] != owners[2], "others may be elsewhere");
    let other = Vpn::prepare(&config, &Site::default()).map(Arc::new).expect("a good one");
    assert_eq!(Vpn::ownership(&other).expect("a rule").says(), rule.says());
}
