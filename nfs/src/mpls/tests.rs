use super::*;
use serde_json::json;

/// The key that a configuration is refused for.
fn refused(config: serde_json::Value) -> Option<String> {
    let config: Config = serde_json::from_value(config).expect("the shape is right");
    Mpls::prepare(&config, &Site::default()).map(|_| ()).expect_err("refused").key
}

#[test]
fn mistakes_are_told_with_their_key() {
    for (config, key) in [
        (json!({ "encap": { "labels": [] } }), "labels"),
        (json!({ "encap": { "labels": [3] } }), "labels"),
        (json!({ "encap": { "labels": [1 << 20] } }), "labels"),
        (json!({ "decap": { "labels": vec![100; 17] } }), "labels"),
        (json!({ "encap": { "labels": [100], "class": 8 } }), "class"),
        (json!({ "encap": { "labels": [100], "ttl": 0 } }), "ttl"),
    ] {
        assert_eq!(refused(config.clone()).as_deref(), Some(key), "{config}");
    }
}
