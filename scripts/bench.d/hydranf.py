"""The chains of Table 6.1 on two cores, in order and side by side: latency, speed, and what it costs in cycles.

Each chain first runs in order. What its NFs took then is what `auto` plans by, and the critical path is computed from.
`--write` puts the tables into docs/run-in-parallel.md and README.md."""

import argparse
import atexit
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import traffic
import works
from nfs import devices
from programs import CONTROL, CORES, FOLDER, WORKER, Control, Hugepages, cpu_ns, finish_braid, run_testpmd, start_braid, stop, toml
from throughput import UNIT, machine, show

PAGE, COSTS_PAGE = Path("docs/run-in-parallel.md"), Path("README.md")
MARKS = ("<!-- figures -->", "<!-- end of figures -->")
COSTS_MARKS = ("<!-- what a fork costs -->", "<!-- end of what a fork costs -->")
SIZES = (512, 64, 1518)
MODES = ("off", "max", "auto")
CAPTURE = "asked"
RULES = "rules-ports-100"
# The paper's best cut of latency, and how near to the critical path it is to come.
CUT, NEAR = 0.317, 1.10
# What two readers are to reach of testpmd's MAC swap, and BESS does without a merge.
READERS = 0.60

FIREWALL = ['kind = "firewall"', f'rules = "{RULES}"']
IDS = ['kind = "ids"', 'rules = "literals-1000"']
NFS = {
    "paper": {
        "ids": [*IDS, 'scope = "packets"'],
        "nat": ['kind = "static_nat"', 'source = { "10.0.0.0/8" = "11.0.0.0/8" }', 'icmp_errors = "pass"'],
        "fw": FIREWALL,
    },
    "real": {
        "ids": [*IDS, 'mode = "drop"'],
        "nat": works.nat(),
        "fw": ['kind = "firewall"', 'rules = ["allow ct state established,related", "deny udp to any port 1000-1023", "allow ip"]'],
    },
}
COMMON = {
    "twin": [*IDS, 'scope = "packets"'],
    "l2fwd": ['kind = "mac_swap"'],
    "seal": works.vpn("seal", works.ENDS, "outbound"),
    "vpn": works.vpn("vpn", works.BACK, "inbound"),
    "monitor": ['kind = "monitor"'],
    "lb": works.balancer(),
}
PATHS = (("ids", "nat", "fw"), ("seal", "vpn", "monitor", "fw", "lb"), ("nat", "fw", "ids", "lb"), ("l2fwd", "nat", "fw"))
# Two of equal weight: what can be cut where the critical path leaves something, and at the last size, where each has more
# than 2 us to do, what it costs on two cores together.
BALANCED = ("ids", "twin")
LARGE = 9000
# What it may cost more, on one core and on two.
ONE_CORE, TWO_CORES = 0.03, 0.07


