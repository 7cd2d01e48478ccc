#!/usr/bin/env python3
"""Makes up the rows of a small lake in which everything has happened: two editions, a reclassification, a challenger with a share of
the texts, a backfill, files that were rewritten or set aside, three people who decide.

    named_lake.py FOLDER

writes FOLDER/<contract>.jsonl for write_rows.py, the same in every call. The rows are invented; what the program itself writes has
the same columns.
"""

import datetime
import hashlib
import json
import pathlib
import random
import sys

out = pathlib.Path(sys.argv[1])
rng = random.Random(20260301)

# Code of 2017 -> successors in 2022. The last one has none, the one before splits and changes its scope.
LINKS = {
    "010121": ["010121"],
    "020130": ["020130"],
    "020230": ["020230"],
    "090111": ["090111"],
    "090121": ["090121"],
    "610910": ["610910"],
    "620342": ["620342"],
    "732690": ["732690"],
    "848180": ["848180"],
    "851762": ["851779"],
    "851770": ["851779"],
    "852990": ["852990", "852491", "852499"],
    "853120": ["852491", "853120"],
    "870899": [],
}
OLD = sorted(LINKS)
NEW = sorted({code for codes in LINKS.values() for code in codes} | {"854911"})
DIGESTS = {"old@1": "a" * 64, "hs@1": "b1" * 32, "hs@2": "b2" * 32}

lines, rows, decisions, requests, runs = [], [], [], [], []


def digest(text):
    return hashlib.md5(text.encode()).hexdigest()


def noise(*what):
    """0 to 1, the same for the same words."""
    return int(digest(" ".join(map(str, what)))[:8], 16) / 2**32


TEXTS = [(f"goods of kind {n}", rng.choice(OLD)) for n in range(90)]


def file_of(number):
    day = datetime.date(2026, 1, 5) + datetime.timedelta(days=number + (number > 3))
    if number == 7:
        return f"file:///lines/{day:%Y/%m/%d}/a.parquet"
    return "file:///lines/odd.parquet" if number == 9 else f"file:///lines/date={day}/a.parquet"


class Line:
    def __init__(self, number, row):
        self.file, self.row, self.id = file_of(number), row, f"L{number:02}{row:03}"
        self.value = None if noise("value", number, row) < 0.1 else round(10 ** (1 + 4 * noise("v", number, row)), 2)
        self.text(0)

    def text(self, edition):
        at = noise("text", self.file, self.row, edition)
        self.odd = None
        if at < 0.03:
            self.description, self.code, self.odd = None, None, "no_text"
        elif at < 0.07:
            self.description, self.code, self.odd = "parts", None, "vague"
        elif at < 0.10:
            self.description, self.code, self.odd = f"zzkqx {self.row % 3}", None, "out_of_vocabulary"
        else:
            # Few texts are frequent.
            self.description, self.code = TEXTS[int(len(TEXTS) * noise("which", self.file, self.row, edition) ** 2)]
        self.digest = None if self.description is None else digest(self.description)
        # The same normalised text, written otherwise.
        if self.description and noise("loud", self.file, self.row, edition) < 0.2:
            self.description = self.description.upper()
        declared = noise("declared", self.file, self.row)
        own = self.code or "999999"
        self.declared = None if declared < 0.2 else own if declared < 0.8 else OLD[int(len(OLD) * noise("d", self.file, self.row))]
        if self.declared and declared < 0.5:
            self.declared = f"{self.declared[:4]}.{self.declared[4:]}.00"


def answer(line, model, edition, threshold):
    """What a model says of a text: code, confidence, decision, reasons."""
    if line.odd == "out_of_vocabulary" and model == "hs@2":
        return "732690", 0.41, "review", ["below_threshold"]
    if line.odd:
        return None, None, "refuse", [line.odd]
    codes = OLD if edition == "2017" else NEW
    right = line.code if edition == "2017" else (LINKS[line.code] or ["854911"])[0]
    wrong = noise("wrong", model, line.digest) < (0.25 if model == "hs@1" else 0.2)
    code = codes[int(len(codes) * noise("code", model, line.digest))] if wrong else right
    confidence = round((0.2 if wrong else 0.45) + 0.55 * noise("sure", model, line.digest), 4)
    if confidence < threshold:
        sure = noise("heading", model, line.digest)
        return code, confidence, "review", ["below_threshold"] + (["heading_sure"] if sure < 0.3 else [])
    if noise("audit", model, line.digest) < 0.35:
        return code, confidence, "review", ["audit_sample"]
    return code, confidence, "accept", []


