use super::*;
use serde_json::json;

/// The key that a configuration is refused for.
fn refused(config: serde_json::Value) -> Option<String> {
    let config: Config = serde_json::from_value(config).expect("the shape is right");
    Vlan::prepare(&config, &Site::default()).map(|_| ()).expect_err("refused").key
}

#[test]
fn mistakes_are_told_with_their_key() {
    for (config, key) in [
        (json!({ "encap": { "id": 4095 } }), "id"),
        (json!({ "decap": { "id": 5000 } }), "id"),
        (json!({ "encap": { "id": 1, "priority": 8 } }), "priority"),
        (json!({ "encap": { "id": 1, "mtu": 68 } }), "mtu"),
        (json!({ "encap": { "id": 1, "icmp_from": ["10.0.0.1"] } }), "icmp_from"),
    ] {
        assert_eq!(refused(config.clone()).as_deref(), Some(key), "{config}");
    }
}

#[test]
fn only_who_tells_senders_reads_all_and_creates() {
    let effects = |config| {
        let config: Config = serde_json::from_value(config).expect("a configuration");
        Plan::new(&config).expect("good").effects()
    };
    let silent = effects(json!({ "encap": { "id": 1, "mtu": 1500 } }));
    assert!(!silent.may_create && !silent.reads.contains(wire::Field::Payload));
    let tells = effects(json!({ "encap": { "id": 1, "mtu": 1500, "icmp_from": ["10.0.0.1"] } }));
    assert!(tells.may_create && tells.reads == wire::Fields::ALL);
}
