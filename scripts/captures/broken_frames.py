"""Sends frames that no network stack would send, one of each kind that a dataplane has to survive.

usage: broken_frames.py DEVICE ROUTER_MAC SOURCE DESTINATION SOURCE6 DESTINATION6
"""

import ipaddress
import socket
import struct
import sys
import time

IPV4, ARP, VLAN, IPV6 = 0x0800, 0x0806, 0x8100, 0x86DD
ICMP, TCP, UDP, ROUTING, FRAGMENT, ICMPV6 = 1, 6, 17, 43, 44, 58
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
WEB, DNS, CLIENT = 80, 53, 40000

device, router_mac, source, destination, source6, destination6 = sys.argv[1:]
source, destination = ipaddress.ip_address(source).packed, ipaddress.ip_address(destination).packed
source6, destination6 = ipaddress.ip_address(source6).packed, ipaddress.ip_address(destination6).packed
port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
port.bind((device, 0))
own_mac = port.getsockname()[4]
ethernet_addresses = bytes.fromhex(router_mac.replace(":", "")) + own_mac


def checksum(data):
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def ethernet(payload, ethertype=IPV4):
    return ethernet_addresses + struct.pack("!H", ethertype) + payload


def ipv4(payload, protocol, *, version=4, words=None, length=None, fragment=0, ttl=64, wrong_sum=0, options=b"",
         src=source, dst=destination, ident=0x1234):
    words = 5 + len(options) // 4 if words is None else words
    length = 20 + len(options) + len(payload) if length is None else length
    head = struct.pack("!BBHHHBB", version << 4 | words, 0, length, ident, fragment, ttl, protocol)
    tail = src + dst + options
    total = checksum(head + b"\0\0" + tail) ^ wrong_sum
    return head + struct.pack("!H", total) + tail + payload


def ipv6(payload, next_header, *, version=6, length=None):
    length = len(payload) if length is None else length
    return struct.pack("!IHBB", version << 28, length, next_header, 64) + source6 + destination6 + payload


def transport_sum(segment, protocol, wrong_sum):
    pseudo = source + destination + struct.pack("!HH", protocol, len(segment))
    return checksum(pseudo + segment) ^ wrong_sum


def tcp(flags, payload=b"", *, sport=CLIENT, dport=WEB, words=None, options=b"", wrong_sum=0):
    words = 5 + len(options) // 4 if words is None else words
    head = struct.pack("!HHIIBBH", sport, dport, 1000, 0, words << 4, flags, 8192)
    total = transport_sum(head + b"\0\0\0\0" + options + payload, TCP, wrong_sum)
    return head + struct.pack("!HH", total, 0) + options + payload


def udp(payload=b"braid", *, sport=CLIENT, dport=DNS, length=None, wrong_sum=0):
    length = 8 + len(payload) if length is None else length
    head = struct.pack("!HHH", sport, dport, length)
    total = transport_sum(head + b"\0\0" + payload, UDP, wrong_sum) or 0xFFFF
    return head + struct.pack("!H", total) + payload


def icmp(kind, code, payload, wrong_sum=0):
    total = checksum(struct.pack("!BBHI", kind, code, 0, 0) + payload) ^ wrong_sum
    return struct.pack("!BBHI", kind, code, total, 0) + payload


MORE = 0x2000
LONG_SEGMENT = tcp(PSH | ACK, b"a" * 44)
GOOD_DATAGRAM = udp()