def put(line, run, model, edition, said, role="champion", served=True, previous=None, **more):
    code, confidence, decision, reasons = said
    name, version = model.split("@")
    row = {
        "line_id": line.id,
        "source_file": line.file,
        "source_row": line.row,
        "description": line.description,
        "text_digest": line.digest,
        "hs6": code,
        "confidence": confidence,
        "confidence_heading": None if confidence is None else min(1.0, confidence + 0.05),
        "confidence_chapter": None if confidence is None else min(1.0, confidence + 0.1),
        "margin": None if confidence is None else round(confidence / 2, 4),
        "alternatives": None if confidence is None else [{"hs6": code, "confidence": confidence}],
        "decision": decision,
        "reasons": reasons,
        "previous_hs6": previous,
        "model_name": name,
        "model_version": int(version),
        "model_digest": DIGESTS[model],
        "tariff_edition": edition,
        "policy_digest": "p" * 64,
        "run_id": run["run_id"],
        "declared_code": line.declared,
        "value": line.value,
        "role": role,
        "served": served,
        "run_date": run["run_date"],
    }
    rows.append(row | more)
    return rows[-1]


def run_of(at, command, model, edition, inputs, **more):
    name, version = model.split("@")
    run = {
        "run_id": f"{at:%Y%m%dT%H%M%SZ}-{digest(str(at))[:8]}",
        "fingerprint": digest(f"run {at}") * 2,
        "command": command,
        "started_at": at.isoformat(),
        "finished_at": (at + datetime.timedelta(seconds=75)).isoformat(),
        "run_date": f"{at:%Y-%m-%d}",
        "inputs": [{"url": f, "size_bytes": 1000 + n, "e_tag": f"e{n}", "rows": n} for f, n in inputs],
        "quarantined": [],
        "text_column": "description",
        "store_text": "all",
        "model_name": name,
        "model_version": int(version),
        "model_digest": DIGESTS[model],
        "tariff_edition": edition,
        "policy_digest": "p" * 64,
        "policy_json": "{}",
        "policy_origin": "bundle",
        "quarantined_rows": 0,
        "files_written": 2,
        "bytes_written": 54321,
        "plan_secs": 0.5,
        "score_secs": 12.5 + len(runs),
        "threads": 2,
        "program_version": "0.1.0",
    }
    runs.append(run | more)
    return runs[-1]


def at(day, hour=2):
    return datetime.datetime.fromisoformat(day).replace(hour=hour)


def lines_of(numbers):
    return [line for line in lines if line.file in {file_of(n) for n in numbers}]


def inputs_of(numbers):
    return [(file_of(n), sum(line.file == file_of(n) for line in lines)) for n in numbers]


for number in range(12):
    lines += [Line(number, row) for row in range(30 + 3 * number)]

# Rows of contract 1 know neither role nor served.
run = run_of(at("2026-01-15"), "classify", "old@1", "2017", inputs_of(range(6)))
for line in lines_of(range(6)):
    put(line, run, "old@1", "2017", answer(line, "old@1", "2017", 0.7), role=None, served=None)

# The fourth file was rewritten, one is set aside, one has rows that the filter left out.
for line in lines_of([3]):
    line.text(1)
