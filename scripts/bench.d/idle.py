"""What an idle worker costs, and how soon it has a packet that comes after a pause.

Runs in a network namespace of its own: braid on one end of a veth pair, by net_af_packet, sends every frame back;
this program on the other end measures the round trips of single frames. `idle = "spin"` in the same set-up is the
measure: what `adaptive` takes longer is the wake-up. With two workers the only receive queue, and the only transmit
queue, are the first worker's: frames of flows of the second worker cross a ring there and back, and wake both.

Where it may, it runs itself and braid at the highest priority: a worker is meant to have a core of its own, and what
other programs take of the time is not what is asked. If single frames are late even with a spinning worker, the
machine is too busy to tell, and the verdict says so.
"""

import argparse
import json
import os
import random
import socket
import struct
import subprocess
import sys
import time

import traffic
from programs import CONTROL, CORES, FOLDER, WORKER, cpu_ns, finish_braid, start_braid, stop, toml

OURS, ITS = "bench-out", "bench-in"
PACKET_IGNORE_OUTGOING = 23
PAUSE = 0.005
PATIENCE = 0.2
FLOWS = 64
# What is aimed at: share of the core, and 99th percentile of the wake-up in microseconds.
SHARE, WAKE_UP = 0.05, 200.0
# The first worker receives and sends; the second one has a core of its own where there is one beside this program's.
TWO = [WORKER, CORES[-2] if len(CORES) > 1 else WORKER]


def configuration(device, idle, cores, path=("swap",)):
    nfs = {"swap": ['kind = "mac_swap"'], "watch": ['kind = "monitor"']}
    chain = ['name = "back"', 'from = "a"', f"path = {json.dumps(list(path))}", 'to = "a"']
    return toml([f"cores = {cores}", f'idle = "{idle}"'], {"a": (device,)}, {nf: nfs[nf] for nf in path}, [chain])


def wait_for_workers(process, count):
    """Until the workers are there; time for the link is included."""
    for _ in range(200):
        if len(cpu_ns(process.pid, "worker-")) >= count or process.poll() is not None:
            break
        time.sleep(0.05)
    time.sleep(0.5)


def share(name, device, cores, seconds):
    """CPU time of workers that have nothing to do, per second of each."""
    process = start_braid(name, configuration(device, "adaptive", cores), seconds + 1.5)
    wait_for_workers(process, len(cores))
    before, begun = cpu_ns(process.pid, "worker-"), time.monotonic()
    time.sleep(seconds)
    after, elapsed = cpu_ns(process.pid, "worker-"), time.monotonic() - begun
    finish_braid(name, process)
    if len(after) != len(cores) or before.keys() != after.keys():
        stop(f"{name}: {len(after)} threads of {len(cores)} workers")
    return max(after[task] - before[task] for task in after) / 1e9 / elapsed


def open_socket():
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    link.setsockopt(263, PACKET_IGNORE_OUTGOING, 1)
    link.bind((OURS, 0x0800))
    return link


def round_trips(count, polling):
    """Microseconds until each frame was back; frames of 64 flows in turn, a pause before each. `polling`: look for
    the answer without sleeping, so that only braid's wake-up counts."""
    link = open_socket()
    link.settimeout(PATIENCE)
    chance = random.Random(3)
    ports = [chance.randrange(1024, 61000) for _ in range(FLOWS)]
    times, lost = [], 0
    for number in range(count):
        payload = struct.pack("!Q", number) + bytes(14)
        sport = ports[number % FLOWS]
        frame = traffic.udp_frame(traffic.address("10.0.0.1"), traffic.address("10.0.0.2"), sport, 9, payload)
        # Not in step with the worker's timers.
        time.sleep(PAUSE * chance.uniform(0.6, 1.4))
        if polling:
            link.setblocking(False)
        begun = time.perf_counter_ns()
        link.send(frame)
        while True:
            try:
                back = link.recv(2048)
            except BlockingIOError:
                if time.perf_counter_ns() - begun < PATIENCE * 1e9:
                    continue
                lost += 1
                break
            except TimeoutError:
                lost += 1
                break
            if back[42:50] == payload[:8]:
                times.append((time.perf_counter_ns() - begun) / 1e3)
                break
    if lost > count // 100:
        stop(f"{lost} of {count} frames did not come back")
    return sorted(times)


def percentile(times, part):
    return times[min(len(times) - 1, int(len(times) * part))]


