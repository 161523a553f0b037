use super::*;
use serde_json::json;

/// The key that a configuration is refused for.
fn refused(config: serde_json::Value) -> Option<String> {
    let config: Config = serde_json::from_value(config).expect("the shape is right");
    IpIp::prepare(&config, &Site::default()).map(|_| ()).expect_err("refused").key
}

#[test]
fn mistakes_are_told_with_their_key() {
    let ends = |more: serde_json::Value| {
        let mut encap = json!({ "local": "192.0.2.1", "remote": "192.0.2.2" });
        for (key, value) in more.as_object().expect("an object") {
            encap[key.as_str()] = value.clone();
        }
        json!({ "encap": encap })
    };
    for (config, key) in [
        (ends(json!({ "remote": "::1" })), "remote"),
        (ends(json!({ "ttl": 0 })), "ttl"),
        (ends(json!({ "dscp": 64 })), "dscp"),
        (ends(json!({ "mtu": 575 })), "mtu"),
        (
            ends(json!({ "macs": { "source": "03:00:00:00:00:01", "destination": "02:00:00:00:00:01" } })),
            "macs",
        ),
        (ends(json!({ "macs": { "source": "02:00:00:00:00:01", "destination": "nowhere" } })), "macs"),
        (json!({ "decap": { "local": "192.0.2.1" } }), "remote"),
        (json!({ "decap": { "remote": "192.0.2.1" } }), "local"),
    ] {
        assert_eq!(refused(config.clone()).as_deref(), Some(key), "{config}");
    }
}
