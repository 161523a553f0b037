"""Hostile conversations for an inspector, as captures: each is a list of frames that its ends might send."""

import itertools
import random
import struct

from traffic import checksum, ipv4

MACS = b"\x02\0\0\0\0\x02" + b"\x02\0\0\0\0\x01"
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
SERVER = bytes([192, 0, 2, 1])
# What the rules look for; the first word makes a rule wait for the second, which comes in attacks only.
WORD, LATER = b"first-half", b"second-half"
LIVE = 64


def ethernet(packet):
    return MACS + b"\x08\x00" + packet


def tcp_packet(ends, ports, flags, seq, ack=0, payload=b"", ttl=64, urgent=0, options=b""):
    """A TCP segment without IP, with a right checksum."""
    head = struct.pack("!HHIIBBHHH", *ports, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, (5 + len(options) // 4) << 4, flags, 64240, 0, urgent)
    segment = head + options + payload
    even = ends + struct.pack("!HH", 6, len(segment)) + segment + bytes(len(segment) % 2)
    return segment[:16] + struct.pack("!H", checksum(even)) + segment[18:]


class Connection:
    """A client and a server; `to` and `back` are frames of theirs, at places in their streams."""

    def __init__(self, chance, port=80):
        self.client = bytes([10]) + chance.randbytes(3)
        self.ports = (chance.randrange(1024, 65536), port)
        self.isns = (chance.getrandbits(32), chance.getrandbits(32))

    def segment(self, forward, flags, seq, ack, payload, **more):
        ends = self.client + SERVER if forward else SERVER + self.client
        ports = self.ports if forward else self.ports[::-1]
        return ends, tcp_packet(ends, ports, flags, seq, ack, payload, **more)

    def to(self, at, payload=b"", flags=ACK, acked=0, **more):
        own, other = self.isns
        ends, segment = self.segment(True, flags, own + 1 + at, other + 1 + acked, payload, **more)
        return ethernet(ipv4(6, ends[:4], ends[4:], segment))

    def back(self, at, payload=b"", flags=ACK, acked=0):
        own, other = self.isns
        ends, segment = self.segment(False, flags, other + 1 + at, own + 1 + acked, payload)
        return ethernet(ipv4(6, ends[:4], ends[4:], segment))

    def opening(self):
        ends, segment = self.segment(True, SYN, self.isns[0], 0, b"", options=b"\x02\x04\x05\xb4")
        yield ethernet(ipv4(6, ends[:4], ends[4:], segment))
        yield self.back(-1, flags=SYN | ACK)
        yield self.to(0)


def pieces(connection, text, size):
    """A text, acknowledged as it comes."""
    for at in range(0, len(text), size):
        piece = text[at : at + size]
        yield connection.to(at, piece, PSH | ACK)
        yield connection.back(0, acked=at + len(piece))


def attacks(chance):
    """What has to be found: in one segment, over an ordinary connection."""
    one = Connection(chance)
    text = b"an attack: " + WORD + b" and " + LATER
    yield from [*one.opening(), *pieces(one, text, 1000), one.to(len(text), flags=FIN | ACK)]
    yield from [one.back(0, flags=FIN | ACK, acked=len(text) + 1), one.to(len(text) + 1, acked=1)]


def holes(chance):
    """Segments in any order, of which the first never comes."""
    one = Connection(chance)
    places = [chance.randrange(1, 1 << 16) for _ in range(16)]
    yield from one.opening()
    for place in places:
        yield one.to(place, chance.randbytes(chance.randrange(1, 1200)), PSH | ACK)
        yield one.back(0)


def overlaps(chance):
    """Segments that overlap those before, with the same bytes or with others; then what was missing."""
    one = Connection(chance)
    text = chance.randbytes(4096)
    yield from one.opening()
    for begin in range(1, 24):
        same = chance.random() < 0.5
        part = text[begin : begin + 1300]
        yield one.to(begin, part if same else chance.randbytes(len(part)), PSH | ACK, ttl=chance.choice((64, 64, 3)))
    yield one.to(0, text[:1], PSH | ACK)
    yield one.back(0, acked=1300)


def tiny(chance):
    """Segments of a byte, after the word that makes rules wait."""
    one = Connection(chance)
    yield from [*one.opening(), *pieces(one, WORD, len(WORD))]
    for at in range(len(WORD), len(WORD) + 48):
        frame = one.to(at, b"x", PSH | ACK)
        # Some with a wrong checksum, before the right ones.
        yield from [frame[:-1] + b"y"] * (at % 8 == 0)
        yield frame
    yield one.back(0, acked=len(WORD) + 48)


def heads(chance):
    """Headers without end, of a request or of a response."""
    one = Connection(chance)
    yield from one.opening()
    lines = b"".join(b"X-%d: %s\r\n" % (chance.getrandbits(32), bytes(40)) for _ in range(chance.choice((20, 500))))
    yield from pieces(one, b"GET /" + WORD + b" HTTP/1.1\r\n" + lines, 1400)


def bodies(chance):
    """Chunks without end; many requests at once without a response."""
    one = Connection(chance)
    yield from one.opening()
    if chance.random() < 0.5:
        text = b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 2000
    else:
        text = b"GET /%08x HTTP/1.1\r\nHost: h\r\n\r\n" % chance.getrandbits(32) * 200
    yield from pieces(one, text, 1400)


def hellos(chance):
    """Handshakes of TLS without end, from both sides."""
    one = Connection(chance, 443)
    yield from one.opening()
    hello = b"\x03\x03" + chance.randbytes(32) + b"\0\x13\x01\0"
    message = b"\x02" + struct.pack("!I", len(hello))[1:] + hello
    record = b"\x16\x03\x03" + struct.pack("!H", len(message)) + message
    yield one.to(0, b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03" + chance.randbytes(1000), PSH | ACK)
    for at in range(0, 8 * len(record) * 24, len(record) * 24):
        yield one.back(at, record * 24, PSH | ACK, acked=1011)
        yield one.to(1011, acked=at + len(record) * 24)


def openings(chance):
    """SYNs that nobody answers, some with data."""
    for _ in range(16):
        one = Connection(chance)
        ends, segment = one.segment(True, SYN, one.isns[0], 0, chance.choice((b"", WORD)))
        yield ethernet(ipv4(6, ends[:4], ends[4:], segment))


def ends(chance):
    """Resets and ends that may be decoys, urgent bytes, and what comes after; then another connection."""
    one = Connection(chance)
    yield from [*one.opening(), *pieces(one, WORD, 4)]
    at = len(WORD)
    yield one.to(at, b"urgent", PSH | ACK | URG, urgent=chance.randrange(8))
    yield one.to(at + 6, flags=chance.choice((RST, RST | ACK, FIN | ACK)), ttl=chance.choice((64, 57, 3)))
    yield one.to(at + 6, b"more", PSH | ACK)
    one.isns = (chance.getrandbits(32), chance.getrandbits(32))
    yield from [*one.opening(), *pieces(one, WORD, 4)]


def bits(chance):
    """Datagrams that set bits of flows and of hosts, and are counted; each of another host."""
    for _ in range(16):
        source, ports = bytes([10]) + chance.randbytes(3), struct.pack("!HH", chance.randrange(1024, 65536), 999)
        payload = b"sets a bit %d" % chance.randrange(4)
        yield ethernet(ipv4(17, source, SERVER, ports + struct.pack("!HH", 8 + len(payload), 0) + payload))


def queries(chance):
    """DNS: names that point to themselves and others, and half of a message over TCP."""
    for _ in range(8):
        source, ports = bytes([10]) + chance.randbytes(3), struct.pack("!HH", chance.randrange(1024, 65536), 53)
        names = b"".join(b"\x3f" + b"a" * 63 for _ in range(3)) + chance.choice((b"\0", b"\xc0\x0c"))
        message = chance.randbytes(2) + struct.pack("!HHHHH", 0x0100, 1, 0, 0, 0) + names + b"\0\x01\0\x01"
        yield ethernet(ipv4(17, source, SERVER, ports + struct.pack("!HH", 8 + len(message), 0) + message))
    one = Connection(chance, 53)
    yield from [*one.opening(), *pieces(one, struct.pack("!H", 30000) + message, 1400)]


def fragments(chance):
    """Segments and datagrams in fragments: whole, tiny, overlapping, or never whole."""
    for _ in range(4):
        one = Connection(chance)
        ends, segment = one.segment(True, ACK, one.isns[0], one.isns[1], WORD + chance.randbytes(chance.randrange(30, 1200)))
        number, step = chance.getrandbits(16), chance.choice((8, 64, 512))
        parts = [(at, segment[at : at + step]) for at in range(0, len(segment), step)][: chance.choice((16, 200))]
        if chance.random() < 0.5:
            parts.insert(1, (chance.randrange(64) * 8, chance.randbytes(1000)))
        if chance.random() < 0.5:
            chance.shuffle(parts)
        for at, part in parts:
            more = 0x2000 if at + len(part) < len(segment) else 0
            yield ethernet(ipv4(6, ends[:4], ends[4:], part + bytes(len(part) % 2 if more else 0), number, more | at // 8))


CASES = (holes, overlaps, tiny, heads, bodies, hellos, openings, ends, bits, queries, fragments)


def frames(count):
    """So many frames of all cases, `LIVE` conversations at a time; an attack among forty others."""
    chance = random.Random(11)
    cases = itertools.cycle((*CASES * 4, attacks))
    live = [next(cases)(chance) for _ in range(LIVE)]
    while count > 0:
        place = chance.randrange(LIVE)
        frame = next(live[place], None)
        if frame is None:
            live[place] = next(cases)(chance)
        else:
            count -= 1
            yield frame
