#!/usr/bin/env python3
"""A queue of texts that were made to break files, filled in and looked at by readers that are not ours.

    review_hostile.py make LAKE ROWS     writes predictions that wait for a person, with hostile texts
    review_hostile.py fill IN OUT LAKE   compares every text of an exported file with the lake's, decides on every row with a
                                         hostile note, and saves the file
    review_hostile.py check LAKE         compares every decision of the lake with what was filled in

Prints {"rows": N, "wrong": […]}. The rule by which a cell is restored is that of docs/review.md, written here anew.
"""

import csv
import datetime
import hashlib
import json
import pathlib
import random
import re
import sys

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake

csv.field_size_limit(1 << 30)
FILE = "file:///hostile lines/a,b;\"c\"\t.parquet"
RUN = "20260301T100000Z-0123456789ab"
CODES = ["010121", "610910", "847130", "200811", "030211"]
FIXED = [
    "", " ", "'", "''", "'=1+1", "=1+1", "=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\u200b=1",
    "\u202e=1", "\ufeff=1", "\uff1d1", "a\0b", "\0", "\x01\x02\x1f\x7f\x85", "\ufffe", "\uffff", "\ufdd0", "\U0001fffe",
    "_x000D_", "_x0041_x0042_", "_X000d_", "__x000D__", "_x005F_x000D_", "_xD83D__xDE00_", "\\", "\\n", "'\\n", "\\u{41}", "\\+1", "'\\+1",
    "a\\+1 ", "line\nbreak", "line\r\nbreak", "line\rbreak", "tab\there", "\"quoted\"", "a,b;c|d\te", "\"", "\"\"", "'\"", "sep=;", "ID",
    "00123", "1E5", "1e400", "0x10", "1-2", "1/2", "MAR 1", "12:30", "TRUE", "false", "#N/A", "#REF!", "1,000.00", "١٢", "１２", "½",
    "<r>b</r>", "<r><t>b</t></r>", "<![CDATA[x]]>", "&amp;", "<script>", "😀👩‍👩‍👧 e\u0301", "\u202b\u05e9\u05dc\u05d5\u05dd\u202c", "\u2066x\u2069",
    "\u2028", "\u2029", "a\u00a0", "\u3000a", "trailing ", "  leading", "x" * 32767, "=" + "y" * 32767, "😀" * 20000, "\n" * 40000,
    "_x000D_" * 9000, "\\" * 33000, "z" * 100000, "x005F_", "_x005F_x00", "ax005F_b",
]
PARTS = FIXED[:60] + ["STEEL", "BOLTS", " ", "  ", "M8", "=", "'", "\\", "_x0", "000D_", "\n", "é", "漢字", "😀", "\0", "\"", ",", ";"]


def text_of(n):
    """The n-th text; `None` for a line without one."""
    if n < len(FIXED):
        return FIXED[n]
    if n % 97 == 0:
        return None
    rng = random.Random(n)
    return "".join(rng.choice(PARTS) for _ in range(rng.randint(1, 7)))[: rng.choice([5, 40, 600])]


def note_of(n):
    text = text_of(n + 13)
    return None if text is None or not text.strip() else text


def answer_of(n):
    shown = CODES[n % len(CODES)]
    return [("confirm", shown), ("correct", CODES[(n + 1) % len(CODES)]), ("unclassifiable", None)][n % 3]


