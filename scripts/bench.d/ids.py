"""An ids on one worker: packets and bits per second of CPU time at 64, 512 and 1518 B, with 1 000 words to look for and
with real sets of rules where they are (`--rules FILE...`, or those of the test data), beside testpmd's MAC swap on the
same traffic. Nothing matches in the first; what real rules find in random text is in the table."""

import argparse
import atexit
import glob
import json
import os
import statistics

import traffic
import works
from nfs import configuration, devices
from programs import FOLDER, WORKER, Hugepages, run_braid, run_testpmd, speed
from throughput import UNIT, machine, show

SIZES = (64, 512, 1518)
# What is aimed at, of 1 000 words: millions of packets at 64 B, Gb/s at 1518 B.
AIMS = {("words", 64): ("Mpps", 8.0), ("words", 1518): ("Gb/s", 40.0)}
DATA = "../shared/data/ids/dev/rulesets/emerging-*.rules"


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench ids")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--rules", nargs="*", default=sorted(glob.glob(DATA)))
    args = parser.parse_args()
    memory = Hugepages()
    atexit.register(memory.give_back)
    works.write_files(["inspect"])
    settings = {"words": works.NFS["inspect"]}
    if args.rules:
        settings["real rules"] = ['kind = "ids"', f"rules = {json.dumps([os.path.abspath(rules) for rules in args.rules])}"]
    mpps, alerts = {}, {}
    for _ in range(args.runs):
        for size in SIZES:
            capture = works.capture("words", str(size))
            unit = run_testpmd("macswap", devices(capture), [WORKER], args.seconds, memory.there)
            mpps.setdefault((UNIT, size), []).append(unit)
            for name, lines in settings.items():
                engine = [f"cores = [{WORKER}]", "buffers = { count = 32768 }"]
                engine += ["hugepages = true"] if memory.there else []
                text = configuration(["it"], {"it": lines}, engine, capture)
                account = run_braid(f"ids-{size}", text, args.seconds)
                mpps.setdefault((name, size), []).append(speed(account))
                counters = account["chains"]["all"]["nfs"]["it"].get("counters", {})
                alerts[name, size] = counters.get("alerts", 0)
    show(f"\n  {'':<18}" + "".join(f"{size:>10} B{'':>9}" for size in SIZES))
    good = True
    for name in [UNIT, *settings]:
        line = f"  {name:<18}"
        for size in SIZES:
            median = statistics.median(mpps[name, size])
            gigabits = median * size * 8 / 1000
            line += f"{median:8.2f} M{gigabits:6.1f} Gb/s "
            if (name, size) in AIMS:
                unit, aim = AIMS[name, size]
                good &= (median if unit == "Mpps" else gigabits) >= aim
        show(line)
    show("  words: " + ("as aimed at" if good else "LESS than aimed at (8 Mpps at 64 B, 40 Gb/s at 1518 B)"))
    found = {
        "machine": machine(),
        "mpps": {f"{name}/{size}": round(statistics.median(all), 3) for (name, size), all in mpps.items()},
        "alerts": {f"{name}/{size}": count for (name, size), count in alerts.items()},
    }
    with open(f"{FOLDER}/ids.json", "w") as file:
        json.dump(found, file, indent=2)


if __name__ == "__main__":
    main()
