"""The solvers of the pagination problem on the benchmark's instances: how often each finds the best known number of
pages, how often a proof, and how long it takes; and the mirror/merge operations of the plans in which each NF runs once.

`--write` puts the table into docs/parallel-planning.md."""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

DATA = Path("../shared/data/pagination/dev/gauss")
PAGE = Path("docs/parallel-planning.md")
MARKS = ("<!-- figures -->", "<!-- /figures -->")


def solved(file, solver, seconds):
    command = [os.environ["BRAID"], "plan", "--pagination", str(file), "--solver", solver, "--json"]
    run = subprocess.run(command + ["--seconds", str(seconds)], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)["instances"]


def table(instances, seconds, files):
    rows = {}
    for instance in instances:
        for row in instance["solvers"]:
            rows.setdefault(row["solver"], []).append((instance, row))
    lines = [
        "| solver | best known or fewer | fewer | proved optimal | pages in all | median | longest |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for solver, found in rows.items():
        known = [(i["best_known"], r) for i, r in found if i["best_known"] is not None]
        as_good = sum(row["pages"] <= best for best, row in known)
        fewer = sum(row["pages"] < best for best, row in known)
        proved = sum(row["optimal"] for _, row in found)
        times = [row["seconds"] for _, row in found]
        lines.append(
            f"| `{solver}` | {as_good} ({100 * as_good / max(1, len(known)):.1f} %) | {fewer} | {proved} "
            f"| {sum(row['pages'] for _, row in found)} "
            f"| {statistics.median(times) * 1e3:.1f} ms | {max(times) * 1e3:.0f} ms |"
        )
    optima = [(i["optimum"], r) for i, r in rows.get("exact", []) if i["optimum"] is not None]
    right = sum(row["pages"] == optimum for optimum, row in optima)
    levels = sum(row["level_operations"] for _, row in rows.get("genetic-grouping", []))
    ours = sum(row["operations"] for _, row in rows.get("genetic-grouping", []))
    above = sum(row["operations"] > row["level_operations"] for found in rows.values() for _, row in found)
    lines += [
        "",
        f"{len(instances)} instances of {files} files, at most {seconds:g} s for each solver and instance. Where CPLEX "
        f"found the optimum, `exact` finds it too in {right} of {len(optima)}. With the tiles as chains, plans by "
        f"`genetic-grouping` have {ours} mirror/merge operations in all and topological levels {levels}; "
        f"{above or 'none'} of all plans has more than its levels.",
    ]
    return "\n".join(lines)


def main():
    arguments = argparse.ArgumentParser(prog="scripts/bench planning", description=__doc__)
    arguments.add_argument("--seconds", type=float, default=5.0, help="for each solver and instance (5)")
    arguments.add_argument("--solver", default="all")
    arguments.add_argument("--write", action="store_true", help=f"put the table into {PAGE}")
    arguments.add_argument("files", nargs="*", type=Path, help="of the benchmark; without, those of ../shared/data")
    chosen = arguments.parse_args()
    files = chosen.files or sorted(DATA.glob("*.json"))
    if not files:
        print(f"skipped: no {DATA}", file=sys.stderr)
        return
    instances = []
    for number, file in enumerate(files, 1):
        print(f"{number}/{len(files)} {file.name}", file=sys.stderr)
        instances += solved(file, chosen.solver, chosen.seconds)
    text = table(instances, chosen.seconds, len(files))
    print(text)
    Path("target/bench/planning.json").write_text(json.dumps(instances))
    if chosen.write:
        between = re.compile(f"{re.escape(MARKS[0])}.*{re.escape(MARKS[1])}", re.DOTALL)
        page = PAGE.read_text()
        PAGE.write_text(between.sub(lambda _: f"{MARKS[0]}\n{text}\n{MARKS[1]}", page))


if __name__ == "__main__":
    main()
