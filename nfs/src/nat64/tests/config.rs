use super::*;

#[test]
fn mistakes_are_told_with_their_key_and_with_advice() {
    const POOL: &str = "pool = [\"203.0.113.1\"]\n";
    let with_pool = |more: &str| format!("{POOL}{more}");
    for (config, key, message) in [
        (String::new(), "pool", "there is no IPv4 address to translate to"),
        (
            "pool = [\"203.0.113.1\", \"203.0.113.0/30\"]".to_owned(),
            "pool",
            "203.0.113.1 is in the pool twice",
        ),
        ("pool = [\"224.0.0.1\"]".to_owned(), "pool", "224.0.0.1 is not the address of a host"),
        (
            "pool = [\"10.0.0.0/8\"]".to_owned(),
            "pool",
            "with '10.0.0.0/8' the pool has more than 4096 addresses",
        ),
        ("pool = [\"2001:db8::1\"]".to_owned(), "pool", "'2001:db8::1' is no IPv4 address"),
        (with_pool("ports = \"9-5\""), "ports", "'9-5' is no range of ports"),
        (with_pool("capacity = 0"), "capacity", "a capacity of 0 sessions is not possible"),
        (with_pool("timeouts = { udp = \"0s\" }"), "timeouts", "sessions that end at once are none"),
        (with_pool("mtu = { v6 = 1279 }"), "mtu", "'v6' is 1279"),
        (with_pool("mtu = { v4 = 576 }"), "mtu", "'v4' is 576"),
        (with_pool("mtu = { v6 = 1400, fragments = 1500 }"), "mtu", "'fragments' is 1500"),
        (with_pool("icmp_from = [\"ff02::1\"]"), "icmp_from", "'icmp_from' cannot have ff02::1"),
        (
            with_pool("forward = { \"icmp 203.0.113.1:1\" = \"[2001:db8::5]:80\" }"),
            "forward",
            "'icmp 203.0.113.1:1' does not begin with tcp or udp",
        ),
        (
            with_pool("forward = { \"tcp 203.0.113.1:80\" = \"10.0.0.5:80\" }"),
            "forward",
            "'10.0.0.5:80' is no IPv6 address with a port",
        ),
        (
            with_pool("forward = { \"tcp 203.0.113.1\" = \"[2001:db8::5]:80\" }"),
            "forward",
            "'203.0.113.1' is no address with a port, like 10.0.0.5:80",
        ),
        (
            with_pool("forward = { \"tcp 203.0.113.1:80\" = \"[2001:db8:64::1]:80\" }"),
            "forward",
            "'203.0.113.1:80' and '[2001:db8:64::1]:80' are not both addresses of hosts",
        ),
        (
            with_pool(
                "forward = { \"tcp 203.0.113.1:80\" = \"[2001:db8::5]:80\", \
                 \"tcp 203.0.113.1:81\" = \"[2001:db8::5]:80\" }",
            ),
            "forward",
            "'[2001:db8::5]:80' has two IPv4 endpoints",
        ),
    ] {
        let error = plan(&config).err().unwrap_or_else(|| panic!("{config} is taken"));
        assert_eq!((error.key.as_deref(), error.message.as_str()), (Some(key), message), "{config}");
    }
    for (prefix, message) in [
        ("64:ff9b::/95", "a prefix of 95 bits cannot hold IPv4 addresses"),
        ("64:ff9b::1/96", "'64:ff9b::1/96': address bits after the prefix length are not zero"),
        ("2001:db8:0:0:100::/96", "bits 64 to 71 of '2001:db8:0:0:100::/96' are not zero"),
        ("10.0.0.0/8", "'10.0.0.0/8': no IP address before the slash"),
        ("ff00::/32", "'ff00::/32' is not for hosts"),
    ] {
        let config = format!("prefix = \"{prefix}\"\npool = [\"203.0.113.1\"]");
        let error = Plan::new(&toml::from_str(&config).expect("a configuration")).err().expect("refused");
        assert_eq!((error.key.as_deref(), error.message.as_str()), (Some("prefix"), message));
        assert!(error.help.is_some());
    }
}