FRAMES = {
    "Ethernet header and nothing else": ethernet(b""),
    "unknown ethertype": ethernet(b"braid", 0x88B5),
    "802.3 length longer than the frame": ethernet(b"\xaa\xaa\x03", 1000),
    "VLAN tag before half an IPv4 header": ethernet(struct.pack("!HH", 30, IPV4) + ipv4(b"", UDP)[:10], VLAN),
    "eight VLAN tags": ethernet(struct.pack("!HH", 30, VLAN) * 7 + struct.pack("!HH", 30, IPV4)
                                + ipv4(udp(), UDP), VLAN),
    "ARP cut short": ethernet(struct.pack("!HHBBH", 1, IPV4, 6, 4, 1) + own_mac, ARP),
    "ARP with addresses of 255 bytes": ethernet(struct.pack("!HHBBH", 1, IPV4, 255, 255, 1) + bytes(20), ARP),

    "IPv4: 10 bytes of header": ethernet(ipv4(b"", UDP)[:10]),
    "IPv4: version 5": ethernet(ipv4(udp(), UDP, version=5)),
    "IPv4: version 6 under IPv4's ethertype": ethernet(ipv4(udp(), UDP, version=6)),
    "IPv4: header of 16 bytes": ethernet(ipv4(udp(), UDP, words=4)),
    "IPv4: header longer than the packet": ethernet(ipv4(udp(b""), UDP, words=15)),
    "IPv4: wrong header checksum": ethernet(ipv4(udp(), UDP, wrong_sum=0x5555)),
    "IPv4: total length beyond the frame": ethernet(ipv4(udp(), UDP, length=1400)),
    "IPv4: total length shorter than the header": ethernet(ipv4(udp(), UDP, length=12)),
    "IPv4: total length 0": ethernet(ipv4(udp(), UDP, length=0)),
    "IPv4: padded to 60 bytes": ethernet(ipv4(udp(b""), UDP) + b"\xee" * 18),
    "IPv4: TTL 0": ethernet(ipv4(udp(), UDP, ttl=0)),
    "IPv4: option of length 0": ethernet(ipv4(udp(), UDP, options=b"\x07\0\0\0")),
    "IPv4: option beyond the header": ethernet(ipv4(udp(), UDP, options=b"\x07\x27\x04\0")),
    "IPv4: loose source route": ethernet(ipv4(udp(), UDP, options=b"\x83\x07\x04" + destination + b"\0")),
    "IPv4: from itself to itself (LAND)": ethernet(ipv4(tcp(SYN), TCP, src=destination)),
    "IPv4: from the loopback network": ethernet(ipv4(udp(), UDP, src=b"\x7f\0\0\x01")),
    "IPv4: from a multicast address": ethernet(ipv4(udp(), UDP, src=b"\xe0\0\0\x01")),
    "IPv4: from the broadcast address": ethernet(ipv4(udp(), UDP, src=b"\xff" * 4)),
    "IPv4: protocol 255": ethernet(ipv4(b"braid", 255)),

    "fragment: first of two that overlap": ethernet(ipv4(LONG_SEGMENT[:40], TCP, fragment=MORE, ident=1)),
    "fragment: second of two that overlap": ethernet(ipv4(LONG_SEGMENT[24:], TCP, fragment=3, ident=1)),
    "fragment: TCP header in two": ethernet(ipv4(LONG_SEGMENT[:8], TCP, fragment=MORE, ident=2)),
    "fragment: overwrites the TCP flags": ethernet(ipv4(LONG_SEGMENT[8:], TCP, fragment=1, ident=2)),
    "fragment: same place, other bytes (1)": ethernet(ipv4(b"A" * 32, UDP, fragment=MORE | 2, ident=3)),
    "fragment: same place, other bytes (2)": ethernet(ipv4(b"B" * 32, UDP, fragment=MORE | 2, ident=3)),
    "fragment: ends beyond 65535": ethernet(ipv4(b"C" * 400, ICMP, fragment=0x1FFE, ident=4)),
    "fragment: not the last, length not a multiple of 8": ethernet(ipv4(b"D" * 13, UDP, fragment=MORE, ident=5)),
    "fragment: without payload": ethernet(ipv4(b"", UDP, fragment=MORE | 5, ident=6)),
    "fragment: don't-fragment set as well": ethernet(ipv4(GOOD_DATAGRAM[:8], UDP, fragment=0x6000, ident=7)),

    "TCP: wrong checksum": ethernet(ipv4(tcp(SYN, wrong_sum=0x5555), TCP)),
    "TCP: 12 bytes of header": ethernet(ipv4(tcp(SYN)[:12], TCP)),
    "TCP: header of 16 bytes": ethernet(ipv4(tcp(SYN, words=4), TCP)),
    "TCP: header longer than the segment": ethernet(ipv4(tcp(SYN, words=15), TCP)),
    "TCP: ports 0": ethernet(ipv4(tcp(SYN, sport=0, dport=0), TCP)),
    "TCP: no flags": ethernet(ipv4(tcp(0), TCP)),
    "TCP: Christmas tree": ethernet(ipv4(tcp(FIN | PSH | URG), TCP)),
    "TCP: all flags": ethernet(ipv4(tcp(0xFF), TCP)),
    "TCP: SYN and FIN": ethernet(ipv4(tcp(SYN | FIN), TCP)),
    "TCP: SYN and RST": ethernet(ipv4(tcp(SYN | RST), TCP)),
    "TCP: option of length 0": ethernet(ipv4(tcp(SYN, options=b"\x02\0\x05\xb4"), TCP)),
    "TCP: option beyond the header": ethernet(ipv4(tcp(SYN, options=b"\x01\x01\x02\x28"), TCP)),
    "TCP: data on a SYN": ethernet(ipv4(tcp(SYN, b"GET / HTTP/1.0\r\n\r\n"), TCP)),
    "TCP: data out of nowhere": ethernet(ipv4(tcp(PSH | ACK, b"braid", sport=40001), TCP)),

    "UDP: wrong checksum": ethernet(ipv4(udp(wrong_sum=0x5555), UDP)),
    "UDP: 4 bytes of header": ethernet(ipv4(udp()[:4], UDP)),
    "UDP: length 0": ethernet(ipv4(udp(length=0), UDP)),
    "UDP: length 7": ethernet(ipv4(udp(length=7), UDP)),
    "UDP: length beyond the packet": ethernet(ipv4(udp(length=9000), UDP)),
    "UDP: ports 0": ethernet(ipv4(udp(sport=0, dport=0), UDP)),

    "ICMP: 3 bytes": ethernet(ipv4(icmp(8, 0, b"")[:3], ICMP)),
    "ICMP: wrong checksum": ethernet(ipv4(icmp(8, 0, b"braid", wrong_sum=0x5555), ICMP)),
    "ICMP: unknown type": ethernet(ipv4(icmp(200, 7, b"braid"), ICMP)),
    "ICMP: error about nothing": ethernet(ipv4(icmp(3, 1, b""), ICMP)),
    "ICMP: error about half a header": ethernet(ipv4(icmp(3, 3, ipv4(udp(), UDP)[:11]), ICMP)),
    "ICMP: error about an error": ethernet(ipv4(icmp(11, 0, ipv4(icmp(3, 1, b""), ICMP)), ICMP)),
    "ICMP: redirect": ethernet(ipv4(icmp(5, 1, ipv4(udp(), UDP)), ICMP)),

    "IPv6: 20 bytes of header": ethernet(ipv6(b"", UDP)[:20], IPV6),
    "IPv6: version 4": ethernet(ipv6(udp(), UDP, version=4), IPV6),
    "IPv6: payload length beyond the frame": ethernet(ipv6(udp(), UDP, length=1400), IPV6),
    "IPv6: payload length 0": ethernet(ipv6(udp(), UDP, length=0), IPV6),
    "IPv6: hop-by-hop header beyond the packet": ethernet(ipv6(struct.pack("!BB6x", UDP, 200), 0), IPV6),
    "IPv6: hop-by-hop header twice": ethernet(
        ipv6(b"\0\0\x01\x04" + bytes(4) + struct.pack("!BB", UDP, 0) + b"\x01\x04" + bytes(4) + udp(), 0), IPV6),
    "IPv6: routing header of type 0": ethernet(
        ipv6(struct.pack("!BBBB4x", UDP, 2, 0, 1) + destination6 + udp(), ROUTING), IPV6),
    "IPv6: fragment header cut short": ethernet(ipv6(struct.pack("!BB", UDP, 0), FRAGMENT), IPV6),
    "IPv6: fragments that overlap (1)": ethernet(
        ipv6(struct.pack("!BBHI", UDP, 0, 1, 77) + b"E" * 24, FRAGMENT), IPV6),
    "IPv6: fragments that overlap (2)": ethernet(
        ipv6(struct.pack("!BBHI", UDP, 0, 8, 77) + b"F" * 24, FRAGMENT), IPV6),
    "IPv6: atomic fragment": ethernet(ipv6(struct.pack("!BBHI", UDP, 0, 0, 78) + udp(), FRAGMENT), IPV6),
    "IPv6: no next header, with bytes after it": ethernet(ipv6(b"braid", 59), IPV6),
    "IPv6: UDP without a checksum": ethernet(ipv6(struct.pack("!HHHH", CLIENT, DNS, 13, 0) + b"braid", UDP), IPV6),
    "IPv6: ICMPv6 of 2 bytes": ethernet(ipv6(b"\x80\0", ICMPV6), IPV6),
    "IPv6: 100 destination options headers": ethernet(
        ipv6((struct.pack("!BB", 60, 0) + b"\x01\x04" + bytes(4)) * 100, 60), IPV6),
}

for description, frame in FRAMES.items():
    port.send(frame)
    print(f"{len(frame):5} bytes  {description}")
    time.sleep(0.005)
