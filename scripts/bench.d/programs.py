"""Runs braid and dpdk-testpmd, each once, and reads how many packets they forwarded in how much CPU time."""

import glob
import json
import os
import re
import selectors
import socket
import subprocess
import sys
import time

FOLDER = os.path.abspath("target/bench")
# Where the polling threads run, and everything else: the highest core polls, as interrupts prefer the lowest.
CORES = sorted(os.sched_getaffinity(0))
CONTROL, WORKER = CORES[0], CORES[-1]


def stop(message):
    sys.exit(f"bench: {message}")


class Hugepages:
    """Hugepages of 2 MB for both programs: those that are free, or reserved for as long as this runs, by root."""

    PATH = "/sys/kernel/mm/hugepages/hugepages-2048kB"

    def __init__(self, wanted=320):
        self.before = None
        missing = wanted - self.read("free_hugepages")
        if missing > 0:
            self.reserve(self.read("nr_hugepages") + missing)
        self.there = self.read("free_hugepages") >= wanted

    def read(self, name):
        try:
            with open(f"{self.PATH}/{name}") as file:
                return int(file.read())
        except OSError:
            return 0

    def reserve(self, count):
        before = self.read("nr_hugepages")
        try:
            with open(f"{self.PATH}/nr_hugepages", "w") as file:
                file.write(str(count))
            self.before = before
        except OSError:
            pass

    def give_back(self):
        if self.before is not None:
            before, self.before = self.before, None
            self.reserve(before)


def cpu_ns(pid, name):
    """CPU time of the threads of a process whose name begins so, in nanoseconds, thread by thread."""
    times = {}
    for task in glob.glob(f"/proc/{pid}/task/*"):
        try:
            with open(f"{task}/comm") as comm, open(f"{task}/schedstat") as stat:
                if comm.read().startswith(name):
                    times[task] = int(stat.read().split()[0])
        except FileNotFoundError:
            pass
    return times


class Testpmd:
    """dpdk-testpmd at its prompt. Its forwarding threads sleep between `stop` and `start`."""

    def __init__(self, mode, devices, cores, hugepages, options):
        lcores = ",".join(f"{lcore}@{core}" for lcore, core in enumerate([CONTROL, *cores]))
        # Line by line, as its answers are waited for.
        command = ["stdbuf", "-oL", "dpdk-testpmd"]
        command += ["--in-memory"] if hugepages else ["--no-huge", "-m", "512", "--no-shconf"]
        command += ["--no-telemetry", "--no-pci", f"--file-prefix=bench{os.getpid()}", "--lcores", lcores]
        for device in devices:
            command += ["--vdev", device]
        command += ["--", "-i", f"--forward-mode={mode}", f"--nb-cores={len(cores)}", "--burst=32"]
        command += ["--total-num-mbufs=16384", "--no-mlockall", "--no-flush-rx", *options]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=FOLDER, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)
        self.answer("testpmd> ")

    def answer(self, last):
        """What it prints, up to the words that end its answer."""
        text = ""
        while last not in text:
            if not self.selector.select(timeout=30):
                self.process.kill()
                stop(f"dpdk-testpmd says nothing more after:\n{text}")
            piece = os.read(self.process.stdout.fileno(), 65536).decode(errors="replace")
            if not piece:
                stop(f"dpdk-testpmd ended:\n{text}")
            text += piece
        return text

    def command(self, line, last):
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()
        return self.answer(last)

    def cpu_ns(self):
        return sum(cpu_ns(self.process.pid, "rte-worker").values())

    def quit(self):
        self.process.stdin.write(b"quit\n")
        self.process.stdin.close()
        self.process.stdout.read()
        self.process.wait()


def run_testpmd(mode, devices, cores, seconds, hugepages, options=()):
    """Packets forwarded per microsecond of CPU time: millions per second."""
    testpmd = Testpmd(mode, devices, cores, hugepages, options)
    before = testpmd.cpu_ns()
    testpmd.command("start", "packet forwarding")
    time.sleep(seconds)
    report = testpmd.command("stop", "Done.")
    used = testpmd.cpu_ns() - before
    testpmd.quit()
    _, _, report = report.partition("Accumulated forward statistics for all ports")
    total = re.search(r"TX-packets: (\d+)\s+TX-dropped: (\d+)", report)
    if not total or used == 0 or int(total[1]) == 0 or int(total[2]) > 0:
        stop(f"dpdk-testpmd did not forward everything ({used} ns):\n{report}")
    return int(total[1]) * 1e3 / used


