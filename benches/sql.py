"""The prediction function in SQL beside the job: lines a second, memory, and the time to the first answer.

    python benches/sql.py INPUT --registry URL --model NAME@N [--binary target/release/harmonize] [--threads N] [--memory 1GiB]
                          [--times 3]

INPUT holds Parquet files with a column `description`. In turns, so that both see the same machine: `classify` into a new lake, whose
own account says what of its CPU time was encoding and writing, and `SELECT hs_code(description), count(*) ... GROUP BY 1` over the same
files. Then `harmonize sql "SELECT hs_code('...')"` a few times, from the start of the process. Prints Markdown tables of medians.
"""

import argparse
import os
import re
import resource
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

GROUP = "SELECT hs_code(description) AS code, count(*) AS n FROM lines GROUP BY 1"


def spent(*command):
    """CPU-seconds, wall seconds, peak MB and output of a command."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    peak = [0]

    def watch():
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            try:
                found = re.search(r"VmHWM:\s+(\d+)", status.read_text())
                peak[0] = int(found[1]) if found else peak[0]
            except OSError:
                return
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    out, err = process.communicate()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}: {err}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.monotonic() - began, peak[0] / 1024, out


def writing(told):
    """Share of the CPU time that went into encoding and writing, by the job's own account."""
    return float(re.search(r"encode and write ([0-9.]+) ?%", told)[1]) / 100


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("input", type=Path)
    arguments.add_argument("--registry", required=True)
    arguments.add_argument("--model", required=True)
    arguments.add_argument("--binary", default="target/release/harmonize")
    arguments.add_argument("--threads", default=str(os.cpu_count()))
    arguments.add_argument("--memory", default="1GiB")
    arguments.add_argument("--times", type=int, default=3)
    given = arguments.parse_args()
    common = ["--registry", given.registry, "--model", given.model, "--threads", given.threads, "--memory", given.memory]
    jobs, queries = [], []
    with tempfile.TemporaryDirectory() as scratch:
        lake = f"{scratch}/lake"
        for _ in range(given.times):
            shutil.rmtree(lake, ignore_errors=True)
            job = spent(given.binary, "classify", "--input", str(given.input), "--lake", lake, *common)
            jobs.append((*job[:3], job[1] * (1 - writing(job[3]))))
            query = spent(given.binary, "sql", "--lake", lake, "--input", str(given.input), "--format", "csv", *common, GROUP)
            queries.append((*query[:3], query[1]))
        counted = [int(line.rsplit(",", 1)[1]) for line in query[3].splitlines()[1:]]
        first = ["sql", "--lake", lake, "--format", "csv", "--registry", given.registry, "--model", given.model, "SELECT hs_code('steel bolts') AS code"]
        answers = [spent(given.binary, *first)[1] for _ in range(9)]
    lines = sum(counted)
    middle = lambda rows, at: statistics.median(row[at] for row in rows)  # noqa: E731
    print(f"{lines:,} lines, {len(counted):,} codes")
    print("| | lines/s | CPU-s per million | peak MB |")
    print("| --- | --- | --- | --- |")
    for name, rows, wall in [("classify", jobs, 1), ("classify without writing", jobs, 3), ("hs_code, grouped", queries, 3)]:
        print(f"| {name} | {lines / middle(rows, wall):,.0f} | {middle(rows, 0) / lines * 1e6:.1f} | {middle(rows, 2):.0f} |")
    print(f"ratio {middle(jobs, 3) / middle(queries, 3):.3f}")
    print(f"first answer: median {statistics.median(answers):.3f} s, most {max(answers):.3f} s of {len(answers)}")


if __name__ == "__main__":
    main()
