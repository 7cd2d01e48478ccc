#!/usr/bin/env python3
"""Reads a file of the review queue as another program would, changes cells, and saves it as such programs save it.

    review_edit.py IN [OUT [SAVED_AS]]

CSV by Python's own reader, XLSX by openpyxl, Parquet by pyarrow, JSON of Label Studio by Python's own reader. Standard input
holds a JSON list of changes: {"row": N, "COLUMN": VALUE, …} with rows counted from 0 below the header; a VALUE may be
{"date": "2001-01-21"}; for JSON of Label Studio {"row": N, "annotations": […]}. SAVED_AS is one of semicolon, utf16, or sep
for CSV. Prints the rows as they were, a list of objects.
"""

import csv
import datetime
import json
import pathlib
import sys

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

csv.field_size_limit(1 << 30)


def typed(value):
    if isinstance(value, dict):
        return datetime.date.fromisoformat(value["date"])
    return value


def edit_csv(source, target, saved_as, changes):
    with open(source, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    header = rows[0]
    was = [dict(zip(header, row)) for row in rows[1:]]
    for change in changes:
        for name, value in change.items():
            if name != "row":
                rows[change["row"] + 1][header.index(name)] = "" if value is None else str(typed(value))
    if target:
        encoding = "utf-16" if saved_as == "utf16" else "utf-8-sig"
        delimiter = {"semicolon": ";", "sep": ";", "utf16": "\t"}.get(saved_as, ",")
        with open(target, "w", encoding=encoding, newline="") as file:
            if saved_as == "sep":
                file.write("sep=;\r\n")
            csv.writer(file, delimiter=delimiter).writerows(rows)
    return was


def edit_xlsx(source, target, changes):
    book = openpyxl.load_workbook(source)
    sheet = book["review"]
    rows = list(sheet.iter_rows())
    header = [cell.value for cell in rows[0]]
    was = [{name: cell.value for name, cell in zip(header, row)} for row in rows[1:]]
    for change in changes:
        for name, value in change.items():
            if name == "row":
                continue
            cell = sheet.cell(row=change["row"] + 2, column=header.index(name) + 1)
            cell.value = typed(value)
            if isinstance(value, dict):
                cell.number_format = "yyyy-mm-dd"
            elif isinstance(value, (int, float)):
                cell.number_format = "General"
    if target:
        book.save(target)
    return was


def edit_parquet(source, target, changes):
    table = pq.read_table(source)
    rows = table.to_pylist()
    was = [dict(row) for row in rows]
    for change in changes:
        rows[change["row"]].update({name: typed(value) for name, value in change.items() if name != "row"})
    if target:
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), target)
    return was


def edit_json(source, target, changes):
    tasks = json.loads(pathlib.Path(source).read_text(encoding="utf-8"))
    was = [dict(task) for task in tasks]
    for change in changes:
        tasks[change["row"]]["annotations"] = change["annotations"]
    if target:
        # As an export of a project has them: with numbers of their own.
        saved = [{"id": 1000 + n, "annotations": [], **task, "project": 7} for n, task in enumerate(tasks)]
        pathlib.Path(target).write_text(json.dumps(saved, indent=1), encoding="utf-8")
    return was


source = sys.argv[1]
target = sys.argv[2] if len(sys.argv) > 2 else None
saved_as = sys.argv[3] if len(sys.argv) > 3 else ""
changes = json.loads(sys.stdin.readline() or "[]")
kind = pathlib.Path(source).suffix
if kind == ".csv":
    was = edit_csv(source, target, saved_as, changes)
elif kind == ".xlsx":
    was = edit_xlsx(source, target, changes)
elif kind == ".parquet":
    was = edit_parquet(source, target, changes)
else:
    was = edit_json(source, target, changes)
print(json.dumps(was))
