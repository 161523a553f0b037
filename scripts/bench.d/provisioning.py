"""What four chains carry over four simulated servers: flows spread by the model, at random, as badly as can be.

`--write` puts the table into docs/across-servers.md."""

import argparse
import json
import re
import statistics
import subprocess
from pathlib import Path

FILE = Path("scripts/bench.d/provisioning.toml")
PAGE = Path("docs/across-servers.md")
MARKS = ("<!-- figures -->", "<!-- /figures -->")
TARGETS = {"linear": 1.74, "random": 1.42}


def measured(file):
    command = ["cargo", "run", "--quiet", "--release", "-p", "planning", "--example", "provisioning", "--", str(file)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def gain(row, measure):
    return row["best"][measure] / row["random"][measure]


def table(rows):
    lines = [
        "| placement | capacities | best, Mpps | random | worst | best / random: median | least to most | equal flows |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    groups = {}
    for row in rows:
        groups.setdefault((row["placement"], row["capacities"]), []).append(row)
    for (placement, capacities), found in sorted(groups.items(), key=lambda group: group[0][0]):
        gains = [gain(row, "fair") for row in found]
        carried = [statistics.median(row[how]["fair"] for row in found) / 1e6 for how in ("best", "random", "worst")]
        lines.append(
            f"| {placement} | {capacities} | {carried[0]:.1f} | {carried[1]:.1f} | {carried[2]:.1f} "
            f"| {statistics.median(gains):.2f} | {min(gains):.2f} to {max(gains):.2f} "
            f"| {statistics.median(gain(row, 'equal') for row in found):.2f} |"
        )
    given = {placement: groups[placement, "as given"] for placement in TARGETS}
    verdicts = []
    for placement, target in TARGETS.items():
        gains = [gain(row, "fair") for row in given[placement]]
        reached = sum(value >= target for value in gains)
        verdicts.append(f"{placement} placement: at least {target} in {reached} of {len(gains)}")
    return "\n".join(lines + ["", f"The thesis has 1.74 to 1.87 and 1.42 to 1.48. {'; '.join(verdicts)}."])


def main():
    arguments = argparse.ArgumentParser(prog="scripts/bench provisioning", description=__doc__)
    arguments.add_argument("--write", action="store_true", help=f"put the table into {PAGE}")
    arguments.add_argument("file", nargs="?", type=Path, default=FILE, help=f"capacities ({FILE})")
    chosen = arguments.parse_args()
    rows = measured(chosen.file)
    text = table(rows)
    print(text)
    out = Path("target/bench/provisioning.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rows))
    if chosen.write:
        between = re.compile(f"{re.escape(MARKS[0])}.*{re.escape(MARKS[1])}", re.DOTALL)
        page = PAGE.read_text()
        PAGE.write_text(between.sub(lambda _: f"{MARKS[0]}\n{text}\n{MARKS[1]}", page))


if __name__ == "__main__":
    main()