def make(lake, rows):
    schemas = pathlib.Path(__file__).resolve().parent.parent / "schemas"
    columns = json.loads((schemas / "predictions.json").read_text())["columns"]
    alternative = pa.struct([("hs6", pa.string()), ("confidence", pa.float32())])
    kinds = {
        "string": pa.string(), "int64": pa.int64(), "float": pa.float32(), "double": pa.float64(), "boolean": pa.bool_(), "date": pa.date32(),
        "list<string>": pa.list_(pa.field("element", pa.string())),
        "list<struct<hs6:string,confidence:float>>": pa.list_(pa.field("element", alternative)),
    }
    schema = pa.schema([pa.field(c["name"], kinds[c["type"]], c["nullable"]) for c in columns])

    def row(n):
        text, code = text_of(n), CODES[n % len(CODES)]
        digest = None if text is None else hashlib.md5(f"{n} {text}".encode()).hexdigest()
        others = [{"hs6": c, "confidence": 0.5 / (i + 1)} for i, c in enumerate([code] + [c for c in CODES if c != code])]
        return {
            "line_id": text, "source_file": FILE, "source_row": n, "description": text, "text_digest": digest, "hs6": code,
            "confidence": (n % 1000) / 1000, "alternatives": others, "decision": "review", "reasons": ["below_threshold"], "model_name": "hs",
            "model_version": 1, "model_digest": "d" * 64, "tariff_edition": "2022", "policy_digest": "p" * 64, "run_id": RUN,
            "declared_code": text, "role": "champion", "served": True, "run_date": datetime.date(2026, 3, 1),
        }

    for start in range(0, rows, 20000):
        some = [row(n) for n in range(start, min(start + 20000, rows))]
        write_deltalake(f"{lake}/predictions", pa.Table.from_pylist(some, schema=schema), mode="append", partition_by=["run_date"])
    return {"rows": rows, "wrong": []}


NAMED = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}


def restored(cell):
    """docs/review.md: a cell that begins with ' has escapes behind it."""
    if cell is None or not cell.startswith("'"):
        return cell
    one = lambda m: NAMED[m[1]] if m[1] in NAMED else chr(int(m[2], 16))
    return re.sub(r"\\(?:([nrt\\])|u\{([0-9a-f]+)\})", lambda m: one((None, m[1] or "", m[2])), cell[1:])


def written(text):
    """A cell as docs/review.md has it, always escaped."""
    plain = lambda c: c.isalnum() or c in " =+-@,;\"'.:/<>&#()|[]!^"
    named = {v: f"\\{k}" for k, v in NAMED.items()}
    body = "".join(named.get(c) or (c if plain(c) else f"\\u{{{ord(c):x}}}") for c in text)
    return "'" + (body[:-1] + "\\u{20}" if body.endswith(" ") else body)


STARTS = re.compile("^[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


class Filled:
    """Compares rows with what was made, and decides on them."""

    def __init__(self):
        self.rows, self.wrong = 0, []

    def row(self, get, text, line_id, declared):
        n = int(get("source_row"))
        self.rows += 1
        expected = text_of(n)
        for name, found in [("text", text), ("line_id", line_id), ("declared_code", declared)]:
            if found != expected and len(self.wrong) < 5:
                self.wrong.append([n, name, repr(expected)[:200], repr(found)[:200]])
        if (get("source_file"), get("run_id")) != (FILE, RUN):
            self.wrong.append([n, "address", get("source_file"), get("run_id")])
        verdict, code = answer_of(n)
        return n, {"decision": verdict, "decided_code": code if verdict == "correct" else None, "reviewer": "Ana"}

    def inert(self, n, name, cell):
        if isinstance(cell, str) and STARTS.match(cell) and len(self.wrong) < 5:
            self.wrong.append([n, f"{name} is no inert cell", repr(cell)[:200]])


def fill_csv(source, target, filled):
    with open(source, encoding="utf-8-sig", newline="") as file, open(target, "w", encoding="utf-8-sig", newline="") as out:
        reader = csv.DictReader(file)
        writer = csv.DictWriter(out, reader.fieldnames, delimiter=";")
        writer.writeheader()
        for row in reader:
            cell = lambda name: restored(row[name] or None)
            n, answer = filled.row(cell, cell("text"), cell("line_id"), cell("declared_code"))
            for name, value in row.items():
                filled.inert(n, name, value)
            note = note_of(n)
            writer.writerow({**row, **{k: v or "" for k, v in answer.items()}, "note": "" if note is None else written(note)})


def fill_xlsx(source, target, filled):
    book = openpyxl.load_workbook(source, read_only=True)
    long = {}
    if "long texts" in book.sheetnames:
        for number, part in list(book["long texts"].iter_rows(values_only=True))[1:]:
            long[number] = long.get(number, "") + restored(part)

    def whole(cell):
        goes_on = re.search(r"(\\+)\+(\d+)$", cell) if isinstance(cell, str) and cell.startswith("'") else None
        if goes_on and len(goes_on[1]) % 2 == 1:
            return restored(cell[: goes_on.end(1) - 1]) + long[goes_on[2]]
        return restored(cell) if isinstance(cell, str) else cell

    out = openpyxl.Workbook(write_only=True)
    sheet = out.create_sheet("review")
    rows = book["review"].iter_rows(values_only=True)
    header = list(next(rows))
    sheet.append(header)
    for values in rows:
        values = list(values) + [None] * (len(header) - len(values))
        row = dict(zip(header, values))
        n, answer = filled.row(lambda name: whole(row[name]), *(whole(row[name]) for name in ("text", "line_id", "declared_code")))
        for name, value in row.items():
            filled.inert(n, name, value)
        note = note_of(n)
        note = None if note is None else written(note)
        # What a person could not have entered into one cell.
        answer["note"] = note if note is None or len(note.encode("utf-16-le")) // 2 <= 32767 else None
        sheet.append([{**row, **answer}[name] for name in header])
    if long:
        sheet = out.create_sheet("long texts")
        for values in book["long texts"].iter_rows(values_only=True):
            sheet.append(values)
    out.save(target)


def fill_parquet(source, target, filled):
    table = pq.read_table(source)
    rows = table.to_pylist()
    for row in rows:
        n, answer = filled.row(row.get, row["text"], row["line_id"], row["declared_code"])
        row.update({**answer, "note": note_of(n)})
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), target)


