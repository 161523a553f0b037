"""What goes through: a capture of many UDP flows, and firewall rules that it passes. The same on every machine."""

import random
import struct

FLOWS = 4096
FRAME = 64
# Ports of the traffic are above, those that rules deny below.
FIRST_PORT = 1024


def checksum(data):
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def address(text):
    return bytes(map(int, text.split(".")))


def udp_frame(source, destination, sport, dport, payload, macs=(b"\x02\0\0\0\0\x02", b"\x02\0\0\0\0\x01")):
    """An Ethernet frame with right lengths and checksums; `payload` of an even number of bytes."""
    length = 8 + len(payload)
    udp = struct.pack("!HHHH", sport, dport, length, 0) + payload
    pseudo = source + destination + struct.pack("!HH", 17, length)
    udp = udp[:6] + struct.pack("!H", checksum(pseudo + udp) or 0xFFFF) + udp[8:]
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0x4000, 64, 17, 0) + source + destination
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    return macs[0] + macs[1] + b"\x08\x00" + ip + udp


def write_capture(path):
    """One frame of each flow, from 10.0.0.0/8 to 192.168.0.0/16, as a classic capture file."""
    chance = random.Random(1)
    flows = set()
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        while len(flows) < FLOWS:
            source = bytes([10] + [chance.randrange(256) for _ in range(3)])
            destination = bytes([192, 168] + [chance.randrange(256) for _ in range(2)])
            sport, dport = chance.randrange(32768, 61000), chance.randrange(FIRST_PORT, 32768)
            if (source, destination, sport, dport) in flows:
                continue
            flows.add((source, destination, sport, dport))
            frame = udp_frame(source, destination, sport, dport, bytes(FRAME - 42))
            file.write(struct.pack("<IIII", 1_700_000_000, len(flows), FRAME, FRAME) + frame)


def write_rules(path, count):
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
        file.write("allow udp from 10.0.0.0/8 to 192.168.0.0/16\n")
