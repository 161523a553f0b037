"""The table of `scripts/bench`: every work on every setting, beside testpmd's MAC swap on the same devices."""

import argparse
import atexit
import json
import os
import platform
import statistics
import subprocess
import sys
import time

import traffic
import works
from programs import CORES, FOLDER, WORKER, Hugepages, run_braid, run_braid_warm, run_testpmd, speed, stop, toml
from works import CAPTURES, MILLION, NFS, PATHS

UNIT = "testpmd macswap"
# The ratio to the unit that is aimed at.
AIMS = {"mac_swap": 0.95, "firewall_10": 0.52, "firewall_1000": 0.41, "monitor": 0.45, "nat": 0.50}
ONE_WAY = AIMS | {"monitor_full": 0.35, "router_1000": 0.70, "lb_nat": 0.50, "firewall_10+nat+monitor": 0.36}
TARGETS = {f"pcap/{work}": aim for work, aim in ONE_WAY.items()}
TARGETS |= {f"{setting}/{work}": aim for setting in ("pcap_4k", "pcap_2k") for work, aim in AIMS.items()}
TARGETS |= {f"{setting}/mac_swap": AIMS["mac_swap"] for setting in ("null", "null_4k", "null_2k")}

# Where packets are. With hugepages, as both programs are meant to run and others are measured. Or in ordinary pages,
# where DPDK's own pools let no buffer cross a page: of the usual 2 KiB all begin at the same place of a page, fight for
# one set of the first-level cache, and testpmd loses half to two thirds of its speed, which flatters braid, whose pools
# avoid it. Buffers larger than a page follow each other closely, and are fair to both.
HUGE, PAGES_4K, PAGES_2K = "hugepages", "ordinary pages, buffers of 4 KiB", "ordinary pages, buffers of 2 KiB"
BUFFER, HEADROOM = 4096, 128


class Setting:
    """Two devices with traffic between them."""

    def __init__(self, title, devices, works, both_ways=True, match="", workers=1, others=(), memory=HUGE, buffers=None):
        self.title, self.devices, self.works = title, devices, works
        self.both_ways, self.match, self.workers, self.others = both_ways, match, workers, others
        # Number and size of buffers, where they are not the usual ones.
        self.memory, self.buffers = memory, buffers

    def cores(self):
        if self.workers > len(CORES):
            return None
        return CORES[-self.workers :][::-1]

    def testpmd(self, mode, seconds):
        options = [f"--rxq={self.workers}", f"--txq={self.workers}"]
        if self.memory == PAGES_4K:
            options.append(f"--mbuf-size={BUFFER + HEADROOM}")
        if self.buffers:
            count, size = self.buffers
            options += [f"--total-num-mbufs={count}", f"--mbuf-size={size + HEADROOM}"]
        return run_testpmd(mode, self.devices, self.cores(), seconds, self.memory == HUGE, options)

    def braid(self, name, work, seconds):
        """Millions of packets per CPU second."""
        path = PATHS[work]
        several = [f"rx_queues = {self.workers}"] if self.workers > 1 else []
        devices = [device.replace(USUAL, capture_of(work)) for device in self.devices]
        ports = {side: (device, *several) for side, device in zip("ab", devices)}
        chains = []
        for start, end in ["ab", "ba"] if self.both_ways else ["ab"]:
            lines = [f'name = "{start}{end}"', f'from = "{start}"', f"path = {json.dumps(path)}", f'to = "{end}"']
            chains.append(lines + ([f'match = "{self.match}"'] if self.match else []))
        engine = [f"cores = {self.cores()}"]
        if self.memory == PAGES_4K:
            engine.append(f"buffers = {{ size = {BUFFER} }}")
        if self.buffers:
            count, size = self.buffers
            engine.append(f"buffers = {{ count = {count}, size = {size} }}")
        if self.memory == HUGE:
            engine.append("hugepages = true")
        nfs = {nf: NFS[nf] for nf in path}
        if capture_of(work) == MANY:
            # Not before every flow has been here, and that thrice.
            return run_braid_warm(name, toml(engine, ports, nfs, chains, "bench.sock"), seconds, 3 * MILLION)
        return speed(run_braid(name, toml(engine, ports, nfs, chains), seconds))


