//! Packets of every link type, byte by byte, and the frames that they become.

use super::*;

const FROM: [u8; 6] = [0x00, 0x1b, 0x21, 0xaa, 0xbb, 0xcc];

/// Destination, source, what follows, and the length on the wire.
type Made = Result<(Vec<u8>, u32), Skip>;

fn made(link: LinkType, packet: &[u8], original_len: u32) -> Made {
    let mut bytes = vec![0xee; 3];
    let wire = frame(link, packet, original_len, &mut bytes)?;
    Ok((bytes, wire))
}

fn expected(destination: [u8; 6], source: [u8; 6], rest: &[u8], wire: u32) -> Made {
    Ok(([&destination[..], &source, rest].concat(), wire))
}

fn synthetic(rest: &[u8], wire: u32) -> Made {
    expected(SYNTHETIC_DESTINATION, SYNTHETIC_SOURCE, rest, wire)
}

#[test]
fn raw_ip_goes_by_its_version() {
    assert_eq!(made(LinkType::Raw, &[0x45, 1], 60), synthetic(&[0x08, 0x00, 0x45, 1], 74));
    assert_eq!(made(LinkType::Raw, &[0x60, 1], 60), synthetic(&[0x86, 0xdd, 0x60, 1], 74));
    assert_eq!(made(LinkType::Raw, &[0xf0, 1], 2), synthetic(&[0x08, 0x00, 0xf0, 1], 16));
    assert_eq!(made(LinkType::Raw, &[], 0), synthetic(&[0x08, 0x00], 14));
    assert_eq!(made(LinkType::RawIpv4, &[0x60], 1), synthetic(&[0x08, 0x00, 0x60], 15));
    assert_eq!(made(LinkType::RawIpv6, &[0x45], 1), synthetic(&[0x86, 0xdd, 0x45], 15));
}

#[test]
fn loopback_goes_by_its_family_in_either_byte_order() {
    for link in [LinkType::Null, LinkType::Loop] {
        for (family, ethertype) in [
            (2_u32, [0x08, 0x00]),
            (10, [0x86, 0xdd]),
            (24, [0x86, 0xdd]),
            (28, [0x86, 0xdd]),
            (30, [0x86, 0xdd]),
        ] {
            let rest = [&ethertype[..], &[9]].concat();
            for header in [family.to_le_bytes(), family.to_be_bytes()] {
                assert_eq!(made(link, &[&header[..], &[9]].concat(), 40), synthetic(&rest, 50));
            }
        }
        assert_eq!(made(link, &[7, 0, 0, 0, 9], 5), Err(Skip::NotIp));
        assert_eq!(made(link, &[2, 0, 0], 40), Err(Skip::ShortLinkHeader));
    }
}

#[test]
fn ppp_goes_by_its_protocol_with_or_without_address_and_control() {
    let (v4, v6) = (synthetic(&[0x08, 0x00, 0x45], 15), synthetic(&[0x86, 0xdd, 0x60], 15));
    for link in [LinkType::Ppp, LinkType::PppHdlc] {
        assert_eq!(made(link, &[0xff, 0x03, 0x00, 0x21, 0x45], 5), v4);
        assert_eq!(made(link, &[0x00, 0x21, 0x45], 3), v4);
        assert_eq!(made(link, &[0x21, 0x45], 2), v4, "compressed protocol field");
        assert_eq!(made(link, &[0xff, 0x03, 0x21, 0x45], 4), v4);
        assert_eq!(made(link, &[0xff, 0x03, 0x00, 0x57, 0x60], 5), v6);
        assert_eq!(made(link, &[0x02, 0x81, 1], 3), synthetic(&[0x88, 0x47, 1], 15));
        assert_eq!(made(link, &[0x02, 0x83, 1], 3), synthetic(&[0x88, 0x48, 1], 15));
        for short in [&[][..], &[0xff, 0x03], &[0xff, 0x03, 0x00], &[0x00]] {
            assert_eq!(made(link, short, 40), Err(Skip::ShortLinkHeader));
        }
    }
}