class Chain:
    """A chain in one configuration, at one frame size."""

    def __init__(self, path, kind, size):
        self.path, self.kind, self.size = path, kind, size
        self.name = f"hydranf-{'-'.join(path)}-{kind}-{size}"
        self.delays = f"{self.name}-delays.json"

    def text(self, mode, memory):
        # Packets come in one piece: net_pcap does not play others for ever.
        buffers = f"count = 8192, size = {LARGE + 1000}" if self.size == LARGE else "count = 65536"
        engine = [f"cores = [{WORKER}]", f"buffers = {{ {buffers} }}"]
        engine += ["hugepages = true"] if memory else []
        engine += [] if mode == "off" else ["helpers = 1", f'delays = "{self.delays}"', 'replan = "0s"']
        source, sink = devices(f"{CAPTURE}-{self.size}.pcap")
        ports = {"a": (source, "mtu = 9100"), "b": (sink, "mtu = 9100")}
        chain = ['name = "all"', 'from = "a"', 'match = "ip"', f"path = {json.dumps(self.path)}", 'to = "b"']
        nfs = {nf: (NFS[self.kind] | COMMON)[nf] for nf in self.path}
        return toml(engine, ports, nfs, [[*chain, f'parallel = "{mode}"']], "bench.sock")

    def planned(self, mode, memory):
        file = f"{FOLDER}/{self.name}.toml"
        Path(file).write_text(self.text(mode, memory))
        command = [os.environ["BRAID"], "plan", file, "--delays", f"{FOLDER}/{self.delays}", "--json"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            stop(done.stderr)
        return json.loads(done.stdout)["chains"][0]


def run(name, text, seconds):
    """The account of a run, and what its threads took while all was warm."""
    process = start_braid(name, text, None)
    control = Control(f"{FOLDER}/bench.sock", process)
    time.sleep(0.3)
    first, begun = control.call("stats.get"), helpers_ns(process)
    time.sleep(seconds)
    last, ended = control.call("stats.get"), helpers_ns(process)
    control.call("engine.stop")
    account = finish_braid(name, process)
    packets = last["packets"]["received"] - first["packets"]["received"]
    worker = sum(w["cpu_ns"] for w in last["workers"]) - sum(w["cpu_ns"] for w in first["workers"])
    dropped = sum(account["packets"]["dropped"].values())
    if packets == 0 or worker == 0 or dropped > 0:
        stop(f"braid run {name}.toml: {packets} packets in {worker} ns, {dropped} dropped: {account['packets']}")
    return account, packets * 1e3 / worker, (ended - begun) / packets


def helpers_ns(process):
    return sum(cpu_ns(process.pid, "helper").values())


def away(segment, path, cycles):
    """The NFs that run on the helper: of each mirror's branches, the longest first, those that the worker does not take."""
    (what, inner), = segment.items()
    if what == "nf":
        return []
    if what == "series":
        return [nf for part in inner for nf in away(part, path, cycles)]
    taken = lambda nfs: sum(cycles[path[nf]] for nf in nfs)
    shares = [[], []]
    for nfs in sorted((members(part) for part in inner), key=lambda nfs: -taken(nfs)):
        min(shares, key=lambda share: (taken(share), len(share))).extend(nfs)
    return [path[nf] for nf in min(shares, key=taken)]


def members(segment):
    (what, inner), = segment.items()
    return [inner] if what == "nf" else [nf for part in inner for nf in members(part)]


def one_round(chain, seconds, memory):
    """In order, then as parallel as can be, then as `auto` decides."""
    found = {}
    for mode in MODES:
        account, mpps, helper = run(chain.name, chain.text(mode, memory), seconds)
        seen = account["chains"]["all"]
        cycles = {nf: seen["nfs"][nf]["cycles_per_packet"] for nf in chain.path}
        if mode == "off":
            Path(f"{FOLDER}/{chain.delays}").write_text(json.dumps(cycles))
        plan = chain.planned(mode, memory)
        segment = {"off": plan["sequential"], "max": plan["max"], "auto": plan["auto"]}[mode]["segment"]
        helped = away(segment, chain.path, cycles)
        found[mode] = {
            "p50": seen["latency_ns"]["p50"],
            "p99": seen["latency_ns"]["p99"],
            "mpps": mpps,
            "chain": seen["cycles_per_packet"],
            # What the worker does, and what the helper does for it.
            "cycles": seen["cycles_per_packet"] + sum(cycles[nf] for nf in helped),
            "helper_ns": helper,
            "fork": forks(seen.get("fork")),
        }
    return found, plan


def forks(sums):
    """Cycles per packet to mirror, to go to another core and back, to merge, and to wait; nothing where nothing was."""
    if not sums or sums["packets"] == 0:
        return None
    return {what: sums[what] / sums["packets"] for what in ("mirror", "handoff", "merge", "wait")}


def quietest(rounds):
    """Of each mode the run with the least latency: whatever else goes on on the two cores only adds to it."""
    return {mode: min((one[mode] for one in rounds), key=lambda figures: figures["p50"]) for mode in MODES}


def measure(runs, seconds, memory, sizes, kinds):
    results = []
    for path in (*PATHS, BALANCED):
        for kind in [kind for kind in kinds if kind == "paper" or path != BALANCED]:
            # What stays in order is the same at all sizes.
            large = (LARGE,) if path == BALANCED else ()
            for size in (*sizes, *large) if kind == "paper" else sizes[:1]:
                chain = Chain(path, kind, size)
                print(f"{chain.name} ...", file=sys.stderr, flush=True)
                rounds = [one_round(chain, seconds, memory) for _ in range(runs)]
                found, plan = quietest([figures for figures, _ in rounds]), rounds[-1][1]
                off = found["off"]
                # What no NF takes: receive, transmit, the way between them.
                base = max(0, off["chain"] - plan["sequential"]["latency"])
                results.append(
                    {
                        "chain": [nf for nf in path if nf != "seal"],
                        "kind": kind,
                        "size": size,
                        "figures": found,
                        "nfs": {nf["name"]: nf["cycles"] for nf in plan["nfs"]},
                        "max": plan["max"]["text"],
                        "auto": plan["auto"]["reason"],
                        "parallel": {"max": "|" in plan["max"]["text"], "auto": "parallel" in json.dumps(plan["auto"]["segment"])},
                        "allowed": 1 - (plan["critical"]["length"] + base) / off["chain"],
                        "critical": plan["critical"]["length"] + base,
                        "reasons": {f"{p['earlier']}, {p['later']}": [r["text"] for r in p["reasons"]] for p in plan["pairs"]},
                    }
                )
    return results


def readers(runs, seconds, memory):
    """Two that only read, mirrored and merged on one core, beside testpmd's MAC swap."""
    allow = ['kind = "firewall"', 'rules = ["allow ip"]']
    pairs = {
        "two monitors": {"one": ['kind = "monitor"'], "two": ['kind = "monitor"']},
        "two firewalls of one rule": {"one": allow, "two": allow},
        "monitor, firewall of one rule": {"one": ['kind = "monitor"'], "two": allow},
    }
    capture = f"{CAPTURE}-64.pcap"
    units, mpps = [], {}
    for _ in range(runs):
        units.append(run_testpmd("macswap", devices(capture), [WORKER], seconds, memory))
        for name, nfs in pairs.items():
            engine = [f"cores = [{WORKER}]", "helpers = 0", "buffers = { count = 65536 }"]
            engine += ["hugepages = true"] if memory else []
            source, sink = devices(capture)
            chain = ['name = "all"', 'from = "a"', 'match = "ip"', 'path = ["one", "two"]', 'to = "b"', 'parallel = "max"']
            text = toml(engine, {"a": (source,), "b": (sink,)}, nfs, [chain], "bench.sock")
            mpps.setdefault(name, []).append(run("hydranf-readers", text, seconds)[1])
    unit = statistics.median(units)
    return {UNIT: unit} | {name: statistics.median(all) / unit for name, all in mpps.items()}


def one_core(runs, seconds, memory, sizes):
    """What `max` takes on one core beside the chain in order: cycles per packet, by size."""
    found = {}
    for size in sizes:
        chain, cycles = Chain(PATHS[0], "paper", size), {"off": [], "max": []}
        for _ in range(runs):
            for mode, all in cycles.items():
                text = chain.text(mode, memory).replace("helpers = 1", "helpers = 0")
                all.append(run(chain.name, text, seconds)[0]["chains"]["all"]["cycles_per_packet"])
        found[size] = {mode: min(all) for mode, all in cycles.items()}
    return found


def percent(share):
    return f"{100 * share:.1f} %"


def costs_table(results, alone):
    """What mirror, hand-over and merge cost, by chain and size."""
    lines = [
        "| chain, `max` | B | mirror | hand-over | merge | all NFs in order | both cores together |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for result in results:
        found = result["figures"]
        fork, off = found["max"]["fork"], found["off"]
        if fork:
            more = percent(busy(found["max"]) / off["cycles"] - 1)
            nfs = sum(result["nfs"].values())
            costs = " | ".join(f"{fork[what]:.0f}" for what in ("mirror", "handoff", "merge"))
            lines.append(f"| {', '.join(result['chain'])} | {result['size']} | {costs} | {nfs:.0f} | {more} more |")
    one = ", ".join(f"{percent(cycles['max'] / cycles['off'] - 1)} at {size} B" for size, cycles in sorted(alone.items()))
    return "\n".join(
        [
            *lines,
            "",
            "Cycles per packet. *Both cores together*: what the worker and its helper do, without their waiting, beside the "
            f"chain in order (aimed at: {percent(TWO_CORES)} for NFs of 2 µs, which those of the last row are). Without a "
            f"helper, on one core, `max` takes more than the chain in order of {', '.join(PATHS[0])} by {one} (aimed at: "
            f"{percent(ONE_CORE)}).",
        ]
    )


def busy(figures):
    """Cycles per packet of both cores without those in which the worker waits."""
    return figures["cycles"] - figures["fork"]["wait"]


def table(results, two, about):
    lines = [
        "| chain | | B | in order: p50, p99 | `max`: p50, p99 | `auto`: p50, p99 | Mpps | cycles | cut | critical path allows |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for result in results:
        found = result["figures"]
        latency = [f"{found[mode]['p50'] / 1e3:.1f}, {found[mode]['p99'] / 1e3:.1f}" for mode in MODES]
        speeds = " / ".join(f"{found[mode]['mpps']:.2f}" for mode in MODES)
        cost = " / ".join(f"{found[mode]['cycles']:.0f}" for mode in MODES)
        apart = result["parallel"]
        auto = "side by side" if apart["auto"] else "in order"
        cut = percent(cut_of(result)) if apart["max"] else "–"
        allowed = percent(result["allowed"]) if apart["max"] else "–"
        lines.append(
            f"| {', '.join(result['chain'])} | {result['kind']} | {result['size']} | {' | '.join(latency)}, {auto} "
            f"| {speeds} | {cost} | {cut} | {allowed} |"
        )
    lines += ["", *verdicts(results), ""]
    ratios = ", ".join(f"{name} {ratio:.2f}" for name, ratio in two.items() if name != UNIT)
    lines += [
        f"Two that only read, on one core without a helper, at 64 B, of `dpdk-testpmd`'s MAC swap: {ratios} (aimed at: "
        f"{READERS:.2f}).",
        "",
        f"Measured by `scripts/bench hydranf` ({about['cpu']}, {about['cores']} cores, DPDK {about['dpdk']}), the quietest of "
        f"{about['runs']} runs, load average {about['load_before'][0]:.1f} before and {about['load_after'][0]:.1f} after. "
        "Latency: of bursts of 32, in µs, from receive to transmit. Mpps: per second of the worker's CPU time. Cycles: per "
        "packet, of the worker (its waiting for the helper included) and of the NFs on the helper together. Mpps and "
        "cycles: in order / `max` / `auto`.",
    ]
    return "\n".join(lines)


def verdicts(results):
    """Which chains come near to their critical path, and which cannot cut what the paper cut."""
    paper = [result for result in results if result["parallel"]["max"]]
    best = max(paper, key=lambda result: cut_of(result)) if paper else None
    near = [result for result in paper if result["figures"]["max"]["chain"] <= NEAR * result["critical"]]
    able = [result for result in paper if result["allowed"] >= CUT]
    reached = [result for result in able if cut_of(result) >= CUT]
    text = []
    if best:
        text.append(
            f"Largest cut of latency: {percent(cut_of(best))} ({', '.join(best['chain'])}, {best['size']} B; the paper: up "
            f"to {percent(CUT)}). The critical path allows {percent(CUT)} in {len(able)} of {len(paper)} rows with branches; "
            f"{len(reached)} of them reach it. Within 10 % of the critical path with `max`: {len(near)} of {len(paper)}."
        )
    return text


def cut_of(result):
    """What the better of the plans that have branches cuts; below 0 it adds."""
    figures = result["figures"]
    return 1 - min(figures[mode]["p50"] for mode, apart in result["parallel"].items() if apart) / figures["off"]["p50"]


def write(page, marks, text):
    """Puts a text between two marks of a page."""
    between = re.compile(f"{re.escape(marks[0])}.*{re.escape(marks[1])}", re.DOTALL)
    page.write_text(between.sub(lambda _: f"{marks[0]}\n{text}\n{marks[1]}", page.read_text()))


def write_files(sizes):
    works.write_files(["inspect"])
    with open(f"{FOLDER}/{RULES}", "w") as file:
        file.writelines(f"deny udp to any port {900 + number}\n" for number in range(99))
        file.write("allow ip\n")
    for size in {64, LARGE, *sizes}:
        path = f"{FOLDER}/{CAPTURE}-{size}.pcap"
        # Large ones as many as a NIC's queue holds: more would not be in any cache.
        count = {"count": 1024} if size == LARGE else {}
        traffic.write_capture(path, (size,), traffic.to_service, words=True, **count)


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench hydranf", description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.7)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--kinds", nargs="*", choices=("paper", "real"), default=("paper", "real"))
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE} and {COSTS_PAGE}")
    args = parser.parse_args()
    if len(CORES) < 2:
        return show("skipped: two cores are needed")
    write_files(args.sizes)
    memory = Hugepages(448)
    atexit.register(memory.give_back)
    about = machine() | {"runs": args.runs, "seconds": args.seconds, "helper_core": CONTROL, "load_before": os.getloadavg()}
    two = readers(args.runs, args.seconds, memory.there)
    alone = one_core(args.runs, args.seconds, memory.there, args.sizes)
    results = measure(args.runs, args.seconds, memory.there, args.sizes, args.kinds)
    about["load_after"] = os.getloadavg()
    text, costs = table(results, two, about), costs_table(results, alone)
    show(text)
    show(costs)
    report = {"machine": about, "readers": two, "one_core": alone, "results": results}
    Path(f"{FOLDER}/hydranf.json").write_text(json.dumps(report, indent=1))
    if args.write:
        write(PAGE, MARKS, text)
        write(COSTS_PAGE, COSTS_MARKS, costs)


if __name__ == "__main__":
    main()