def capture_of(work):
    """The file with the packets of a work."""
    return f"{CAPTURES.get(work, 'flows')}-64.pcap"


# Packets from the capture go one way, as in what is published of others; those of net_null are zeros, and match no
# protocol. NFs that want certain destinations have a capture of their own, of as many flows.
USUAL, MANY = "flows-64.pcap", "million-64.pcap"
CAPTURE, ONE_MILLION = ([f"net_pcap0,rx_pcap={file},infinite_rx=1", "net_null1,no-rx=1"] for file in (USUAL, MANY))
LONG_FRAME = 1400
LONG = f"flows-{LONG_FRAME}.pcap"
CAPTURE_TITLE = f"net_pcap, {traffic.FLOWS} UDP flows of {traffic.FRAME} B, to net_null; the chain matches ip"
NULLS = ["net_null0", "net_null1"]
SETTINGS = {
    "pcap": Setting(
        CAPTURE_TITLE,
        CAPTURE,
        [work for work in PATHS if capture_of(work) != MANY],
        both_ways=False,
        match="ip",
        others=("io", "mac"),
    ),
    "million": Setting(
        CAPTURE_TITLE.replace(str(traffic.FLOWS), "1 000 000"),
        ONE_MILLION,
        [work for work in PATHS if capture_of(work) == MANY],
        both_ways=False,
        match="ip",
        # The whole capture is in buffers.
        buffers=(MILLION + 32768, 256),
    ),
    "null": Setting("net_null both ways, 64 B", NULLS, ["forward", "mac_swap"]),
    "copy": Setting("net_null both ways, 64 B, copied", [f"{null},copy=1" for null in NULLS], ["mac_swap"]),
    "large": Setting("net_null both ways, 1500 B", [f"{null},size=1500" for null in NULLS], ["mac_swap"]),
    "long": Setting(
        f"net_pcap, {traffic.FLOWS} UDP flows of {LONG_FRAME} B, to net_null; the chain matches ip",
        [f"net_pcap0,rx_pcap={LONG},infinite_rx=1", "net_null1,no-rx=1"],
        ["mac_swap", "vpn_seal", "vpn"],
        both_ways=False,
        match="ip",
    ),
    "two": Setting("net_null both ways, 64 B, two workers", NULLS, ["mac_swap"], workers=2),
    **{
        f"pcap_{size}": Setting(CAPTURE_TITLE, CAPTURE, list(AIMS), both_ways=False, match="ip", memory=memory)
        for size, memory in (("4k", PAGES_4K), ("2k", PAGES_2K))
    },
    **{
        f"null_{size}": Setting("net_null both ways, 64 B", NULLS, ["mac_swap"], memory=memory)
        for size, memory in (("4k", PAGES_4K), ("2k", PAGES_2K))
    },
}


def chosen(names):
    """The works to run, by setting. A name is a setting, a work, or both."""
    found = {}
    for key, setting in SETTINGS.items():
        works = [w for w in setting.works if not names or {key, w, f"{key}/{w}"} & set(names)]
        if works:
            found[key] = works
    known = {*SETTINGS, *PATHS, *(f"{key}/{w}" for key, s in SETTINGS.items() for w in s.works)}
    unknown = [name for name in names if name not in known]
    if unknown:
        stop(f"nothing is called {', '.join(unknown)}; see scripts/bench --list")
    return found


def show(line, end="\n"):
    print(line, end=end, flush=True)


def measure(key, works, others, runs, seconds):
    """All programs of a setting in turn, round after round. Returns millions of packets per CPU second by name."""
    setting = SETTINGS[key]
    programs = {UNIT: lambda: setting.testpmd("macswap", seconds)}
    for mode in others:
        programs[f"testpmd {mode}"] = lambda mode=mode: setting.testpmd(mode, seconds)
    for work in works:
        programs[work] = lambda work=work: setting.braid(f"{key}-{work}", work, seconds)
    figures = {name: [] for name in programs}
    for number in range(runs):
        for name, run in programs.items():
            if sys.stderr.isatty():
                print(f"\r\033[K{key}: round {number + 1} of {runs}: {name}", end="", file=sys.stderr, flush=True)
            figures[name].append(run())
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    return figures


