"""An NF behind ports that does everything wrong: packets go through `external`, and outside, in the place of somebody
else's NF, they meet `netem`, which loses, repeats, changes and turns them round, then loses all of them (killed), then
answers after the time-out (stalled). Meanwhile a second `external`, whose NF is a ring that does nothing wrong, has to lose
nothing.

    source -- faulty -- sink      faulty: out to `there`, a ring; beyond: there -- netem -- back; in from `back`
    source2 -- good -- sink2      good: out to `loop`, a ring that gives back what it gets, and in from it
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time

from programs import Control, finish_braid, toml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CAPTURE = os.path.join(ROOT, "examples", "captures", "mixed.pcap")
# What the NF outside does, and for what part of the packets.
PHASES = [
    ("faults", {"loss": 3, "duplicate": 3, "corrupt": 3, "delay": "1ms", "jitter": "1ms"}, 0.7),
    ("killed", {"loss": 100}, 0.1),
    ("stalled", {"loss": 0, "delay": "8ms", "jitter": "0ms"}, 0.1),
    ("well", {"duplicate": 0, "corrupt": 0, "delay": "0ms"}, 0.1),
]


def configuration(packets_come):
    # A port keeps its device for as long as it has its name.
    source, second = ("source", "source2") if packets_come else ("quiet", "quiet2")
    ports = {
        source: (f"net_pcap0,rx_pcap={CAPTURE},infinite_rx=1" if packets_come else "net_null2,no-rx=1",),
        "sink": ("net_null0,no-rx=1",),
        second: (f"net_pcap1,rx_pcap={CAPTURE},infinite_rx=1" if packets_come else "net_null3,no-rx=1",),
        "sink2": ("net_null1,no-rx=1",),
        "there": ("net_ring0",),
        "back": ("net_ring1",),
        "loop": ("net_ring2",),
    }
    outside = ['kind = "external"', "writes = []", "creates = false", 'carrier = "id"', 'unmarked = "pass"']
    nfs = {
        "faulty": [*outside, 'out = "there"', 'in = "back"', 'timeout = "5ms"'],
        "good": [*outside, 'out = "loop"', 'in = "loop"', 'timeout = "10ms"', "fifo = true"],
        "bad": ['kind = "netem"', "loss = 3", "duplicate = 3", "corrupt = 3", 'delay = "1ms"', 'jitter = "1ms"'],
    }
    chain = lambda name, source, path, to: [f'name = "{name}"', f'from = "{source}"', f'path = ["{path}"]', f'to = "{to}"']
    chains = [
        chain("main", source, "faulty", "sink"),
        chain("second", second, "good", "sink2"),
        chain("beyond", "there", "bad", "back"),
    ]
    return toml(['idle = "adaptive"'], ports, nfs, chains, "braid.sock")


def counted(account, nf, kind):
    """A counter of an NF, over its chain and its way back."""
    nodes = [chain["nfs"][nf] for chain in account["chains"].values() if nf in chain["nfs"]]
    return sum(node["counters"][kind] for node in nodes)


def main():
    parser = argparse.ArgumentParser(prog="scripts/flood outside", add_help=False)
    parser.add_argument("--packets", type=float, default=1e7)
    wanted = int(parser.parse_args().packets)
    failed = 0

    def check(what, good, seen):
        nonlocal failed
        failed += not good
        print(f"{'PASS' if good else 'FAIL'}  {what}: {seen}", flush=True)

    with tempfile.TemporaryDirectory(prefix="braid-outside-") as folder:
        braid = os.path.abspath(os.environ["BRAID"])
        os.chdir(folder)
        with open("braid.toml", "w") as file:
            file.write(configuration(True))
        command = [braid, "run", "braid.toml", "--json"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        control = Control("braid.sock", process)
        try:
            went = 0
            for name, settings, part in PHASES:
                control.call("nf.command", nf="bad", command="set", arguments=settings)
                went += part * wanted
                while control.call("stats.get")["chains"]["main"]["packets"] < went:
                    time.sleep(0.02)
                account = control.call("stats.get")
                said = ", ".join(f"{kind} {counted(account, 'faulty', kind)}" for kind in ("answered", "timed_out", "waited"))
                print(f"      {name}: {said}", flush=True)
            control.call("config.apply", config=configuration(False))
            for _ in range(400):
                flight = control.call("nf.command", nf="faulty", command="flight", arguments={})
                flight = str(flight) + str(control.call("nf.command", nf="good", command="flight", arguments={}))
                if flight.count("'in_flight': 0") == 2 and control.call("stats.get")["packets"]["held"] == 0:
                    break
                time.sleep(0.05)
            check("nothing is in flight or held when no packets come", flight.count("'in_flight': 0") == 2, flight)
            account = control.call("stats.get")
            packets, dropped = account["packets"], account["packets"]["dropped"]
            sums = packets["sent"] + sum(dropped.values()) + packets["absorbed"] + packets["held"]
            check("the account", packets["received"] + packets["created"] == sums and packets["held"] == 0, packets)
            for reason in ("duplicate", "late"):
                seen = dropped.get(f"faulty.{reason}", 0)
                check(f"{reason} ones are told", seen > 0, seen)
            wrong = dropped.get("faulty.unidentified", 0) + dropped.get("faulty.garbage", 0)
            check("changed ones are told", wrong > 0, wrong)
            check("lost ones are told", counted(account, "faulty", "timed_out") > 0, counted(account, "faulty", "timed_out"))
            ours = {reason: n for reason, n in dropped.items() if reason.startswith("good.")}
            check("the other NF has lost nothing", not ours, ours)
            control.call("engine.stop")
            account = finish_braid("outside", process)
            check("the account at the end", account["packets"]["held"] == 0, account["packets"]["held"])
        finally:
            process.kill()
    sys.exit(f"outside: {failed} of these are not as they should be" if failed else 0)


if __name__ == "__main__":
    main()
