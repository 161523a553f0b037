"""An ids under hostile streams at full rate: its memory may not grow, it has to go on finding what is there, and nothing
may panic.

A capture of thousands of conversations (hostile.py) comes over and over into two ids in a row, one that alerts and one
that drops, both with room for far fewer flows than there are.
"""

import argparse
import json
import os
import re
import sys
import time

import hostile
from programs import FOLDER, WORKER, Control, finish_braid, start_braid, toml
from traffic import write_frames

FRAMES = 65536
# Memory may grow by so many bytes after a fifth of the time: what the allocator rounds up.
GROWTH = 4 << 20
FOUND = 1

RULES = [
    f'alert tcp any any -> any any (msg:"an attack"; flow:established,to_server; content:"{hostile.WORD.decode()}"; '
    f'content:"{hostile.LATER.decode()}"; distance:0; sid:{FOUND};)',
    *(
        f'alert tcp any any -> any any (msg:"waits"; content:"{hostile.WORD.decode()}"; nocase; '
        f'content:"{word}"; distance:0; pcre:"/{word}[a-z]{{2,30}}x/R"; sid:{number};)'
        for number, word in enumerate(("never", "nowhere", "nothing", "nobody"), 10)
    ),
    'alert http any any -> any any (msg:"a path"; http.uri; content:"/first"; http.header; pcre:"/X-[0-9]+9: /"; sid:20;)',
    'alert http any any -> any any (msg:"a body"; http.request_body; content:"xxxxxxxx"; sid:21;)',
    'alert tls any any -> any any (msg:"a name"; tls.sni; content:"example"; sid:22;)',
    'alert dns any any -> any any (msg:"a query"; dns.query; content:"aaaa"; threshold:type limit,track by_src,count 1,seconds 60; sid:23;)',
    'alert udp any any -> any 999 (content:"sets a bit"; flowbits:set,f; hostbits:set,h; xbits:set,x,track ip_pair; noalert; sid:30;)',
    'alert udp any any -> any 999 (content:"bit 3"; flowbits:isset,f; hostbits:isset,h; threshold:type both,track by_both,count 2,seconds 60; sid:31;)',
    'drop tcp any any -> any any (msg:"a wait"; content:"second-half"; flowbits:set,g; detection_filter:track by_src,count 5,seconds 10; sid:32;)',
]
BOUNDS = ["capacity = 2048", 'idle_timeout = "30s"', "marks = 4096", "streams = { memory = 1048576 }"]


def configuration():
    rules = json.dumps(RULES)
    nfs = {
        "watch": ['kind = "ids"', f"rules = {rules}", 'eve = "/dev/null"', *BOUNDS],
        "guard": ['kind = "ids"', f"rules = {rules}", 'mode = "drop"', *BOUNDS],
    }
    ports = {
        "a": ("net_pcap0,rx_pcap=hostile.pcap,infinite_rx=1", "mtu = 1600"),
        "b": ("net_null1,no-rx=1", "mtu = 1600"),
    }
    chain = ['name = "all"', 'from = "a"', 'path = ["watch", "guard"]', 'to = "b"']
    engine = [f"cores = [{WORKER}]", f"buffers = {{ count = {FRAMES + 16384} }}"]
    return toml(engine, ports, nfs, [chain], "ids-streams.sock")


def resident(process):
    """Resident memory in bytes."""
    with open(f"/proc/{process.pid}/status") as status:
        return int(re.search(r"VmRSS:\s*(\d+) kB", status.read())[1]) * 1024


def answer(control, nf, name):
    return control.call("nf.command", nf=nf, command=name)


def found(control):
    """How many alerts the attacks have made."""
    workers = answer(control, "watch", "alerts")["workers"]
    return sum(rule["alerts"] for worker in workers for rule in worker["rules"] if rule["sid"] == FOUND)


def main():
    parser = argparse.ArgumentParser(prog="scripts/flood ids-streams")
    parser.add_argument("--duration", type=float, default=600)
    args = parser.parse_args()
    if args.duration < 10:
        sys.exit("flood: 10 s at the least")
    frames = list(hostile.frames(FRAMES))
    sent = sum(b"an attack: " in frame for frame in frames)
    write_frames(f"{FOLDER}/hostile.pcap", frames)
    process = start_braid("ids-streams", configuration(), None)
    control = Control(f"{FOLDER}/ids-streams.sock", process)
    begun, sizes, alerts, shown = time.monotonic(), [], [], 0
    while (passed := time.monotonic() - begun) < args.duration:
        time.sleep(min(1, args.duration - passed))
        if process.poll() is not None:
            sys.exit(f"flood: braid ended: {process.stderr.read()}")
        sizes.append(resident(process))
        alerts.append(found(control))
        if passed >= shown * args.duration / 10:
            shown += 1
            print(f"      after {passed:4.0f} s: {sizes[-1] / (1 << 20):7.1f} MiB, {alerts[-1]} attacks found", flush=True)
    account = control.call("stats.get")
    for nf in ("watch", "guard"):
        print(f"      {nf}: {json.dumps(answer(control, nf, 'stats'))}")
    control.call("engine.stop")
    end = finish_braid("ids-streams", process)
    os.remove(f"{FOLDER}/hostile.pcap")
    later = sizes[len(sizes) // 5 :]
    growth = max(later) - later[0]
    panics = sum(nf["panics"] for chain in end["chains"].values() for nf in chain["nfs"].values())
    used = sum(worker["cpu_ns"] for worker in account["workers"])
    count = account["packets"]["received"]
    checks = {
        f"resident memory: {later[0] >> 20} MiB, and {growth >> 10} KiB more at the most later on": growth <= GROWTH,
        f"attacks found: {alerts[-1]}, {alerts[-1] - alerts[len(alerts) // 2]} of them in the second half": alerts[-1] > alerts[len(alerts) // 2],
        f"panics: {panics}": panics == 0,
    }
    print(f"      packets: {count}, {count * 1e3 / max(used, 1):.3f} million per CPU second through both")
    print(f"      attacks: {alerts[-1]} found of about {sent * count // FRAMES}")
    for text, good in checks.items():
        print(f"{'PASS' if good else 'FAIL'}  {text}")
    failed = list(checks.values()).count(False)
    sys.exit(f"flood: {failed} of these are not as they should be" if failed else 0)


if __name__ == "__main__":
    main()