broken = {"url": "file:///lines/date=2026-01-09/broken.parquet", "size_bytes": 77, "rows": None, "reason": "no footer"}
cut = {"url": "file:///lines/date=2026-01-12/cut.parquet", "size_bytes": 99, "rows": 41, "reason": "a page is damaged"}
run = run_of(
    at("2026-02-10"), "classify", "old@1", "2017", inputs_of([3, 6, 7, 8, 9]), quarantined=[broken, cut], scope="changed",
    where_sql="source_row < 50", quarantined_rows=41,
)  # fmt: skip
for line in lines_of([3, 6, 7, 8, 9]):
    if line.row < 50:
        put(line, run, "old@1", "2017", answer(line, "old@1", "2017", 0.7))


def people(day, edition, count, model):
    """Decisions on lines of the edition that somebody looked at."""
    newest = {}
    for row in rows:
        if row["served"] is not False and row["tariff_edition"] == edition:
            newest[row["source_file"], row["source_row"]] = row
    waiting = [r for r in newest.values() if r["decision"] in ("review", "held", "refuse") and r["text_digest"]]
    codes = OLD if edition == "2017" else NEW
    for n in range(count):
        row = rng.choice(waiting)
        for who in rng.sample(["Ana", "Ben", "Cho"], rng.choice([1, 1, 2, 3])):
            drawn = rng.random()
            shown = row["hs6"]
            code = None if drawn < 0.06 else shown if shown and drawn < 0.7 else rng.choice(codes)
            alone = rng.random() < 0.5
            decisions.append(
                {
                    "decision_id": f"d{len(decisions):04}",
                    "source_file": row["source_file"] if alone else None,
                    "source_row": row["source_row"] if alone else None,
                    "text_digest": row["text_digest"],
                    "verdict": "unclassifiable" if code is None else "confirm" if code == shown else "correct",
                    "hs6": code,
                    "tariff_edition": edition,
                    "binding": code is not None and rng.random() < 0.15,
                    "reason_code": rng.choice([None, "text", "ruling"]),
                    "note": None,
                    "reviewer": who,
                    "decided_at": (at(day, 9) + datetime.timedelta(days=n % 5, minutes=n)).isoformat(),
                    "shown_run_id": row["run_id"],
                    "shown_hs6": shown,
                    "shown_confidence": row["confidence"],
                    "shown_model_digest": row["model_digest"],
                }
            )


people("2026-02-12", "2017", 60, "old@1")

# To edition 2022, all lines that have a row.
counting = {}
for row in rows:
    counting[row["source_file"], row["source_row"]] = row
run = run_of(
    at("2026-02-20"), "reclassify", "hs@1", "2022", inputs_of([n for n in range(10)]), from_edition="2017", carried_lines=1
)
decided = {}
for d in decisions:
    decided[(d["source_file"], d["source_row"]) if d["source_file"] else d["text_digest"]] = d["hs6"]
for line in lines_of(range(10)):
    before = counting.get((line.file, line.row))
    if before is None:
        continue
    person = decided.get((line.file, line.row), decided.get(line.digest))
    code = person or before["hs6"]
    to = LINKS.get(code, [])
    open_ = person is None and before["decision"] in ("review", "refuse")
    if code is None:
        said = (None, None, "refuse", before["reasons"])
    elif to == [code]:
        said = (code, before["confidence"], "review" if open_ else "carried", before["reasons"] if open_ else [])
    elif len(to) == 1:
        said = (to[0], before["confidence"], "held" if person else "review" if open_ else "mapped", before["reasons"] if open_ else [])
    elif to:
        sure = round(0.3 + 0.7 * noise("within", line.digest), 4)
        waits = "held" if person else "review" if open_ or sure < 0.8 else "accept"
        said = (to[int(len(to) * noise("to", line.digest))], sure, waits, ["scope_changed"] if waits != "accept" else [])
        if waits != "accept" and code == "853120":
            said = said[:3] + (["split"],)
    else:
        said = ("854911", 0.11, "held" if person else "review", ["orphaned"])
    put(line, run, "hs@1", "2022", said, previous=code)

