use super::*;

#[test]
fn text_and_back() {
    use ParsePrefixError::*;
    let rows = [
        ("10.0.0.0/8", Ok("10.0.0.0/8")),
        ("0.0.0.0/0", Ok("0.0.0.0/0")),
        ("10.1.2.3", Ok("10.1.2.3/32")),
        ("2001:db8::/32", Ok("2001:db8::/32")),
        ("::/0", Ok("::/0")),
        ("::1", Ok("::1/128")),
        ("10.0.0.1/8", Err(HostBits)),
        ("2001:db8::1/64", Err(HostBits)),
        ("10.0.0.0/33", Err(Length)),
        ("::/129", Err(Length)),
        ("10.0.0.0/+8", Err(Length)),
        ("10.0.0.0/", Err(Length)),
        ("10.0.0.0/999", Err(Length)),
        ("10.0.0/8", Err(Address)),
        ("", Err(Address)),
    ];
    for (text, expected) in rows {
        let parsed = text.parse::<Prefix>().map(|prefix| prefix.to_string());
        assert_eq!(parsed, expected.map(str::to_string), "{text:?}");
    }
}

#[test]
fn contains_exactly_its_addresses() {
    let rows = [
        ("10.0.0.0/8", "10.255.255.255", true),
        ("10.0.0.0/8", "11.0.0.0", false),
        ("0.0.0.0/0", "255.255.255.255", true),
        ("10.1.2.3/32", "10.1.2.3", true),
        ("10.1.2.3/32", "10.1.2.2", false),
        ("2001:db8::/33", "2001:db8:7fff::1", true),
        ("2001:db8::/33", "2001:db8:8000::", false),
        ("::/0", "ffff::", true),
        ("::/0", "1.2.3.4", false),
        ("0.0.0.0/0", "::", false),
    ];
    for (prefix, address, expected) in rows {
        let prefix: Prefix = prefix.parse().unwrap();
        assert_eq!(prefix.contains(address.parse().unwrap()), expected, "{address} in {prefix}");
    }
}

#[test]
fn bounds_and_inclusion() {
    let net = Prefix4::new(0x0a01_0203, 16);
    assert_eq!((net.address(), net.last(), net.len()), (0x0a01_0000, 0x0a01_ffff, 16));
    assert!(Prefix4::default().includes(net) && !net.includes(Prefix4::default()));
    assert!(net.includes(Prefix4::host(0x0a01_ffff)) && !net.includes(Prefix4::host(0x0a02_0000)));
    assert_eq!(Prefix6::new(u128::MAX, 200), Prefix6::host(u128::MAX));
    assert_eq!(Prefix6::new(u128::MAX, 1).last(), u128::MAX);
}
