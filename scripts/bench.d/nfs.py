"""Every NF by itself: cycles per packet at 64 B and at IMIX, packets per CPU second beside testpmd's MAC swap, and the
memory that an entry of its state takes. `--write` puts the figures into the NFs' READMEs."""

import argparse
import atexit
import json
import os
import re
import statistics
import subprocess
import sys
import textwrap

import traffic
import works
from programs import CORES, FOLDER, WORKER, Hugepages, memory_of_braid, run_braid, run_testpmd, speed, stop, toml
from throughput import UNIT, machine, show
from works import NFS

SIZES = ("64", "imix")
TITLES = {"64": "64 B", "imix": "IMIX"}


class Subject:
    """A kind of NF: its chain, what is said of it, and the traffic for it."""

    def __init__(self, title, path, capture="flows", lossy=()):
        self.title, self.path, self.capture, self.lossy = title, path, capture, lossy


SUBJECTS = {
    "mac_swap": Subject("", ["swap"]),
    "l2fwd": Subject("1 024 stations on either side", ["switch"], "stations"),
    "firewall": Subject("10 rules of which the last matches", ["edge_10"]),
    "monitor": Subject("4 096 flows", ["watch"]),
    "vlan": Subject("a tag on, and off", ["vlan_on", "vlan_off"]),
    "mpls": Subject("two labels on, and off", ["mpls_on", "mpls_off"]),
    "ipip": Subject("into IPv4, and out", ["ipip_on", "ipip_off"]),
    "vxlan": Subject("into IPv4, and out", ["vxlan_on", "vxlan_off"]),
    "vpn": Subject("AES-128, one tunnel for everything", ["vpn_on", "vpn_off"]),
    "wireguard": Subject("packets for no peer, which pass", ["wireguard"]),
    "lb": Subject("4 096 connections, 8 back-ends behind NAT", ["front"], "service"),
    "netem": Subject("1 ms of delay, 0.1 % of loss", ["far"], lossy=["far.lost"]),
    "shaper": Subject("three classes, one marked, none held up", ["uplink"]),
    "conntrack": Subject("4 096 connections", ["state"]),
    "router": Subject("1 000 routes, 8 gateways", ["router_1000"], "routed"),
    "nat": Subject("4 096 sessions", ["nat"]),
    "nat64": Subject("4 096 sessions, from IPv6 to IPv4", ["translator"], "six"),
    "ids": Subject("1 000 words, none of them there", ["inspect"], "words"),
    "static_nat": Subject("one prefix of sources", ["addresses"]),
    "nptv6": Subject("one pair of prefixes", ["prefixes"], "six"),
    "external": Subject("the way out, to an NF that is a ring", ["outside"]),
    "smart_tagger": Subject("one rule, none of whose flows is there", ["tagger"]),
    "smart_breakpoint": Subject("no packet has the mark", ["breakpoint"]),
    "smart_merge": Subject("no packet has the mark", ["merge"]),
}
# What the NFs of a chain of two do.
SIDES = {"on": "`encap`", "off": "`decap`"}
# What is said in place of that of those that have no such modes.
WAYS = {"vpn_on": "sealing:", "vpn_off": "opening:"}


class Table:
    """The state that takes memory: what an entry is, two numbers of entries, and the NF's lines for a number. A table is
    empty, with room for so many, or `filled`."""

    def __init__(self, entry, few, many, lines, filled=False):
        self.entry, self.few, self.many, self.lines, self.filled = entry, few, many, lines, filled


def sized(kind, key, *more):
    return lambda count: [f'kind = "{kind}"', f"{key} = {count}", *more]