# A challenger beside: its rows where it differs, and its answer for a share of the texts.
for day, numbers in [("2026-03-02", [10, 11, 5]), ("2026-03-20", [10])]:
    for line in lines_of([5]):
        line.text(2)
    # Once more a file was rewritten, this time with fewer rows.
    inputs = [(file, rows - 4 * (day == "2026-03-20")) for file, rows in inputs_of(numbers)]
    run = run_of(
        at(day), "classify", "hs@1", "2022", inputs, challenger_name="hs", challenger_version=2,
        challenger_digest=DIGESTS["hs@2"], challenger_rows="differing", split_ratio=0.2, scope="full",
    )  # fmt: skip
    for line in lines_of(numbers):
        champion, challenger = answer(line, "hs@1", "2022", 0.65), answer(line, "hs@2", "2022", 0.6)
        differs = champion[0] != challenger[0] or champion[2] != challenger[2]
        served = differs and noise("split", line.digest) < 0.2
        put(line, run, "hs@1", "2022", champion, served=not served)
        if differs:
            put(line, run, "hs@2", "2022", challenger, role="challenger", served=served)
    here = [r for r in rows if r["run_id"] == run["run_id"]]
    run |= {
        "challenger_lines": sum(r["role"] == "champion" for r in here),
        "differing_lines": sum(r["role"] == "challenger" for r in here),
    }

# Beside what counts.
run = run_of(at("2026-03-25"), "backfill", "hs@2", "2022", inputs_of([0]), scope="beside")
for line in lines_of([0]):
    put(line, run, "hs@2", "2022", answer(line, "hs@2", "2022", 0.6), role="backfill", served=False)
people("2026-03-21", "2022", 90, "hs@1")

# Labels were requested where both differ and the line was accepted.
accepted = [r for r in rows if r["run_id"] == runs[-2]["run_id"] and r["served"] and r["decision"] == "accept"]
for n, row in enumerate(accepted[:6]):
    requests.append(
        {
            "request_id": f"r{n}",
            "source_file": row["source_file"],
            "source_row": row["source_row"],
            "text_digest": row["text_digest"],
            "champion_digest": DIGESTS["hs@1"],
            "challenger_digest": DIGESTS["hs@2"],
            "champion_hs6": row["hs6"],
            "challenger_hs6": None,
            "sampling_ratio": 0.5,
            "run_id": row["run_id"],
            "requested_at": f"2026-03-{22 + n}T10:00:00",
            "requested_by": "Cho",
        }
    )

for run in runs:
    here = [r for r in rows if r["run_id"] == run["run_id"] and r["role"] != "challenger"]
    run["lines_written"] = len(here)
    run["lines_read"] = len(here)
    for decision in ("accept", "review", "refuse"):
        run[f"{decision}_lines"] = sum(r["decision"] == decision for r in here)

nomenclature, correlations = [], []
for edition, codes, first, last in [("2017", OLD, "2017-01-01", "2021-12-31"), ("2022", NEW, "2022-01-01", None)]:
    every = sorted({code[:n] for code in codes for n in (2, 4, 6)})
    # The second import counts: it lost one code, and its English is another.
    for number, imported in enumerate(["20260101T000000Z-aa", "20260102T000000Z-bb"]):
        for language in ("en", "fr"):
            for code in every if number == 0 else [c for c in every if c != "610910"]:
                nomenclature.append(
                    {
                        "schedule": "HS",
                        "edition": edition,
                        "code": code,
                        "level": len(code),
                        "parent": code[:-2] or None,
                        "description": f"{language} {code} {number}",
                        "language": language,
                        "section": "I",
                        "valid_from": first,
                        "valid_to": last,
                        "source": "made up",
                        "import_id": imported,
                    }
                )
for old, codes in LINKS.items():
    for new in codes:
        correlations.append(
            {"from_edition": "2017", "to_edition": "2022", "from_code": old, "to_code": new, "source": "made up", "import_id": "1"}
        )

tables = {
    "predictions": rows,
    "decisions": decisions,
    "runs": runs,
    "label_requests": requests,
    "nomenclature": nomenclature,
    "correlations": correlations,
}
for contract, table in tables.items():
    (out / f"{contract}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table), encoding="utf-8")
print(json.dumps({contract: len(table) for contract, table in tables.items()}))
