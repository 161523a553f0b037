use super::*;

#[test]
fn text_and_back() {
    let rows = [
        ("02:00:00:00:00:0a", Some(Mac([2, 0, 0, 0, 0, 10]))),
        ("02-00-00-00-00-0A", Some(Mac([2, 0, 0, 0, 0, 10]))),
        ("ff:ff:ff:ff:ff:ff", Some(Mac::BROADCAST)),
        ("", None),
        ("02:00:00:00:00", None),
        ("02:00:00:00:00:0a:0b", None),
        ("02:00:00:00:00:0", None),
        ("02:00:00:00:00:+a", None),
        ("02:00-00:00:00:0a", None),
        ("02:00:00:00:00:0g", None),
    ];
    for (text, expected) in rows {
        assert_eq!(text.parse().ok(), expected, "{text:?}");
        if let Some(mac) = expected {
            assert_eq!(mac.to_string().parse(), Ok(mac));
        }
    }
}

#[test]
fn groups_are_not_stations() {
    assert!(Mac([2, 0, 0, 0, 0, 1]).is_unicast());
    assert!(!Mac::ZERO.is_unicast() && !Mac::ZERO.is_multicast());
    assert!(Mac::BROADCAST.is_broadcast() && Mac::BROADCAST.is_multicast());
    let all_nodes = Mac::of_ipv6_multicast(0xff02 << 112 | 1);
    assert_eq!(all_nodes.to_string(), "33:33:00:00:00:01");
    assert!(all_nodes.is_multicast() && !all_nodes.is_broadcast());
}