# A rule for which flows have to be known.
STREAMS = "alert tcp any any -> any any (content:\"word\"; sid:1;)"
FEW, MANY = 1 << 16, 1 << 20
BOTH = "for which there is room in IPv4 and in IPv6 at once"
LOOP = ['out = "loop"', 'in = "loop"']
TABLES = {
    "l2fwd": Table("station", FEW, MANY, sized("l2fwd", "capacity")),
    "firewall": Table("rule", 1000, 10000, lambda count: works.firewall(f"rules-{count}"), filled=True),
    "monitor": Table(f"flow of `capacity`, {BOTH}", FEW, MANY, sized("monitor", "capacity")),
    "lb": Table(f"connection of `connections`, {BOTH}", FEW, MANY, lambda n: [*works.balancer(), f"connections = {n}"]),
    "netem": Table("packet of `limit`", FEW, MANY, sized("netem", "limit", 'delay = "1ms"')),
    "shaper": Table(
        "packet of `queue`",
        1000,
        100000,
        lambda n: ['kind = "shaper"', f'class = [{{ name = "rest", match = "ip", ceil = "1gbit", queue = {n} }}]'],
    ),
    "conntrack": Table(f"connection of `tracking.capacity`, {BOTH}", FEW, MANY, sized("conntrack", "tracking.capacity")),
    "vpn": Table("association", 1000, 10000, lambda n: works.vpn("it", works.BACK, "inbound", n), filled=True),
    "ids": Table("flow of `capacity`", FEW, MANY, sized("ids", "capacity", f"rules = '{STREAMS}'")),
    "router": Table("route", 1000, 100000, works.router, filled=True),
    "nat64": Table("session of `capacity`", FEW, MANY, sized("nat64", "capacity", 'pool = ["203.0.113.1"]')),
    "external": Table("packet of `in_flight`", 1000, 8000, sized("external", "in_flight", *LOOP)),
    "smart_tagger": Table("flow of `capacity`", FEW, MANY, lambda n: [*works.NFS["tagger"], f"capacity = {n}"]),
    "smart_breakpoint": Table("flow of `capacity`", FEW, MANY, lambda n: [*works.NFS["breakpoint"], f"capacity = {n}"]),
    "smart_merge": Table("flow of `capacity`", 1 << 12, 1 << 16, lambda n: [*works.NFS["merge"], f"capacity = {n}"]),
    "nat": Table("session of `capacity`", FEW, MANY, lambda count: works.nat(f"capacity = {count}")),
}


def kinds():
    """The kinds that braid knows; it is an error if one is missing here."""
    said = subprocess.run([os.environ["BRAID"], "nfs"], capture_output=True, text=True, check=True).stdout
    found = [line.split()[0] for line in said.splitlines()]
    unknown = [kind for kind in found if kind not in SUBJECTS]
    if unknown:
        stop(f"no measurement for {', '.join(unknown)}: add it to scripts/bench.d/nfs.py")
    return found


def configuration(path, nfs, engine, capture=None, control="off"):
    """A chain from a capture, or from nothing, to nowhere."""
    source = f"net_pcap0,rx_pcap={capture},infinite_rx=1" if capture else "net_null0,no-rx=1"
    ports = {"a": (source, "mtu = 1600"), "b": ("net_null1,no-rx=1", "mtu = 1600")}
    if any("in = \"loop\"" in lines for lines in nfs.values()):
        ports["loop"] = ("net_ring0",)
    chain = ['name = "all"', 'from = "a"', 'match = "ip"', f"path = {json.dumps(path)}", 'to = "b"']
    return toml(engine, ports, nfs, [chain], control)


def check(names):
    """Has braid check all configurations that would be measured: what changes there has to be changed here."""
    for name in names:
        path = SUBJECTS[name].path
        texts = [configuration(path, {nf: NFS[nf] for nf in path}, [], "flows-64.pcap")]
        if name in TABLES:
            texts.append(configuration(["it"], {"it": TABLES[name].lines(TABLES[name].few)}, []))
        for text in texts:
            file = f"{FOLDER}/nf-{name}-check.toml"
            with open(file, "w") as written:
                written.write(text)
            done = subprocess.run([os.environ["BRAID"], "check", file], capture_output=True, text=True)
            if done.returncode != 0:
                stop(f"{name}: {done.stderr}")


def devices(capture):
    return [f"net_pcap0,rx_pcap={capture},infinite_rx=1", "net_null1,no-rx=1"]


