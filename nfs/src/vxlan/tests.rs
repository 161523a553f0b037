use super::*;
use serde_json::json;

/// The key that a configuration is refused for.
fn refused(config: serde_json::Value) -> Option<String> {
    let config: Config = serde_json::from_value(config).expect("the shape is right");
    Vxlan::prepare(&config, &Site::default()).map(|_| ()).expect_err("refused").key
}

#[test]
fn mistakes_are_told_with_their_key() {
    let macs = json!({ "source": "02:00:00:00:00:01", "destination": "02:00:00:00:00:02" });
    let encap = |key: &str, value: serde_json::Value| {
        let mut encap = json!({ "vni": 1, "local": "192.0.2.1", "remote": "192.0.2.2", "macs": macs });
        encap[key] = value;
        json!({ "encap": encap })
    };
    for (config, key) in [
        (encap("vni", json!(1 << 24)), "vni"),
        (encap("ttl", json!(0)), "ttl"),
        (encap("dscp", json!(64)), "dscp"),
        (encap("local", json!("::1")), "remote"),
        (json!({ "decap": { "vni": 1 << 24, "local": "::1", "remote": "::2" } }), "vni"),
    ] {
        assert_eq!(refused(config.clone()).as_deref(), Some(key), "{config}");
    }
}

/// RFC 7348 section 5: flows are spread over the dynamic ports.
#[test]
fn source_ports_spread_over_the_dynamic_range() {
    let ports: std::collections::BTreeSet<u16> = (0..4096)
        .map(|flow| {
            let frame = wire::builder::Builder::ethernet([2; 6], [4; 6])
                .ipv4([10, 0, (flow >> 8) as u8, flow as u8], [10, 1, 0, 1])
                .udp(1000, 53)
                .build();
            source_port(flow_hash(&wire::parse(&frame), &frame))
        })
        .collect();
    assert!(ports.len() > 3400, "only {} ports for 4096 flows", ports.len());
    assert!(ports.iter().all(|port| *port >= FIRST_PORT));
}