def rows(key, figures):
    """Results of a setting, printed as they are made."""
    show(f"\n{key}: {SETTINGS[key].title}; {SETTINGS[key].memory}")
    show(f"  {'work':<35}{'Mpps':>8}{'lowest':>9}{'highest':>9}{'ratio':>8}{'target':>8}")
    unit = statistics.median(figures[UNIT])
    results = []
    for name, runs in figures.items():
        mpps = statistics.median(runs)
        ratio, target = mpps / unit, TARGETS.get(f"{key}/{name}")
        verdict = "" if target is None else f"{target:8.2f}  {'PASS' if ratio >= target else 'short'}"
        show(f"  {name:<35}{mpps:8.1f}{min(runs):9.1f}{max(runs):9.1f}{ratio:8.3f}{verdict}")
        result = {"name": name, "setting": key, "memory": SETTINGS[key].memory, "mpps": round(mpps, 3), "ratio": round(ratio, 4)}
        if target is not None:
            result |= {"target": target, "pass": ratio >= target}
        results.append(result | {"runs": [round(run, 3) for run in runs]})
    return results


def machine():
    """What the figures were measured on."""
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "")
    version = subprocess.run(["pkg-config", "--modversion", "libdpdk"], capture_output=True, text=True).stdout.strip()
    return {
        "cpu": model or platform.machine(),
        "cores": len(CORES),
        "worker_core": WORKER,
        "kernel": platform.release(),
        "dpdk": version,
    }


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench", add_help=False)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    if args.list:
        for key, setting in SETTINGS.items():
            show(f"{key}: {setting.title}")
            for work in setting.works:
                show(f"  {key}/{work}")
        return
    if args.runs < 1 or args.seconds <= 0:
        stop("--runs and --seconds are at least 1 and more than 0")
    chosen_works = chosen(args.names)
    everything = {work for names in chosen_works.values() for work in names}
    if "million" in chosen_works:
        show("making a capture of a million flows and a table of a million routes, if they are not there ...")
    works.write_files({nf for work in everything for nf in PATHS[work]})
    for name in sorted({"flows", *(CAPTURES.get(work, "flows") for work in everything)}):
        works.capture(name)
    if "long" in chosen_works:
        works.capture("flows", str(LONG_FRAME))

    about = machine() | {"runs": args.runs, "seconds": args.seconds, "load_before": os.getloadavg()}
    show(f"{about['cpu']}, {about['cores']} cores, DPDK {about['dpdk']}, Linux {about['kernel']}")
    show("Millions of packets per CPU second of the polling threads: median, lowest and highest of "
         f"{args.runs} runs of {args.seconds:g} s; load average {about['load_before'][0]:.1f}")
    hugepages = Hugepages(1024 if "million" in chosen_works else 320)
    atexit.register(hugepages.give_back)
    if not hugepages.there:
        show("no hugepages to be had: what wants them runs in ordinary pages with buffers of 4 KiB")
        for setting in SETTINGS.values():
            setting.memory = PAGES_4K if setting.memory == HUGE else setting.memory
        chosen_works.pop("million", None)
    begun = time.monotonic()
    results = []
    for key, names in chosen_works.items():
        if SETTINGS[key].cores() is None:
            show(f"\n{key}: skipped: {SETTINGS[key].workers} workers, and {len(CORES)} cores")
            continue
        others = () if args.names else SETTINGS[key].others
        results += rows(key, measure(key, names, others, args.runs, args.seconds))
    about |= {"load_after": os.getloadavg(), "minutes": round((time.monotonic() - begun) / 60, 1)}
    with open(f"{FOLDER}/latest.json", "w") as file:
        json.dump({"machine": about, "results": results}, file, indent=1)
        file.write("\n")
    show(f"\nload average {about['load_after'][0]:.1f} at the end, after {about['minutes']} minutes")
    show("target/bench/latest.json")


if __name__ == "__main__":
    main()