def measure(names, runs, seconds, memory):
    """Runs of everything in turn: millions of packets per CPU second, and cycles per packet of each NF."""
    mpps, cycles = {}, {}
    for number in range(runs):
        for size in SIZES:
            unit = run_testpmd("macswap", devices(f"flows-{size}.pcap"), [WORKER], seconds, memory == "hugepages")
            mpps.setdefault((UNIT, size), []).append(unit)
            for name in names:
                if sys.stderr.isatty():
                    print(f"\r\033[Kround {number + 1} of {runs}: {name}", end="", file=sys.stderr, flush=True)
                subject = SUBJECTS[name]
                engine = [f"cores = [{WORKER}]", "buffers = { count = 131072 }"]
                engine += ["hugepages = true"] if memory == "hugepages" else []
                capture = f"{subject.capture}-{size}.pcap"
                text = configuration(subject.path, {nf: NFS[nf] for nf in subject.path}, engine, capture)
                account = run_braid(f"nf-{name}", text, seconds, subject.lossy)
                mpps.setdefault((name, size), []).append(speed(account))
                for nf, said in account["chains"]["all"]["nfs"].items():
                    cycles.setdefault((nf, size), []).append(said["cycles_per_packet"])
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    return mpps, cycles


def bytes_per_entry(name):
    """What one more entry of the NF's table takes of memory, by the difference of two runs that differ in nothing
    else: what is asked for at the start, as empty places are not written to; or what a table that is there takes, without
    what was needed to make it."""
    table = TABLES[name]
    taken = []
    for count in (table.few, table.many):
        nfs = {"it": table.lines(count)}
        text = configuration(["it"], nfs, [f"cores = [{WORKER}]", 'idle = "adaptive"'], control="bench.sock")
        asked, written = memory_of_braid(f"nf-{name}-memory", text)
        taken.append(written if table.filled else asked)
    return (taken[1] - taken[0]) / (table.many - table.few)


def results(names, runs, seconds, memory):
    """What is known of each NF, of which the table, the JSON and the READMEs are made."""
    mpps, cycles = measure(names, runs, seconds, memory)
    unit = {size: statistics.median(mpps[UNIT, size]) for size in SIZES}
    found = [{"name": UNIT, "mpps": {size: round(unit[size], 3) for size in SIZES}}]
    for name in names:
        subject = SUBJECTS[name]
        speeds = {size: statistics.median(mpps[name, size]) for size in SIZES}
        result = {
            "name": name,
            "setting": subject.title,
            "mpps": {size: round(speeds[size], 3) for size in SIZES},
            "ratio": {size: round(speeds[size] / unit[size], 4) for size in SIZES},
            "cycles": {nf: {s: round(statistics.median(cycles[nf, s]), 1) for s in SIZES} for nf in subject.path},
            "bytes": round(bytes_per_entry(name)) if name in TABLES else None,
            "entry": TABLES[name].entry if name in TABLES else None,
        }
        found.append(result)
    return found


def in_words(result):
    """The figures of an NF for its README."""
    parts = []
    for nf, cycles in result["cycles"].items():
        side = WAYS.get(nf, SIDES.get(nf.rsplit("_", 1)[-1])) + " " if len(result["cycles"]) > 1 else ""
        short, mixed = (cycles[size] for size in SIZES)
        parts.append(f"{side}{short:.0f} cycles per packet at 64 B and {mixed:.0f} at IMIX")
    setting = f" ({result['setting']})" if result["setting"] else ""
    mpps = "{:.1f} and {:.1f}".format(*(result["mpps"][size] for size in SIZES))
    ratio = "{:.2f} and {:.2f}".format(*(result["ratio"][size] for size in SIZES))
    memory = f"{result['bytes']} bytes per {result['entry']}" if result["entry"] else "no state that grows"
    return [
        f"- {', '.join(parts)}{setting}",
        f"- its chain: {mpps} million packets per CPU second, {ratio} of `dpdk-testpmd`'s MAC swap",
        f"- memory: {memory}",
    ]


