//! Link types: which are read, and what the others are called.

/// A link type that can be put into Ethernet frames, with the numbers of
/// <https://www.tcpdump.org/linktypes.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkType {
    /// 0: BSD loopback, an address family in the byte order of the machine that captured.
    Null,
    /// 1: Ethernet.
    Ethernet,
    /// 9: PPP, with or without address and control field; some tools write Cisco HDLC with this number.
    Ppp,
    /// 12, 14 or 101: IPv4 or IPv6 without a link header.
    Raw,
    /// 50: PPP in HDLC-like framing (RFC 1662) or Cisco HDLC.
    PppHdlc,
    /// 108: OpenBSD loopback, an address family in network byte order.
    Loop,
    /// 113: Linux cooked capture, version 1.
    LinuxSll,
    /// 228: IPv4 without a link header.
    RawIpv4,
    /// 229: IPv6 without a link header.
    RawIpv6,
    /// 276: Linux cooked capture, version 2.
    LinuxSll2,
}

/// Number, type and name of what is supported.
const SUPPORTED: [(u32, LinkType, &str); 12] = [
    (0, LinkType::Null, "BSD loopback"),
    (1, LinkType::Ethernet, "Ethernet"),
    (9, LinkType::Ppp, "PPP"),
    (12, LinkType::Raw, "raw IP"),
    (14, LinkType::Raw, "raw IP"),
    (50, LinkType::PppHdlc, "PPP over serial"),
    (101, LinkType::Raw, "raw IP"),
    (108, LinkType::Loop, "OpenBSD loopback"),
    (113, LinkType::LinuxSll, "Linux cooked SLL"),
    (228, LinkType::RawIpv4, "raw IPv4"),
    (229, LinkType::RawIpv6, "raw IPv6"),
    (276, LinkType::LinuxSll2, "Linux cooked SLL2"),
];

/// Names of what captures often have and Ethernet frames cannot hold.
const FOREIGN: [(u32, &str); 42] = [
    (3, "AX.25"),
    (6, "IEEE 802.5 Token Ring"),
    (7, "ARCNET"),
    (8, "SLIP"),
    (10, "FDDI"),
    (51, "PPPoE"),
    (100, "RFC 1483 ATM"),
    (104, "Cisco HDLC"),
    (105, "IEEE 802.11"),
    (107, "Frame Relay"),
    (114, "LocalTalk"),
    (117, "OpenBSD pflog"),
    (119, "IEEE 802.11 with Prism header"),
    (122, "RFC 2625 IP over Fibre Channel"),
    (123, "SunATM"),
    (127, "IEEE 802.11 with radiotap header"),
    (129, "Linux ARCNET"),
    (138, "Apple IP over IEEE 1394"),
    (139, "MTP2 with pseudo-header"),
    (140, "MTP2"),
    (141, "MTP3"),
    (142, "SCCP"),
    (143, "DOCSIS"),
    (144, "Linux IrDA"),
    (147, "user-defined 0"),
    (163, "IEEE 802.11 with AVS header"),
    (166, "PPP with direction from pppd"),
    (177, "Linux LAPD"),
    (187, "Bluetooth HCI H4"),
    (189, "USB with Linux header"),
    (192, "PPI"),
    (195, "IEEE 802.15.4 with FCS"),
    (197, "ERF"),
    (201, "Bluetooth HCI H4 with pseudo-header"),
    (204, "PPP with direction"),
    (220, "USB with padded Linux header"),
    (224, "Fibre Channel FC-2"),
    (227, "SocketCAN"),
    (239, "NFLOG"),
    (249, "USBPcap"),
    (252, "Wireshark upper PDU export"),
    (253, "Linux netlink"),
];

impl LinkType {
    /// The type that a file's number stands for, if it is supported.
    pub fn from_number(number: u32) -> Option<Self> {
        SUPPORTED.iter().find(|row| row.0 == number).map(|row| row.1)
    }
}

/// What a link type is called.
pub(crate) fn name_of(number: u32) -> &'static str {
    let supported = SUPPORTED.iter().map(|row| (row.0, row.2));
    supported
        .chain(FOREIGN)
        .find(|row| row.0 == number)
        .map_or("not in our list of names; see tcpdump.org/linktypes.html", |row| row.1)
}

/// The supported types, for error messages.
pub(crate) fn supported() -> String {
    let rows = SUPPORTED.iter().map(|(number, _, name)| format!("{number} {name}"));
    rows.collect::<Vec<_>>().join(", ")
}
