"""What goes through: captures of many UDP flows, and the rules and routes that they pass. The same on every machine."""

import os
import random
import struct

FLOWS = 4096
FRAME = 64
# The usual simple mix: 7 short frames, 4 of middle length, 1 long.
IMIX = (64,) * 7 + (594,) * 4 + (1518,)
LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
# Ports of the traffic are above, those that rules deny below.
FIRST_PORT = 1024
# Destination and source.
MACS = (b"\x02\0\0\0\0\x02", b"\x02\0\0\0\0\x01")
# The beginnings of IPv6 addresses: fd01:203:405::/96 and 2001:db8:64::/96.
INSIDE6, FAR6 = "fd0102030405", "20010db80064"
SERVICE = ("192.0.2.80", 80)
STATIONS = 1024
GATEWAYS = 8


def checksum(data):
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def address(text):
    return bytes(map(int, text.split(".")))


def ipv4(protocol, source, destination, payload, identification=0, fragment=0x4000):
    """An IPv4 packet; `fragment` are the flags (here: don't fragment) and the offset."""
    begin = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), identification, fragment, 64, protocol, 0)
    header = begin + source + destination
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def udp_frame(source, destination, sport, dport, payload, macs=MACS):
    """An Ethernet frame with right lengths and checksums; `payload` of an even number of bytes."""
    length = 8 + len(payload)
    udp = struct.pack("!HHHH", sport, dport, length, 0) + payload
    pseudo = source + destination + struct.pack("!HH", 17, length)
    udp = udp[:6] + struct.pack("!H", checksum(pseudo + udp) or 0xFFFF) + udp[8:]
    return macs[0] + macs[1] + b"\x08\x00" + ipv4(17, source, destination, udp)


def udp6_frame(source, destination, sport, dport, payload):
    """The same over IPv6, between addresses that end in these IPv4 addresses."""
    ends = bytes.fromhex(INSIDE6) + bytes(6) + source + bytes.fromhex(FAR6) + bytes(6) + destination
    udp = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload
    check = checksum(ends + struct.pack("!II", len(udp), 17) + udp) or 0xFFFF
    packet = struct.pack("!IHBB", 6 << 28, len(udp), 17, 64) + ends + udp[:6] + struct.pack("!H", check) + udp[8:]
    return MACS[0] + MACS[1] + b"\x86\xdd" + packet


def write_frames(path, frames):
    """A classic capture file."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for frame in frames:
            file.write(struct.pack("<IIII", 1_700_000_000, 0, len(frame), len(frame)) + frame)


def anywhere(chance, number):
    """A destination in 192.168.0.0/16."""
    return bytes([192, 168] + [chance.randrange(256) for _ in range(2)]), chance.randrange(FIRST_PORT, 32768)


def to_service(chance, number):
    """The address and port of the load balancer's service."""
    return address(SERVICE[0]), SERVICE[1]


def over(routes):
    """Destinations in all of these networks alike, somewhere in each."""

    def choose(chance, number):
        # The factor has no divisor in common with the counts used: neighbours in time are not neighbours in the table.
        value, length = routes[number * 7919 % len(routes)]
        value |= chance.randrange(1 << (32 - length))
        return value.to_bytes(4, "big"), chance.randrange(FIRST_PORT, 32768)

    return choose


def flows(count, destination):
    """Flows from 10.0.0.0/8: source, destination, and their ports; each once."""
    chance = random.Random(1)
    known = set()
    while len(known) < count:
        source = bytes([10] + [chance.randrange(256) for _ in range(3)])
        flow = (source, *destination(chance, len(known)))
        flow = (*flow[:2], chance.randrange(32768, 61000), flow[2])
        if flow not in known:
            known.add(flow)
            yield flow


def write_capture(path, sizes=(FRAME,), destination=anywhere, count=FLOWS, stations=False, six=False, words=False):
    """One frame of each flow; sizes shuffled, each as often as it is in `sizes`. With `stations` between many stations,
    else between two; with `six` over IPv6; with `words` full of letters and digits, else of zeros."""
    chance = random.Random(3)

    def frames():
        pending = []
        for source, to, sport, dport in flows(count, destination):
            if not pending:
                pending = list(sizes)
                chance.shuffle(pending)
            size = pending.pop()
            if six:
                yield udp6_frame(source, to, sport, dport, bytes(size - 62))
                continue
            macs = tuple(station(side, chance.randrange(STATIONS)) for side in (2, 1)) if stations else MACS
            payload = bytes(chance.choices(LETTERS, k=size - 42)) if words else bytes(size - 42)
            yield udp_frame(source, to, sport, dport, payload, macs)

    write_frames(path, frames())


def write_literals(path, count):
    """Rules that each look for a word of 8 to 16 letters and digits, anywhere in UDP. Words so long do not come about by
    chance, so none is in the capture."""
    chance = random.Random(5)
    with open(path, "w") as file:
        for number in range(count):
            word = bytes(chance.choices(LETTERS, k=chance.randrange(8, 17))).decode()
            file.write(f'alert udp any any -> any any (msg:"word {number}"; content:"{word}"; sid:{number + 1};)\n')


def station(side, number):
    """The address of a station on a side."""
    return bytes([2, 0, 0, side]) + number.to_bytes(2, "big")


def routes(count):
    """Networks as (address, length), each once, with lengths about as in the Internet's table."""
    chance = random.Random(4)
    found = {}
    lengths = [24] * 60 + [23] * 9 + [22] * 11 + [21] * 5 + [20] * 5 + [19] * 3 + [18] * 2 + [17] + [16] * 4
    while len(found) < count:
        length, value = lengths[chance.getrandbits(16) % 100], chance.getrandbits(32)
        if 0 < value >> 24 < 224 and value >> 24 not in (10, 127):
            found[value >> (32 - length) << (32 - length), length] = None
    return list(found)


def write_routes(path, networks):
    """A file of routes, over several gateways in turn."""
    with open(path, "w") as file:
        for number, (value, length) in enumerate(networks):
            network = ".".join(map(str, value.to_bytes(4, "big")))
            file.write(f"{network}/{length} via 192.0.2.{2 + number % GATEWAYS}\n")


def once(path, write):
    """Writes a file that takes long, unless it is there from before, made by this program as it is."""
    if not os.path.exists(path) or os.path.getmtime(path) < os.path.getmtime(__file__):
        write(f"{path}.new")
        os.rename(f"{path}.new", path)


def write_rules(path, count, last="to 192.168.0.0/16"):
    """Rules of which only the last matches the capture. The others miss it by the destination, by the source, or by
    the port alone, in turn, so that no single field tells at once."""
    chance = random.Random(2)

    def prefix(first, second=None):
        length = chance.choice([16, 20, 24, 28, 32])
        parts = [first] if second is None else [first, second]
        parts += [chance.randrange(256) for _ in range(4 - len(parts))]
        value = int.from_bytes(bytes(parts), "big") >> (32 - length) << (32 - length)
        return ".".join(map(str, value.to_bytes(4, "big"))) + f"/{length}"

    with open(path, "w") as file:
        for number in range(count - 1):
            source, destination = prefix(10), prefix(192, 168)
            ports = str(chance.randrange(FIRST_PORT, 32768))
            if number % 3 == 0:
                destination = prefix(172)
            elif number % 3 == 1:
                source = prefix(11)
            else:
                ports = str(chance.randrange(1, FIRST_PORT))
            file.write(f"deny udp from {source} to {destination} port {ports}\n")
        file.write(f"allow udp from 10.0.0.0/8 {last}\n")