MARKS = re.compile(r"(<!-- figures -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def write_readmes(found, about):
    """Puts the figures between the marks of each README; where there are none yet, at its end."""
    about_it = (
        f"Measured by `scripts/bench nfs` on one worker ({about['cpu']}, DPDK {about['dpdk']}); other machines have other"
        " figures, and about the same ratios:"
    )
    for result in found[1:]:
        # Kinds of one subject are in one folder.
        path = f"nfs/src/{result['name'].replace('smart_', 'smart/')}/README.md"
        with open(path) as file:
            text = file.read()
        if not MARKS.search(text):
            text = f"{text.rstrip()}\n\n## Speed\n\n<!-- figures -->\n<!-- end of figures -->\n"
        lines = [about_it, "", *in_words(result)]
        body = "\n".join("\n".join(wrapped(line)) for line in lines) + "\n"
        with open(path, "w") as file:
            file.write(MARKS.sub(lambda match: f"{match[1]}{body}{match[2]}", text))


def wrapped(line):
    return textwrap.wrap(line, 120, subsequent_indent="  " if line.startswith("- ") else "", break_on_hyphens=False)


def print_table(found):
    unit = found[0]["mpps"]
    show(f"\n  {'':<18}{'cycles/packet':>16}{'Mpps':>16}{'ratio':>16}")
    pairs = "".join(f"{TITLES[size]:>8}" for _ in range(3) for size in SIZES)
    show(f"  {'NF':<18}{pairs}   memory")
    figures = "".join(f"{unit[size]:8.1f}" for size in SIZES)
    show(f"  {UNIT:<34}{figures}{1:8.2f}{1:8.2f}")
    for result in found[1:]:
        for number, (nf, cycles) in enumerate(result["cycles"].items()):
            side = f" {SIDES[nf.rsplit('_', 1)[1]].strip('`')}" if len(result["cycles"]) > 1 else ""
            line = f"  {result['name'] + side:<18}" + "".join(f"{cycles[size]:8.1f}" for size in SIZES)
            if number == 0:
                line += "".join(f"{result['mpps'][size]:8.1f}" for size in SIZES)
                line += "".join(f"{result['ratio'][size]:8.2f}" for size in SIZES)
                line += f"   {result['bytes']} B per {result['entry'].split(',')[0]}" if result["entry"] else ""
            show(line)


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench nfs", add_help=False)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    known = kinds()
    unknown = [name for name in args.names if name not in known]
    if unknown or args.runs < 1 or args.seconds <= 0:
        stop(f"nothing is called {', '.join(unknown)}: {', '.join(known)}" if unknown else "--runs and --seconds: too few")
    names = [name for name in known if name in args.names or not args.names]
    works.write_files({nf for name in names for nf in SUBJECTS[name].path} | {"router_1000"})
    if args.check:
        works.capture("flows", "64")
        return check(names)
    traffic.write_routes(f"{FOLDER}/routes-100000", traffic.routes(100000))
    for capture in sorted({"flows", *(SUBJECTS[name].capture for name in names)}):
        for size in SIZES:
            works.capture(capture, size)

    about = machine() | {"runs": args.runs, "seconds": args.seconds, "load_before": os.getloadavg()}
    hugepages = Hugepages(448)
    atexit.register(hugepages.give_back)
    memory = "hugepages" if hugepages.there else "ordinary pages"
    about["memory"] = memory
    if not args.json:
        show(f"{about['cpu']}, {about['cores']} cores, DPDK {about['dpdk']}, Linux {about['kernel']}; {memory}")
        show(f"Cycles per packet of the NF; millions of packets per CPU second of its chain (net_pcap, {traffic.FLOWS} UDP")
        show(f"flows, to net_null), and their ratio to testpmd; medians of {args.runs} runs of {args.seconds:g} s")
    found = results(names, args.runs, args.seconds, memory)
    about["load_after"] = os.getloadavg()
    report = json.dumps({"machine": about, "results": found}, indent=1)
    with open(f"{FOLDER}/nfs.json", "w") as file:
        file.write(f"{report}\n")
    if args.json:
        print(report)
    else:
        print_table(found)
        show(f"\nload average {about['load_before'][0]:.1f} before, {about['load_after'][0]:.1f} after; target/bench/nfs.json")
    if args.write:
        write_readmes(found, about)


if __name__ == "__main__":
    main()