def fill_json(source, target, filled):
    tasks = json.loads(pathlib.Path(source).read_text(encoding="utf-8"))
    for task in tasks:
        data = task["data"]
        assert "\0" not in json.dumps(data, ensure_ascii=False).replace("\\u0000", "\0"), "a store of Label Studio cannot hold U+0000"
        get = lambda name: restored(data[name]) if isinstance(data[name], str) else data[name]
        n, answer = filled.row(get, get("text"), get("line_id"), get("declared_code"))
        result = [{"from_name": "decision", "to_name": "text", "type": "choices", "value": {"choices": [answer["decision"]]}}]
        if answer["decided_code"]:
            result.append({"from_name": "decided_code", "to_name": "text", "type": "textarea", "value": {"text": [answer["decided_code"]]}})
        if note_of(n) is not None:
            result.append({"from_name": "note", "to_name": "text", "type": "textarea", "value": {"text": [note_of(n)]}})
        task["annotations"] = [{"id": n, "completed_by": {"id": 1, "email": "Ana"}, "was_cancelled": False, "result": result}]
    pathlib.Path(target).write_text(json.dumps(tasks), encoding="utf-8")


def check(lake, cut):
    wrong, seen = [], set()
    for row in DeltaTable(f"{lake}/decisions").to_pyarrow_table().to_pylist():
        n = row["source_row"]
        seen.add(n)
        verdict, code = answer_of(n)
        note = note_of(n)
        if cut and note is not None and len(written(note).encode("utf-16-le")) // 2 > 32767:
            note = None
        expected = (FILE, verdict, code, note, "Ana", RUN, CODES[n % len(CODES)])
        found = tuple(row[c] for c in ("source_file", "verdict", "hs6", "note", "reviewer", "shown_run_id", "shown_hs6"))
        if found != expected and len(wrong) < 5:
            wrong.append([n, repr(expected)[:300], repr(found)[:300]])
    return {"rows": len(seen), "wrong": wrong}


what, *rest = sys.argv[1:]
if what == "make":
    told = make(rest[0], int(rest[1]))
elif what == "fill":
    filled = Filled()
    fill = {".csv": fill_csv, ".xlsx": fill_xlsx, ".parquet": fill_parquet, ".json": fill_json}
    fill[pathlib.Path(rest[0]).suffix](rest[0], rest[1], filled)
    told = {"rows": filled.rows, "wrong": filled.wrong}
else:
    told = check(rest[0], rest[1:] == ["cut"])
print(json.dumps(told))
