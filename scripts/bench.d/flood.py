"""Floods at full rate through a chain of every stateful NF, while real connections go through the same NFs.

    client (10.0.1.2) -- lan: braid: wan -- server (198.51.100.2)
                              |   \\
        syn, fragments, noise (captures, over and over)   void (net_null): where the floods are routed to

The floods come in by ports that are added to the running engine, and taken away again: what the connections that were
there before meet is all there is to it.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

import floods
from programs import Control, finish_braid, toml

CLIENT, SERVER = "10.0.1.2", "198.51.100.2"
SERVICE = "203.0.113.80"
PEERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers.py")
# Of connections, sessions and flows that the NFs have room for; and frames of each flood, of which the openings are
# more than there is room for, so that each is a new connection whenever it comes by.
CAPACITY = 16384
FRAMES = {"syn": 32768, "fragments": 8192, "noise": 8192}
# Memory may grow by so many bytes after the floods have been there for a while: what the allocator rounds up.
GROWTH = 4 << 20

INWARD, OUTWARD = ["nat", "front", "track", "watch", "router"], ["edge", "track", "front", "nat", "watch", "router"]


def nfs(flooding):
    interfaces = {
        "lan": '{ mac = "02:00:00:00:00:0a", addresses = ["10.0.1.1/24", "fd00:1::1/64"] }',
        "wan": '{ mac = "02:00:00:00:00:0b", addresses = ["198.51.100.1/24", "fd00:2::1/64"] }',
        "void": '{ mac = "02:00:00:00:00:0c", addresses = ["192.0.2.1/24", "fd00:3::1/64"] }',
        **{flood: f'{{ mac = "{floods.ROUTER.hex(":")}" }}' for flood in flooding},
    }
    places = ", ".join(f'"{host}" = "02:00:00:00:00:0d"' for host in ("192.0.2.2", "192.0.2.3", "fd00:3::2"))
    services = [
        ("203.0.113.80", f'{{ name = "server", address = "{SERVER}", port = 8080 }}'),
        ("203.0.113.81", '{ name = "one", address = "192.0.2.2" }, { name = "two", address = "192.0.2.3" }'),
    ]
    return {
        "edge": ['kind = "firewall"', 'rules = ["deny tcp to any port 23", "allow ip"]', 'malformed = "pass"'],
        "track": ['kind = "conntrack"', f"tracking.capacity = {CAPACITY}"],
        "front": [
            'kind = "lb"',
            f"connections = {CAPACITY}",
            "services = ["
            + ", ".join(f'{{ address = "{a}", port = 80, mode = "nat", backends = [{b}] }}' for a, b in services)
            + "]",
        ],
        "nat": [
            'kind = "nat"',
            'inside = ["10.0.0.0/8"]',
            'pool = ["203.0.113.1"]',
            'untranslated = "pass"',
            f"capacity = {CAPACITY}",
        ],
        "watch": ['kind = "monitor"', f"capacity = {CAPACITY}", 'idle_timeout = "30s"'],
        "router": [
            'kind = "router"',
            'routes = ["default via 192.0.2.2", "::/0 via fd00:3::2"]',
            f"neighbours = {{ {places} }}",
            *(f"interfaces.{port} = {settings}" for port, settings in interfaces.items()),
        ],
    }


def configuration(flooding):
    """The router with these floods, whose captures are beside the configuration."""
    ports = {
        "lan": ("net_af_packet0,iface=lan",),
        "wan": ("net_af_packet1,iface=wan",),
        "void": ("net_null0,no-rx=1",),
    }
    for number, flood in enumerate(flooding):
        ports[flood] = (f"net_pcap{number},rx_pcap={flood}.pcap,infinite_rx=1",)
    chains = []
    for port in ("lan", "wan", *flooding):
        path = INWARD if port in ("wan", "noise") else OUTWARD
        to = '["lan", "wan", "void"]'
        chains.append([f'name = "from-{port}"', f'from = "{port}"', f"path = {json.dumps(path)}", f"to = {to}"])
    count = sum(FRAMES.values()) + 32768
    return toml(['idle = "adaptive"', f"buffers = {{ count = {count} }}"], ports, nfs(flooding), chains, "flood.sock")


class Network:
    """Three namespaces, gone at the end."""

    def __init__(self):
        self.name = f"flood-{os.getpid()}"
        self.spaces = [self.name, f"{self.name}-client", f"{self.name}-server"]
        for space in self.spaces:
            run("ip", "netns", "add", space)
        for host, port, address, gateway in (
            ("client", "lan", CLIENT, "10.0.1.1"),
            ("server", "wan", SERVER, "198.51.100.1"),
        ):
            space = f"{self.name}-{host}"
            run("ip", "-n", self.name, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", space)
            for where, device in ((self.name, port), (space, "eth0")):
                inside = ("ip", "netns", "exec", where)
                run(*inside, "sysctl", "-qw", f"net.ipv6.conf.{device}.disable_ipv6=1")
                run(*inside, "ip", "link", "set", device, "up")
            run(*inside, "ethtool", "-K", "eth0", *"tx off tso off gso off gro off".split())
            run(*inside, "ip", "link", "set", "lo", "up")
            run(*inside, "ip", "address", "add", f"{address}/24", "dev", "eth0")
            run(*inside, "ip", "route", "add", "default", "via", gateway)

    def start(self, host, *command):
        """Starts a program on a host, or without one in the middle."""
        space = f"{self.name}-{host}" if host else self.name
        pipe = subprocess.PIPE
        return subprocess.Popen(
            ["ip", "netns", "exec", space, *command], stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )

    def remove(self):
        for space in self.spaces:
            subprocess.run(["ip", "netns", "delete", space], stderr=subprocess.DEVNULL)


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(f"flood: {' '.join(command)}: {done.stdout}")


class Report:
    """What was found, line by line; a line that is not good is a failure."""

    def __init__(self):
        self.failed = 0

    def say(self, title, text, good=None):
        verdict = "" if good is None else "PASS  " if good else "FAIL  "
        self.failed += good is False
        print(f"{verdict:<6}{title}: {text}", flush=True)


def resident(process):
    """Resident memory in bytes."""
    with open(f"/proc/{process.pid}/status") as status:
        return int(re.search(r"VmRSS:\s*(\d+) kB", status.read())[1]) * 1024


def close(process, patience=40):
    """What a client printed, once its input has ended."""
    try:
        out, err = process.communicate("", timeout=patience)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
    return out, err


def clients(network, seconds):
    """Connections that are there before the floods, and go on."""
    python = (sys.executable, PEERS)
    started = {
        "a connection behind nat": network.start("client", *python, "keep", SERVER, "7000"),
        "a connection behind lb and nat": network.start("client", *python, "keep", SERVICE, "80"),
    }
    for title, process in started.items():
        if process.stdout.readline().strip() != "connected":
            sys.exit(f"flood: {title} does not come up: {process.stderr.read()}")
    started["ping"] = network.start("client", "ping", "-n", "-q", "-i", "0.1", "-W", "5", SERVER)
    iperf = ("iperf3", "-c", SERVER, "-t", str(seconds), "-b", "50M", "-i", "1", "-J")
    started["iperf3"] = network.start("client", *iperf)
    return started


def judge_clients(report, started, seconds):
    for title in ("a connection behind nat", "a connection behind lb and nat"):
        out, err = close(started[title])
        met = json.loads(out or "{}")
        good = met.get("failed") == 0 and met.get("good", 0) > seconds
        report.say(title, f"{describe(met)}" if met else err.strip(), good)
    out, err = close(started["iperf3"])
    intervals = [part["sum"]["bytes"] for part in json.loads(out or "{}").get("intervals", [])]
    windows = [sum(intervals[i : i + 5]) for i in range(0, len(intervals) - 4, 5)] or [sum(intervals)]
    rate = sum(intervals) * 8 / 1e6 / max(len(intervals), 1)
    text = f"{rate:.1f} Mbit/s, at the least {min(windows) * 8 / 5e6:.1f} in 5 s, for {len(intervals)} s"
    report.say("iperf3 at 50 Mbit/s", text if intervals else f"{out}{err}", min(windows) > 0 and len(intervals) >= seconds)
    started["ping"].send_signal(signal.SIGINT)
    out, _ = close(started["ping"])
    counts = re.search(r"(\d+) packets transmitted, (\d+) received", out)
    sent, came = (int(counts[1]), int(counts[2])) if counts else (0, 0)
    times = re.search(r"= [\d.]+/([\d.]+)/([\d.]+)", out)
    text = f"{came} of {sent} answered" + (f", after {times[1]} ms on average, {times[2]} at the most" if times else "")
    report.say("ping", text, came > 0.9 * sent > 0)


def describe(met):
    text = f"{met['good']} messages, p50 {met['p50_ms']} ms, p99 {met['p99_ms']} ms, at the most {met['max_ms']} ms"
    return text + (f"; {met['failed']} failed: {met['why']}" if met["failed"] else "")


def watch(process, control, seconds):
    """Lets time pass. Resident memory after a fifth of it and from then on, and the counters at both ends. The counters
    are asked for all the time: a control socket on which nothing is said is closed."""
    before, begun, sizes = control.call("stats.get"), time.monotonic(), []
    after = before
    while (passed := time.monotonic() - begun) < seconds:
        time.sleep(min(1, seconds - passed))
        if process.poll() is not None:
            sys.exit(f"flood: braid ended: {process.stderr.read()}")
        after = control.call("stats.get")
        if passed >= seconds / 5:
            sizes.append(resident(process))
    return before, after, sizes


def judge_floods(report, flooding, before, after, seconds):
    for flood in flooding:
        count = after["ports"][flood]["received"] - before["ports"][flood]["received"]
        report.say(f"flood of {flood}", f"{count} packets, {count / seconds / 1e6:.3f} million a second", count > 1000 * seconds)
    used = sum(worker["cpu_ns"] for worker in after["workers"]) - sum(worker["cpu_ns"] for worker in before["workers"])
    count = after["packets"]["received"] - before["packets"]["received"]
    text = f"{count} packets in {used / 1e9:.0f} s of CPU, {count * 1e3 / max(used, 1):.2f} million per CPU second"
    report.say("worker", text)
    lost = after["packets"]["dropped"]
    dropped = {reason: count - before["packets"]["dropped"].get(reason, 0) for reason, count in lost.items()}
    most = sorted(dropped.items(), key=lambda item: -item[1])[:12]
    report.say("dropped", ", ".join(f"{reason} {count}" for reason, count in most if count))


def judge_end(report, account):
    packets = account["packets"]
    came = packets["received"] + packets["created"]
    went = packets["sent"] + packets["absorbed"] + sum(packets["dropped"].values())
    panics = sum(nf["panics"] for chain in account["chains"].values() for nf in chain["nfs"].values())
    text = f"{came} packets came, {went} went, {packets['held']} are held, {panics} panics"
    report.say("account", text, came == went and packets["held"] == 0 and panics == 0)


def flood(network, folder, flooding, seconds):
    report = Report()
    for kind in flooding:
        floods.write(kind, f"{folder}/{kind}.pcap", FRAMES[kind])
    path = f"{folder}/flood.toml"
    with open(path, "w") as file:
        file.write(configuration([]))
    servers = [
        network.start("server", sys.executable, PEERS, "serve", "7000", "8080"),
        network.start("server", "iperf3", "-s"),
    ]
    process = network.start(None, os.path.abspath(os.environ["BRAID"]), "run", path, "--json")
    control = Control(f"{folder}/flood.sock", process)
    for host in ("server", "client"):
        # The neighbours find each other.
        network.start(host, "ping", "-c", "1", "-W", "10", "198.51.100.1" if host == "server" else SERVER).wait()
    # Longer than the floods, which begin once all of them are there.
    started = clients(network, round(seconds) + 3)
    time.sleep(1)
    control.call("config.apply", config=configuration(flooding))
    opening = network.start("client", sys.executable, PEERS, "open", SERVICE, "80")
    before, after, sizes = watch(process, control, seconds)
    during = json.loads(close(opening)[0] or "{}")
    control.call("config.apply", config=configuration([]))
    judge_floods(report, flooding, before, after, seconds)
    growth = max(sizes) - sizes[0]
    text = f"{sizes[0] >> 20} MiB, and {growth >> 10} KiB more at the most later on"
    report.say("resident memory", text, growth <= GROWTH)
    judge_clients(report, started, seconds)
    report.say("new connections meanwhile", f"{during['good']} came about, {during['failed']} did not")
    opening = network.start("client", sys.executable, PEERS, "open", SERVICE, "80")
    time.sleep(3)
    later = json.loads(close(opening)[0] or "{}")
    report.say("new connections afterwards", f"{later['good']} came about, {later['failed']} did not", later["good"] > 0 == later["failed"])
    control.call("engine.stop")
    judge_end(report, finish_braid("flood", process))
    for server in servers:
        server.kill()
    return report.failed


def main():
    parser = argparse.ArgumentParser(prog="scripts/flood", add_help=False)
    parser.add_argument("floods", nargs="*")
    parser.add_argument("--duration", type=float, default=600)
    args = parser.parse_args()
    flooding = args.floods or list(floods.FLOODS)
    unknown = [name for name in flooding if name not in floods.FLOODS]
    if unknown or args.duration < 5:
        sys.exit(f"flood: no flood of {', '.join(unknown)}: {', '.join(floods.FLOODS)}" if unknown else "flood: 5 s at the least")
    network = Network()
    try:
        with tempfile.TemporaryDirectory(prefix="braid-flood-") as folder:
            os.chdir(folder)
            failed = flood(network, folder, flooding, args.duration)
    finally:
        for space in network.spaces:
            said = subprocess.run(["ip", "netns", "pids", space], capture_output=True, text=True).stdout
            for pid in said.split():
                os.kill(int(pid), signal.SIGKILL)
        network.remove()
    sys.exit(f"flood: {failed} of these are not as they should be" if failed else 0)


if __name__ == "__main__":
    main()
