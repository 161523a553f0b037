use super::*;

const PRIVATE: &str = "AKeZaHwBxjiKLFnkY2unvEdOTtg4AL+M9dQXfopFVFk=";
const PUBLIC: &str = "YDCttCs9e1J52/g9vEnwJJa+2x6RqaayAYMpSVQfGEY=";
const OTHER: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=";

/// The error that a configuration is refused with.
fn refused(path: &str, value: &Value) -> (String, String) {
    let mut config = json!({
        "private_key": PRIVATE, "local": "192.0.2.1", "port": 1, "ttl": 64, "mtu": 1500, "handshakes": 1, "icmp_from": [],
        "macs": { "source": "02:00:00:00:00:01", "destination": "02:00:00:00:00:02" },
        "peers": [{ "public_key": PUBLIC, "allowed": ["10.2.0.0/16"], "endpoint": null, "keepalive": null,
                    "preshared_key": null, "preshared_key_file": null }],
    });
    *config.pointer_mut(path).expect(path) = value.clone();
    let config: Config = serde_json::from_value(config).expect("the shape is right");
    assert!(!format!("{config:?}").contains(&PRIVATE[..12]), "nobody sees the key");
    let error = WireGuard::prepare(&config, &Site::default()).map(|_| ()).expect_err("refused");
    (error.key.clone().unwrap_or_default(), format!("{error} {:?}", error.help))
}

#[test]
fn mistakes_are_told_with_their_key_and_without_secrets() {
    let two = |changed: Value| {
        let peer = json!({ "public_key": PUBLIC, "allowed": ["10.3.0.0/16"] });
        json!([peer, changed])
    };
    for (path, value, key) in [
        ("/private_key", json!(null), "private_key"),
        ("/private_key", json!(&PRIVATE[4..]), "private_key"),
        ("/private_key", json!("AKeZaHwBxjiKLFnk!"), "private_key"),
        ("/local", json!("0.0.0.0"), "local"),
        ("/port", json!(0), "port"),
        ("/ttl", json!(0), "ttl"),
        ("/mtu", json!(9), "mtu"),
        ("/handshakes", json!(0), "handshakes"),
        ("/icmp_from", json!(["10.0.0.1", "10.0.0.2"]), "icmp_from"),
        ("/macs/source", json!("here"), "macs"),
        ("/peers", json!([]), "peers"),
        ("/peers/0/public_key", json!("short"), "peers[0].public_key"),
        ("/peers/0/allowed", json!([]), "peers[0].allowed"),
        ("/peers/0/allowed", json!(["10.0.0.1/8"]), "peers[0].allowed"),
        ("/peers/0/allowed", json!(["10.0.0.0/8", "10.0.0.0/8"]), "peers[0].allowed"),
        ("/peers/0/endpoint", json!("[::1]:51820"), "peers[0].endpoint"),
        ("/peers/0/endpoint", json!("192.0.2.9:0"), "peers[0].endpoint"),
        ("/peers/0/endpoint", json!("0.0.0.0:51820"), "peers[0].endpoint"),
        ("/peers/0/endpoint", json!("224.0.0.1:51820"), "peers[0].endpoint"),
        ("/peers/0/keepalive", json!(0), "peers[0].keepalive"),
        ("/peers/0/preshared_key", json!("AKeZaHwBxj"), "peers[0].preshared_key"),
        ("/peers/0/preshared_key_file", json!("/nowhere/key"), "peers[0].preshared_key_file"),
        ("/peers", two(json!({ "public_key": PUBLIC, "allowed": ["10.4.0.0/16"] })), "peers[1].public_key"),
        ("/peers", two(json!({ "public_key": OTHER, "allowed": ["10.3.0.0/16"] })), "peers[1].allowed"),
    ] {
        let (at, message) = refused(path, &value);
        assert_eq!(at, key, "{path} = {value}: {message}");
        assert!(!message.contains("AKeZa") && !message.contains("xjiK"), "{message}");
    }
}
