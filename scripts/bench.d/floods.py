"""Hostile traffic, as captures: openings of connections that go nowhere, fragments, and bytes that mean nothing."""

import random
import struct

from traffic import address, checksum, ipv4, write_frames

# The router's address on the ports that the floods come in by.
ROUTER = bytes.fromhex("02000000000f")
SENDER = bytes.fromhex("020000000066")
# A service of the load balancer that nobody else uses.
VICTIM = address("203.0.113.81")


def source(chance):
    return bytes([10, 64 + chance.randrange(64)]) + chance.randbytes(2)


def destination(chance):
    """The service, or somewhere."""
    return VICTIM if chance.random() < 0.5 else bytes([20]) + chance.randbytes(3)


def ethernet(payload, ether_type=0x0800, to=ROUTER):
    return to + SENDER + struct.pack("!H", ether_type) + payload


def openings(count):
    """TCP SYNs with right checksums, each from another host."""
    chance = random.Random(5)
    for _ in range(count):
        ends = source(chance) + destination(chance)
        ports = struct.pack("!HH", chance.randrange(1024, 65536), 80)
        tcp = ports + chance.randbytes(4) + bytes(4) + struct.pack("!BBHHH", 0x60, 0x02, 64240, 0, 0) + b"\x02\x04\x05\xb4"
        check = checksum(ends + struct.pack("!HH", 6, len(tcp)) + tcp)
        tcp = tcp[:16] + struct.pack("!H", check) + tcp[18:]
        yield ethernet(ipv4(6, ends[:4], ends[4:], tcp))


def fragments(count):
    """Firsts without the rest, rests without a first, rests that overwrite the TCP header, pieces of all sizes."""
    chance = random.Random(6)
    for number in range(count):
        identification, protocol = chance.getrandbits(16), chance.choice((6, 17, 1))
        ends = source(chance), destination(chance)
        payload = struct.pack("!HH", chance.randrange(1024, 65536), 80) + chance.randbytes(4 + 8 * chance.randrange(1, 8))
        offset = (0, chance.randrange(1, 8190), 1, chance.randrange(3))[number % 4]
        more = 0x2000 if number % 4 == 0 or chance.random() < 0.5 else 0
        if chance.random() < 0.25:
            kind = chance.choice((6, 17, 58))
            head = struct.pack("!BBHI", kind, 0, offset << 3 | more >> 13, identification) + payload
            hosts = bytes.fromhex("fd000064") + chance.randbytes(12) + bytes.fromhex("fd000020") + chance.randbytes(12)
            yield ethernet(struct.pack("!IHBB", 6 << 28, len(head), 44, 64) + hosts + head, 0x86DD)
        else:
            yield ethernet(ipv4(protocol, *ends, payload, identification, more | offset))


def noise(count):
    """Random frames; random packets behind a good Ethernet header; random contents of good IP packets."""
    chance = random.Random(7)
    types = (0x0800, 0x86DD, 0x0806, 0x8100, 0x88A8, 0x8847)
    protocols = (0, 1, 4, 6, 17, 41, 43, 44, 47, 50, 51, 58, 60, 132, 136)
    for number in range(count):
        some = chance.randbytes(chance.randrange(0, 500))
        if number % 4 == 0:
            yield chance.randbytes(14) + some
        elif number % 4 == 1:
            yield ethernet(some, chance.choice(types))
        elif number % 4 == 2:
            yield ethernet(ipv4(chance.choice(protocols), chance.randbytes(4), destination(chance), some))
        else:
            head = struct.pack("!IHBB", 6 << 28, len(some), chance.choice(protocols), chance.randrange(256))
            yield ethernet(head + bytes.fromhex("fd00") + chance.randbytes(30) + some, 0x86DD)


FLOODS = {"syn": openings, "fragments": fragments, "noise": noise}


def write(kind, path, count):
    write_frames(path, FLOODS[kind](count))
