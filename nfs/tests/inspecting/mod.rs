//! The contract of an ids, by what its rules ask for.

use super::check;

/// What it declares follows from its rules: of packets, of streams, of single headers, alone and with what drops.
#[test]
fn an_ids_with_rules_of_any_kind_keeps_the_contract() {
    for rule in [
        "alert udp any any -> any 53 (content:\"a\"; sid:1;)",
        "drop ip any any -> any any (ttl:<64; sid:1;)",
        "drop ip any any -> any any (tos:8; sid:1;)",
        "drop tcp any any -> any any (flags:S; window:>100; sid:1;)",
        "drop icmp any any -> any any (itype:8; sid:1;)",
        "drop ip any any -> any any (ipv4.hdr; content:\"|00 00|\"; sid:1;)",
        "drop tcp any any -> any any (content:\"e\"; nocase; sid:1;)",
        "drop ip 10.0.0.0/8 any -> any any (sid:1;)",
        "pass udp any any -> any any (flowbits:set,seen; sid:1;)",
        "drop udp any any -> any any (content:\"e\"; threshold:type threshold, track by_src, count 3, seconds 60; sid:1;)",
    ] {
        for mode in ["alert", "drop"] {
            check("ids", &format!("rules = '{rule}'\nmode = \"{mode}\""));
        }
    }
}

/// Each packet by itself: then it reads what its rules read, and no more.
#[test]
fn an_ids_of_packets_keeps_the_contract() {
    let eve = std::env::temp_dir().join(format!("braid-contract-{}.json", std::process::id()));
    for rule in [
        "alert udp any any -> any 53 (content:\"a\"; sid:1;)",
        "drop tcp any any -> any any (content:\"e\"; nocase; sid:1;)",
        "drop ip any any -> any any (content:\"e\"; nocase; sid:1;)",
        "drop ip any any -> 10.0.0.0/9 any (sid:1;)",
        "drop ip 10.0.0.0/9 any <> any any (sid:1;)",
        "drop tcp any 80 <> any any (flags:S; sid:1;)",
        "drop tcp any any -> any any (window:>100; sid:1;)",
        "drop icmp any any -> any any (itype:8; icmp_id:7; sid:1;)",
        "drop ip any any -> any any (ttl:<64; dsize:>10; sid:1;)",
        "drop ip any any -> any any (tos:8; id:7; sid:1;)",
        "drop ip any any -> any any (fragbits:M; sid:1;)",
        "drop ip any any -> any any (ipv4.hdr; content:\"|00 00|\"; sid:1;)",
        "pass udp any any -> any any (content:\"e\"; sid:1;)",
    ] {
        for mode in ["alert", "drop"] {
            check("ids", &format!("rules = '{rule}'\nmode = \"{mode}\"\nscope = \"packets\""));
        }
    }
    let rule = "alert udp any any -> any any (content:\"a\"; sid:1;)";
    check("ids", &format!("rules = '{rule}'\nscope = \"packets\"\neve = \"{}\"", eve.display()));
    let _ = std::fs::remove_file(eve);
}