def latency(name, idle, cores, path, count, polling):
    """Median and 99th percentile of round trips through braid."""
    device = f"net_af_packet0,iface={ITS}"
    # With time to spare, in which a busy machine is late; it is told to stop before.
    process = start_braid(name, configuration(device, idle, cores, path), count * (PAUSE * 1.2 + 0.02) + 6)
    wait_for_workers(process, len(cores))
    # Only now: braid must not inherit it.
    os.sched_setaffinity(0, {CONTROL})
    times = round_trips(count, polling)
    os.sched_setaffinity(0, CORES)
    process.terminate()
    account = finish_braid(name, process)
    busy = [worker["busy_polls"] for worker in account["workers"]]
    if min(busy) < count // 10:
        stop(f"{name}: the workers had packets in {busy} rounds: not all of them took part")
    return percentile(times, 0.5), percentile(times, 0.99)


def verdict(good):
    return "PASS" if good else "short"


def highest_priority():
    try:
        os.nice(-20)
    except PermissionError:
        print("not at the highest priority, which takes root: other programs count as well")


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench idle", add_help=False)
    parser.add_argument("--packets", type=int, default=1500)
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args()
    for command in (
        f"ip link add {OURS} type veth peer name {ITS}",
        *(f"sysctl -q -w net.ipv6.conf.{name}.disable_ipv6=1" for name in (OURS, ITS)),
        f"ip link set {OURS} up",
        f"ip link set {ITS} up",
    ):
        subprocess.run(command.split(), check=True)
    highest_priority()
    results = []

    print(f"\nCPU share of an idle worker, idle = \"adaptive\", over {args.seconds:g} s")
    for title, device, cores in (
        ("net_ring, one worker", "net_ring0", [WORKER]),
        ("net_af_packet, one worker", f"net_af_packet0,iface={ITS}", [WORKER]),
        ("net_tap, one worker", "net_tap0,iface=bench-tap", [WORKER]),
        ("net_ring, two workers", "net_ring0", TWO),
        # Its driver announces no packets: they can only be looked for.
        ("net_memif, one worker", f"net_memif0,role=server,socket=braid-bench-{os.getpid()}", [WORKER]),
    ):
        part = share("idle-share", device, cores, args.seconds)
        results.append({"name": "share", "setting": title, "share": round(part, 4), "pass": part < SHARE})
        print(f"  {title:<28}{part:8.2%}   under {SHARE:.0%}: {verdict(part < SHARE)}", flush=True)

    print(f"\nRound trip of single frames, {args.packets}, about {PAUSE * 1e3:g} ms apart, in microseconds")
    print(f"  {'':<46}{'p50':>8}{'p99':>8}")

    def row(title, name, *how):
        p50, p99 = latency(f"idle-{name}", *how)
        print(f"  {title:<46}{p50:8.0f}{p99:8.0f}", flush=True)
        results.append({"name": name, "setting": title, "p50_us": round(p50, 1), "p99_us": round(p99, 1)})
        return p50, p99

    def wake_up(title, spin, adaptive):
        p50, p99 = (slow - fast for fast, slow in zip(spin, adaptive))
        good = p99 <= WAKE_UP if spin[1] <= WAKE_UP else None
        said = "cannot be told, the machine is too busy" if good is None else verdict(good)
        print(f"  {title:<46}{p50:8.0f}{p99:8.0f}   p99 within {WAKE_UP:.0f}: {said}", flush=True)
        results.append(
            {"name": "wake_up", "setting": title, "p50_us": round(p50, 1), "p99_us": round(p99, 1), "pass": good}
        )

    swap, watch = ["swap"], ["watch", "swap"]
    wake_up(
        "wake-up: the difference",
        row("one worker, spin", "spin", "spin", [WORKER], swap, args.packets, True),
        row("one worker, adaptive", "adaptive", "adaptive", [WORKER], swap, args.packets, True),
    )
    # Two spinning workers would leave this program no core of two: one that spins is the measure here too.
    wake_up(
        "wake-up with rings: the difference",
        row("one worker with monitor, spin", "monitor", "spin", [WORKER], watch, args.packets, False),
        row("two workers, rings crossed, adaptive", "rings", "adaptive", TWO, watch, args.packets, False),
    )

    about = {"cores": len(CORES), "load": os.getloadavg(), "packets": args.packets}
    with open(f"{FOLDER}/idle.json", "w") as file:
        json.dump({"machine": about, "results": results}, file, indent=1)
        file.write("\n")
    print(f"\nload average {about['load'][0]:.1f}; target/bench/idle.json")


if __name__ == "__main__":
    sys.exit(main())
