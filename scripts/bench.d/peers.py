"""Ends of real connections: an echo server; a client that keeps one connection; one that opens new ones all the time.

    peers.py serve PORT...          echoes what comes
    peers.py keep HOST PORT         one connection, a message every 20 ms, until standard input ends
    peers.py open HOST PORT         a connection every 200 ms, with one message, likewise

The clients print what they met, as JSON.
"""

import json
import random
import selectors
import socket
import sys
import threading
import time

MESSAGE = 256
PATIENCE = 10.0


def serve(ports):
    found = selectors.DefaultSelector()
    for port in ports:
        listener = socket.create_server(("", int(port)), backlog=128)
        found.register(listener, selectors.EVENT_READ, None)
    while True:
        for key, _ in found.select():
            if key.data is None:
                connection, _ = key.fileobj.accept()
                found.register(connection, selectors.EVENT_READ, True)
                continue
            try:
                data = key.fileobj.recv(65536)
                if data:
                    key.fileobj.sendall(data)
                    continue
            except OSError:
                pass
            found.unregister(key.fileobj)
            key.fileobj.close()


def exchange(connection, chance):
    """One message there and back; whether it is the same one."""
    sent = chance.randbytes(MESSAGE)
    connection.sendall(sent)
    came = b""
    while len(came) < MESSAGE:
        piece = connection.recv(MESSAGE - len(came))
        if not piece:
            raise ConnectionError("closed by the other side")
        came += piece
    if came != sent:
        raise ConnectionError("another message came back")


def until_told(action, pause):
    """Repeats `action` until standard input ends; prints how it went."""
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    times, failures = [], []
    while not over.wait(pause):
        begun = time.monotonic()
        try:
            action()
            times.append(time.monotonic() - begun)
        except OSError as error:
            failures.append(str(error))
            if pause < 0.1:
                break
    times.sort()
    at = lambda part: round(1e3 * times[min(len(times) - 1, int(len(times) * part))], 3) if times else None
    print(json.dumps({"good": len(times), "failed": len(failures), "why": failures[:3], "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1)}))


def main():
    what, *rest = sys.argv[1:]
    chance = random.Random()
    if what == "serve":
        serve(rest)
    place = (rest[0], int(rest[1]))
    if what == "keep":
        connection = socket.create_connection(place, timeout=PATIENCE)
        print("connected", flush=True)
        until_told(lambda: exchange(connection, chance), 0.02)
    else:

        def once():
            with socket.create_connection(place, timeout=PATIENCE) as connection:
                exchange(connection, chance)

        until_told(once, 0.2)


if __name__ == "__main__":
    main()
