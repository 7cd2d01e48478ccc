"""Trains on nine folds of the labelled lines and measures on the tenth, which is left out of every step.

    python benches/accuracy.py DATA OUT [--binary target/release/harmonize] [--recipe benches/accuracy.toml] [--threads N]

DATA is the folder with `labelled_train.parquet` and the tariff texts; `DATA/` in the recipe is replaced by it. OUT keeps the model
versions, the recipe in force and the figures. Needs pyarrow. Prints a Markdown table.
"""

import argparse
import json
import re
import resource
import subprocess
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

FOLD = 9
CUSTOMS = "source = 'customs_import_lines'"
SETS = [("all rows", "true"), ("customs lines", CUSTOMS), ("customs lines with new wordings", "new_wording"),
        ("UK index terms", f"NOT ({CUSTOMS})")]


def bare(text):
    """The text without its numbers and signs."""
    return " ".join(re.sub(r"[^a-z ]+", " ", (text or "").lower()).split())


def held_out(labelled, to):
    """The fold's rows, and which of them are customs lines whose bare text is in no other fold."""
    table = pq.read_table(labelled)
    rows = table.to_pylist()
    seen = {bare(row["description"]) for row in rows if row["fold"] != FOLD}
    new = [row["source"] == "customs_import_lines" and bare(row["description"]) not in seen for row in rows]
    table = table.append_column("new_wording", pa.array(new)).filter(pa.array([row["fold"] == FOLD for row in rows]))
    pq.write_table(table, to)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--binary", default="target/release/harmonize")
    arguments.add_argument("--recipe", type=Path, default=Path(__file__).with_name("accuracy.toml"))
    arguments.add_argument("--threads", default="2")
    given = arguments.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    labelled, fold = given.data / "labelled_train.parquet", given.out / "held_out.parquet"
    recipe, registry = given.out / "recipe.toml", given.out / "models"
    recipe.write_text(given.recipe.read_text().replace("DATA/", f"{given.data.resolve()}/"))
    held_out(labelled, fold)
    common = ["--label", "hs6_2017", "--registry", str(registry)]
    began = time.monotonic()
    trained = subprocess.run([given.binary, "train", "--input", str(labelled), "--where", f"fold <> {FOLD}", "--edition", "2017",
                    "--test-share", "0", "--recipe", str(recipe), "--threads", given.threads, *common])
    if trained.returncode not in (0, 10):  # 10: no threshold was proved
        raise SystemExit(trained.returncode)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"\ntraining: {(time.monotonic() - began) / 60:.1f} minutes, {used.ru_utime / 60:.1f} CPU-minutes, "
          f"{used.ru_maxrss / 2**20:.1f} GiB\n")
    version = max(int(p.name) for p in (registry / "hs" / "versions").iterdir())
    print("| rows | 6 / 4 / 2 digits | among five | coverage at 98 / 95 / 90 % | accepted, of which right | calibration error |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, where in SETS:
        told = subprocess.run([given.binary, "evaluate", "--input", str(fold), "--where", where, "--model", f"hs@{version}",
                               "--format", "json", *common], check=True, capture_output=True, text=True).stdout
        (given.out / f"{name.replace(' ', '_')}.json").write_text(told)
        found = json.loads(told)
        right, accepted = found["accuracy"], found["accepted"]
        percent = lambda *shares: " / ".join(f"{100 * share:.1f}" for share in shares)
        precision = percent(accepted["precision"]) if accepted["rows"] else "-"
        print(f"| {name} ({found['rows']}) | {percent(right['hs6'], right['hs4'], right['hs2'])} % | "
              f"{percent(right['hs6_top_five'])} % | {percent(*(at['coverage_ratio'] for at in found['coverage_at']))} % | "
              f"{percent(accepted['coverage_ratio'])} %, {precision} % | "
              f"{' / '.join(f'{x:.3f}' for x in found['calibration_error'].values())} |")


if __name__ == "__main__":
    main()
