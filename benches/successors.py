"""Choosing among the successors of a code beside choosing among all codes, on lines labelled in edition 2022.

    python benches/successors.py DATA OUT [--binary target/release/harmonize] [--recipe benches/successors.toml] [--threads N]

The UK index terms of `labelled_train.parquet` have codes of edition 2022 and, beside them, the code that they had in 2017. Two models of
edition 2022 are trained, each without one half of these terms; what is measured on a term comes from the model that has not seen it.
They learn from the other half, from the customs lines whose code of 2017 has one successor (nothing else may be relabelled),
and from tariff texts of 2022. Then each term is classified among all codes (`classify`) and reclassified from its code of 2017
(`reclassify`). Needs pyarrow, deltalake and scipy. Prints Markdown tables; OUT keeps models, lakes and figures.
"""

import argparse
import collections
import csv
import json
import shutil
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake
from scipy.stats import binomtest

UK = "uk_tariff_search_references"
POLICIES = ["ignore", "when_text_says", "follow"]


def correlation(data):
    """Successors of each code of 2017, without the links of the three catch-all groups."""
    successors = collections.defaultdict(set)
    with open(data / "correlation_2017_2022.csv", newline="") as file:
        rows = [(row["hs2017"], row["hs2022"]) for row in csv.DictReader(file)]
    links = collections.Counter(new for _, new in rows)
    for old, new in rows:
        catch_all = new.startswith(("8549", "8524", "852990")) and links[new] >= 100 and old != new
        if not catch_all:
            successors[old].add(new)
    return successors


def prepare(data, out):
    """Lines to learn from with labels of 2022, and the two halves to measure on."""
    successors = correlation(data)
    rows = pq.read_table(data / "labelled_train.parquet").to_pylist()
    learn, halves = [], ([], [])
    for row in rows:
        uk = row["source"] == UK
        half = row["fold"] % 2 if uk else None
        code = row["hs6"] if uk else None
        if not uk and row["hs6_2017"] and len(successors[row["hs6_2017"]]) == 1:
            (code,) = successors[row["hs6_2017"]]
        if code:
            learn.append({"description": row["description"], "hs6_2022": code, "half": half})
        if uk and row["hs6_2017"]:
            halves[half].append({"description": row["description"], "hs6": row["hs6"], "hs6_2017": row["hs6_2017"]})
    pq.write_table(pa.Table.from_pylist(learn), out / "learn.parquet")
    for half, lines in enumerate(halves):
        pq.write_table(pa.Table.from_pylist(lines), out / f"half{half}.parquet")
    return halves


def wilson(right, of):
    if not of:
        return "-"
    low, high = binomtest(right, of).proportion_ci(0.95, "wilson")
    return f"{100 * right / of:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def coverage(judged, least):
    """Largest share that can be accepted, surest first, with that precision; equal ones together."""
    judged = sorted(judged, key=lambda j: -j[0])
    right = best = 0
    for n, (share, good) in enumerate(judged, 1):
        right += good
        if (n == len(judged) or judged[n][0] != share) and right >= least * n:
            best = n
    return best / max(len(judged), 1)


