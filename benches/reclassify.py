"""What a night and a tariff update cost beside classifying everything: CPU-seconds, and what was asked of the model.

    python benches/reclassify.py DATA OUT --registry URL --old NAME@N --new NAME@N [--lines 10000000] [--repeats 0.4]
                                 [--binary target/release/harmonize] [--threads N] [--catch-all when_text_says]

Lines are customs lines of `DATA/labelled_train.parquet`, drawn with replacement; but for a share of repeats, their numbers are drawn anew, so
that the texts differ. They are classified into a new lake with a model of edition 2017, a `classify` of everything. Then two nights: new
files with 1 % more lines, and every file rewritten with other texts in 1 % of its lines. Then the tariff is imported and the lake
reclassified to 2022 with a model of that edition. How many lines had to be asked about is counted from the correlation table by
DuckDB, and has to be what `reclassify` says where the policy does not look at texts. Needs pyarrow, deltalake, duckdb and numpy.
"""

import argparse
import collections
import csv
import json
import os
import re
import resource
import shutil
import subprocess
import time
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

def lines(data, folder, count, repeats, seed=17):
    """Files of half a million lines each."""
    table = pq.read_table(data / "labelled_train.parquet", columns=["description", "source"]).to_pylist()
    texts = [row["description"] for row in table if row["source"] == "customs_import_lines"]
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for n, start in enumerate(range(0, count, 500_000)):
        size = min(500_000, count - start)
        drawn, again = rng.integers(0, len(texts), size), rng.random(size) < repeats
        numbers = iter(rng.integers(0, 10, 40 * size).astype("U1").tolist())
        made = [texts[at] if same else re.sub(r"[0-9]", lambda _: next(numbers), texts[at]) for at, same in zip(drawn, again)]
        ids, values = [f"{seed}{start + i:09d}" for i in range(size)], np.round(rng.lognormal(6, 2, size), 2)
        pq.write_table(pa.table({"line_id": ids, "description": made, "value": values}), folder / f"{n:03d}.parquet")


def scatter(folder):
    """Rewrites every file with another number at the end of one text in a hundred."""
    rng = np.random.default_rng(29)
    for file in sorted(folder.glob("*.parquet")):
        table = pq.read_table(file)
        texts = table["description"].to_pylist()
        for at in rng.choice(len(texts), len(texts) // 100, replace=False):
            texts[at] += f" {rng.integers(1, 10**6)}"
        rewritten = file.with_suffix(".new")
        pq.write_table(table.set_column(1, "description", pa.array(texts)), rewritten)
        rewritten.rename(file)


def spent(*command):
    """CPU-seconds, wall seconds, peak MB and output of a command."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.monotonic() - began, after.ru_maxrss / 1024, out


def to_ask(data, lake, policy):
    """Lines whose code counts and has several successors under the policy, from the tables themselves; of `when_text_says` those for which
    the text does not matter."""
    with open(data / "correlation_2017_2022.csv", newline="") as file:
        pairs = [(row["hs2017"], row["hs2022"]) for row in csv.DictReader(file) if "999999" not in (row["hs2017"], row["hs2022"])]
    links = collections.Counter(new for _, new in pairs)
    catch = lambda old, new: new.startswith(("8549", "8524", "852990")) and links[new] >= 100 and old != new
    plain, full = collections.defaultdict(set), collections.defaultdict(set)
    for old, new in pairs:
        full[old].add(new)
        if policy == "follow" or not catch(old, new):
            plain[old].add(new)
    several = sorted(code for code in full if len(plain[code]) > 1)
    con = duckdb.connect()
    con.register("p", DeltaTable(f"{lake}/predictions").to_pyarrow_dataset())
    con.execute("CREATE TABLE several AS SELECT unnest(?) AS code", [several])
    newest = "QUALIFY row_number() OVER (PARTITION BY source_file, source_row ORDER BY run_id DESC) = 1"
    lines = f"SELECT hs6, decision, text_digest FROM p WHERE tariff_edition = '2017' {newest}"
    counts = "decision IN ('accept', 'carried', 'mapped') AND text_digest IS NOT NULL"
    return con.execute(f"SELECT count(*) FROM ({lines}) WHERE {counts} AND hs6 IN (SELECT code FROM several)").fetchone()[0]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--registry", required=True)
    arguments.add_argument("--old", required=True)
    arguments.add_argument("--new", required=True)
    arguments.add_argument("--lines", type=int, default=10_000_000)
    arguments.add_argument("--repeats", type=float, default=0.4)
    arguments.add_argument("--binary", default="target/release/harmonize")
    arguments.add_argument("--threads", default=str(os.cpu_count()))
    arguments.add_argument("--catch-all", default="ignore", choices=["ignore", "follow", "when_text_says"])
    given = arguments.parse_args()
    data, inputs, lake = given.data, given.out / f"lines-{given.lines}", given.out / "lake"
    given.out.mkdir(parents=True, exist_ok=True)
    if not inputs.exists():
        lines(data, inputs, given.lines, given.repeats)
    night = given.out / "in"
    for made in (lake, night):
        shutil.rmtree(made, ignore_errors=True)
    night.mkdir()
    for file in inputs.iterdir():
        os.link(file, night / file.name)
    common = ["--lake", str(lake), "--registry", given.registry, "--threads", given.threads]
    classify = [given.binary, "classify", "--input", str(night), "--id", "line_id", "--value", "value", "--model", given.old, *common]
    full = spent(*classify)
    lines(data, given.out / "more", given.lines // 100, given.repeats, 23)
    for file in (given.out / "more").iterdir():
        file.rename(night / f"more-{file.name}")
    (given.out / "more").rmdir()
    new_files = spent(*classify)
    scatter(night)
    scattered = spent(*classify)
    subprocess.run([given.binary, "tariff", "import", f"2017={data}/nomenclature_hs2017.csv", f"2022={data}/nomenclature_hs2022.csv",
                    f"{data}/correlation_2017_2022.csv", "--lake", str(lake)], check=True, stdout=subprocess.DEVNULL)
    ask = to_ask(data, lake, given.catch_all)
    args = ["reclassify", "--from", "2017", "--to", "2022", "--model", given.new, "--catch-all", given.catch_all, "--format", "json", *common]
    rehearsed = spent(given.binary, *args, "--dry-run")
    done = spent(given.binary, *args)
    report = json.loads(done[3])["report"]
    print(f"lines {report['lines']}, asked within successors {report['asked_within']}, by the correlation table {ask}, "
          f"over the edition {report['asked_whole']}")
    print("| command | CPU-s | wall s | peak MB (largest so far) | of classify, CPU |")
    print("| --- | --- | --- | --- | --- |")
    for name, of in [("classify, everything", full), ("classify, 1 % more lines in new files", new_files),
                     ("classify, 1 % of the lines changed in every file", scattered), ("reclassify --dry-run", rehearsed),
                     ("reclassify", done)]:
        print(f"| {name} | {of[0]:.1f} | {of[1]:.1f} | {of[2]:.0f} | {of[0] / full[0]:.3f} |")


if __name__ == "__main__":
    main()