def toml(engine, ports, nfs, chains, control="off"):
    """A configuration; `ports` by name the device and more lines, `nfs` by name lines, `chains` lists of lines."""
    lines = ["[engine]", f'socket = "{control}"', *engine]
    for name, (device, *more) in ports.items():
        lines += [f"[ports.{name}]", f'device = "{device}"', *more]
    for name, settings in nfs.items():
        lines += [f"[nf.{name}]", *settings]
    for chain in chains:
        lines += ["[[chain]]", *chain]
    return "\n".join(lines) + "\n"


def start_braid(name, text, seconds):
    """Starts `braid run` on a configuration, which is left beside the results; `seconds` None: until it is ended."""
    path = f"{FOLDER}/{name}.toml"
    with open(path, "w") as file:
        file.write(text)
    command = [os.path.abspath(os.environ["BRAID"]), "run", path, "--json"]
    command += [] if seconds is None else ["--duration", f"{round(seconds * 1000)}ms"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish_braid(name, process):
    """The account that it prints at its end."""
    out, err = process.communicate()
    if process.returncode != 0:
        stop(f"braid run {name}.toml failed:\n{err}{out}")
    return json.loads(out)


def run_braid(name, text, seconds, lossy=()):
    """The account of a run in which everything was sent, but for drops under the reasons in `lossy`."""
    account = finish_braid(name, start_braid(name, text, seconds))
    packets = account["packets"]
    lost = sum(packets["dropped"].get(reason, 0) for reason in lossy)
    if packets["sent"] == 0 or packets["sent"] + lost != packets["received"]:
        stop(f"braid run {name}.toml did not send everything: {json.dumps(packets)}")
    return account


def speed(account, before=None):
    """Packets received per microsecond of the workers' CPU time: millions per second; since an earlier account."""
    received = account["packets"]["received"] - (before["packets"]["received"] if before else 0)
    used = sum(worker["cpu_ns"] for worker in account["workers"])
    used -= sum(worker["cpu_ns"] for worker in before["workers"]) if before else 0
    if used <= 0 or received <= 0:
        stop(f"nothing was received in {used} ns")
    return received * 1e3 / used


class Control:
    """The control socket of a running braid."""

    def __init__(self, path, process, patience=120):
        self.socket = socket.socket(socket.AF_UNIX)
        for _ in range(patience * 20):
            try:
                self.socket.connect(path)
                break
            except OSError:
                if process.poll() is not None:
                    stop(f"braid ended:\n{process.stderr.read()}")
                time.sleep(0.05)
        else:
            stop(f"braid does not listen on {path}")
        self.lines = self.socket.makefile()

    def call(self, method, **params):
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        self.socket.sendall(json.dumps(call).encode() + b"\n")
        answer = json.loads(self.lines.readline() or "{}")
        if "result" not in answer:
            stop(f"{method}: {json.dumps(answer)}")
        return answer["result"]


def run_braid_warm(name, text, seconds, packets):
    """Millions of packets per CPU second of a run once so many packets have gone by. The control socket of the
    configuration is `bench.sock`."""
    process = start_braid(name, text, None)
    control = Control(f"{FOLDER}/bench.sock", process)
    while (before := control.call("stats.get"))["packets"]["received"] < packets:
        time.sleep(0.05)
    time.sleep(seconds)
    after = control.call("stats.get")
    control.call("engine.stop")
    account = finish_braid(name, process)
    if sum(account["packets"]["dropped"].values()) > 0:
        stop(f"braid run {name}.toml dropped: {json.dumps(account['packets'])}")
    return speed(after, before)


def memory_of_braid(name, text):
    """Bytes of memory of its own that a running braid has asked for, and those of them that it has written to."""
    process = start_braid(name, text, None)
    control = Control(f"{FOLDER}/bench.sock", process)
    with open(f"/proc/{process.pid}/status") as status:
        found = dict(re.findall(r"(\w+):\s*(\d+) kB", status.read()))
    control.call("engine.stop")
    finish_braid(name, process)
    return int(found["VmData"]) * 1024, int(found["RssAnon"]) * 1024