def table(rows):
    print("| terms | n | candidates, median | restricted, % right | among all codes, % right | only restricted / only unrestricted right, p | "
          "needs a person at 98 %: restricted, unrestricted |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, some in rows:
        if not some:
            continue
        a, b = sum(s["restricted"] for s in some), sum(s["all"] for s in some)
        gained = sum(s["restricted"] and not s["all"] for s in some)
        lost = sum(s["all"] and not s["restricted"] for s in some)
        p = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
        people = [1 - coverage([(s[share], s[right]) for s in some], 0.98)
                  for share, right in [("share", "restricted"), ("confidence", "all")]]
        median = sorted(s["candidates"] for s in some)[len(some) // 2]
        print(f"| {name} | {len(some)} | {median} | {wilson(a, len(some))} | {wilson(b, len(some))} | {gained} / {lost}, {p:.2g} | "
              f"{100 * people[0]:.1f} %, {100 * people[1]:.1f} % |")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--binary", default="target/release/harmonize")
    arguments.add_argument("--recipe", type=Path, default=Path(__file__).with_name("successors.toml"))
    arguments.add_argument("--threads", default="2")
    given = arguments.parse_args()
    data, out = given.data.resolve(), given.out
    out.mkdir(parents=True, exist_ok=True)

    def run(*args, fine=(0,)):
        done = subprocess.run([given.binary, *map(str, args), "--registry", str(out / "models")], stdout=subprocess.PIPE, text=True)
        if done.returncode not in fine:
            raise SystemExit(f"{args[0]} ended with {done.returncode}")
        return done.stdout

    halves = prepare(data, out)
    recipe = out / "recipe.toml"
    recipe.write_text(given.recipe.read_text().replace("DATA/", f"{data}/"))
    found = {policy: [] for policy in POLICIES}
    for half, lines in enumerate(halves):
        name, file = f"without{half}", out / f"half{half}.parquet"
        if not (out / "models" / name).exists():
            run("train", "--input", out / "learn.parquet", "--label", "hs6_2022", "--edition", "2022", "--name", name, "--where",
                f"half IS NULL OR half <> {half}", "--test-share", "0", "--recipe", recipe, "--threads", given.threads, fine=(0, 10))
        for lake in out.glob(f"lake{half}*"):
            shutil.rmtree(lake)
        first = out / f"lake{half}"
        run("classify", "--input", file, "--lake", first, "--model", f"{name}@1")
        answered = DeltaTable(str(first / "predictions")).to_pyarrow_table()
        everything = {row["source_row"]: row for row in answered.to_pylist()}
        # The same lines as they stood before: an accepted code of 2017.
        rows = answered.column("source_row").to_pylist()
        before = answered
        for column, values in [("hs6", [lines[n]["hs6_2017"] for n in rows]), ("decision", ["accept"] * len(rows)),
                               ("tariff_edition", ["2017"] * len(rows))]:
            place = before.schema.get_field_index(column)
            before = before.set_column(place, before.schema.field(place), pa.array(values, before.schema.field(place).type))
        for policy in POLICIES:
            lake = out / f"lake{half}-{policy}"
            write_deltalake(str(lake / "predictions"), before, partition_by=["run_date"])
            run("tariff", "import", f"2017={data}/nomenclature_hs2017.csv", f"2022={data}/nomenclature_hs2022.csv",
                data / "correlation_2017_2022.csv", "--lake", lake)
            kinds = {}
            for kind in csv.DictReader(run("tariff", "diff", "2017", "2022", "--rows", "--catch-all", policy, "--lake", lake,
                                           "--format", "csv").splitlines()):
                for code in kind["from_codes"].split():
                    kinds[code] = (kind["change"], kind["scope_changed"] == "yes")
            run("reclassify", "--lake", lake, "--from", "2017", "--to", "2022", "--model", f"{name}@1", "--catch-all", policy)
            after = DeltaTable(str(lake / "predictions")).to_pyarrow_table().to_pylist()
            for row in after:
                if row["tariff_edition"] != "2022" or not row["alternatives"] or not row["previous_hs6"]:
                    continue
                line, other = lines[row["source_row"]], everything[row["source_row"]]
                found[policy].append({
                    "kind": kinds.get(row["previous_hs6"], ("not in the edition", False)), "action": row["reasons"],
                    "decision": row["decision"], "candidates": len(row["alternatives"]),
                    "restricted": row["alternatives"][0]["hs6"] == line["hs6"], "share": row["alternatives"][0]["confidence"] or 0.0,
                    "all": other["hs6"] == line["hs6"], "confidence": other["confidence"] or 0.0,
                })
    (out / "found.json").write_text(json.dumps(found))
    for policy in POLICIES:
        some = found[policy]
        print(f"\nCatch-all links: `{policy}`\n")
        scope = [s for s in some if s["kind"][1]]
        gone = [s for s in some if s["kind"][0] == "split" and not s["kind"][1]]
        table([("keeps its number, changes its scope", scope), ("split, number gone", gone), ("both", scope + gone)])


if __name__ == "__main__":
    main()
