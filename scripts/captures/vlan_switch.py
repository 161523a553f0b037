"""A VLAN switch in user space: untagged access ports on one side, a tagged trunk on the other.

usage: vlan_switch.py TRUNK PORT=VLAN...      VLAN: 10, or 200.20 for VLAN 20 inside service VLAN 200
"""

import selectors
import socket
import struct
import sys

ETH_P_ALL = 0x0003
SOL_PACKET, PACKET_AUXDATA = 263, 8
TP_STATUS_VLAN_VALID = 0x10
CUSTOMER_TAG, SERVICE_TAG = 0x8100, 0x88A8


def tags_of(vlan):
    """The bytes between the addresses and the ethertype."""
    numbers = [int(number) for number in vlan.split(".")]
    types = [SERVICE_TAG, CUSTOMER_TAG] if len(numbers) == 2 else [CUSTOMER_TAG]
    return b"".join(struct.pack("!HH", kind, number) for kind, number in zip(types, numbers))


def open_port(device):
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    port.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    port.bind((device, 0))
    return port


def receive(port):
    """A frame that came in, its outer tag, which the kernel hands over separately, put back; None for our own."""
    frame, control, _, address = port.recvmsg(65536, 256)
    if address[2] == socket.PACKET_OUTGOING:
        return None
    for level, kind, data in control:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, _, _, _, _, tag, tag_type = struct.unpack_from("=IIIHHHH", data)
            if status & TP_STATUS_VLAN_VALID:
                frame = frame[:12] + struct.pack("!HH", tag_type, tag) + frame[12:]
    return frame


def main():
    trunk = open_port(sys.argv[1])
    access = {}
    for argument in sys.argv[2:]:
        device, vlan = argument.split("=")
        access[open_port(device)] = tags_of(vlan)
    ready = selectors.DefaultSelector()
    for port in [trunk, *access]:
        ready.register(port, selectors.EVENT_READ)
    while True:
        for key, _ in ready.select():
            frame = receive(key.fileobj)
            if frame is None:
                continue
            if key.fileobj is not trunk:
                trunk.send(frame[:12] + access[key.fileobj] + frame[12:])
                continue
            for port, tags in access.items():
                if frame[12:].startswith(tags):
                    port.send(frame[:12] + frame[12 + len(tags):])


if __name__ == "__main__":
    main()
