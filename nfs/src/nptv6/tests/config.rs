use super::*;

#[test]
fn prefixes_that_cannot_be_mapped_are_refused_with_advice() {
    for (config, message) in [
        ("prefixes = {}", "there are 0 pairs of prefixes"),
        (
            "prefixes = { \"fd00::/65\" = \"2001:db8::/48\" }",
            "'fd00::/65' = '2001:db8::/48' leaves no interface identifier",
        ),
        (
            "prefixes = { \"fd00::1/64\" = \"2001:db8::/48\" }",
            "'fd00::1/64': address bits after the prefix length are not zero",
        ),
        ("prefixes = { \"10.0.0.0/8\" = \"2001:db8::/48\" }", "'10.0.0.0/8': no IP address before the slash"),
        (
            "prefixes = { \"ff00::/16\" = \"2001:db8::/48\" }",
            "'ff00::/16' is not the prefix of a network of hosts",
        ),
        (
            "prefixes = { \"fe00::/8\" = \"2001:db8::/48\" }",
            "'fe00::/8' is not the prefix of a network of hosts",
        ),
        ("prefixes = { \"2001:db8::/32\" = \"2001:db8:1::/48\" }", ""),
        (
            "prefixes = { \"fd00::/48\" = \"2001:db8::/48\", \"fd00:0:1::/48\" = \"2001:db8::/47\" }",
            "2001:db8::/48 overlaps with 2001:db8::/48 of another pair",
        ),
        (
            "prefixes = { \"fd00::/48\" = \"2001:db8::/48\" }\nicmp_from = [\"10.0.0.1\"]",
            "10.0.0.1 cannot tell of IPv6 packets",
        ),
    ] {
        match plan(config) {
            // The shorter prefix means its part with zeros only: these two do not overlap.
            Ok(_) => assert!(message.is_empty(), "{config}"),
            Err(error) => {
                assert_eq!(error.message, message, "{config}");
                assert!(error.key.is_some());
            }
        }
    }
}