#[test]
fn other_ppp_protocols_become_pppoe_sessions() {
    // An LCP echo request of 8 bytes, of which 3 were captured.
    let lcp = [0xff, 0x03, 0xc0, 0x21, 9, 1, 0];
    let pppoe = [0x88, 0x64, 0x11, 0, 0, 0, 0, 10, 0xc0, 0x21, 9, 1, 0];
    assert_eq!(made(LinkType::Ppp, &lcp, 12), synthetic(&pppoe, 14 + 6 + 2 + 8));
}

#[test]
fn cisco_hdlc_is_told_by_its_address() {
    for link in [LinkType::Ppp, LinkType::PppHdlc] {
        assert_eq!(made(link, &[0x0f, 0, 0x08, 0x00, 0x45], 5), synthetic(&[0x08, 0x00, 0x45], 15));
        assert_eq!(made(link, &[0x8f, 0, 0x86, 0xdd, 0x60], 5), synthetic(&[0x86, 0xdd, 0x60], 15));
        assert_eq!(made(link, &[0x0f, 0, 0x00, 0x10, 0], 5), Err(Skip::NotEthertype));
        assert_eq!(made(link, &[0x0f, 0, 0x08], 5), Err(Skip::ShortLinkHeader));
    }
}

/// A cooked header, version 1.
fn sll(packet_type: u8, device: u16, address_len: u8, protocol: u16) -> Vec<u8> {
    let mut header = vec![0, packet_type];
    header.extend(device.to_be_bytes());
    header.extend([0, address_len]);
    header.extend(FROM);
    header.extend([0xde, 0xad]);
    header.extend(protocol.to_be_bytes());
    header
}

/// A cooked header, version 2.
fn sll2(packet_type: u8, device: u16, address_len: u8, protocol: u16) -> Vec<u8> {
    let mut header = protocol.to_be_bytes().to_vec();
    header.extend([0, 0, 0, 0, 0, 3]);
    header.extend(device.to_be_bytes());
    header.extend([packet_type, address_len]);
    header.extend(FROM);
    header.extend([0xde, 0xad]);
    header
}

#[test]
fn cooked_packets_keep_source_and_ethertype() {
    type CookedHeader = fn(u8, u16, u8, u16) -> Vec<u8>;
    let versions: [(LinkType, CookedHeader, u32); 2] =
        [(LinkType::LinuxSll, sll, 16), (LinkType::LinuxSll2, sll2, 20)];
    for (link, header, length) in versions {
        let cooked = |packet_type, device, address_len, protocol| {
            let packet = [&header(packet_type, device, address_len, protocol)[..], &[0x45]].concat();
            made(link, &packet, length + 40)
        };
        let ip = [0x08, 0x00, 0x45];
        assert_eq!(cooked(0, 1, 6, 0x0800), expected(SYNTHETIC_DESTINATION, FROM, &ip, 54));
        assert_eq!(cooked(1, 1, 6, 0x0800), expected([0xff; 6], FROM, &ip, 54), "broadcast");
        assert_eq!(cooked(2, 1, 6, 0x0800), expected(SYNTHETIC_GROUP, FROM, &ip, 54), "multicast");
        assert_eq!(cooked(4, 512, 0, 0x0800), synthetic(&ip, 54), "a PPP device has no address");
        let llc = expected(SYNTHETIC_DESTINATION, FROM, &[0, 40, 0x45], 54);
        assert_eq!(cooked(0, 1, 6, 0x0004), llc, "802.2: the length of the payload on the wire");
        assert_eq!(cooked(0, 824, 6, 0x0800), Err(Skip::NotEthertype), "netlink");
        assert_eq!(cooked(0, 280, 0, 0x000c), Err(Skip::NotEthertype), "CAN");
        assert_eq!(made(link, &header(0, 1, 6, 0x0800)[..15], 60), Err(Skip::ShortLinkHeader));
    }
}

#[test]
fn ethernet_stays_as_it_is() {
    assert_eq!(made(LinkType::Ethernet, &[1, 2, 3], 60), Ok((vec![1, 2, 3], 60)));
}
