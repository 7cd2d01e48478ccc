#!/usr/bin/env python3
"""Reads files of findings with other programs than harmonize, and prints their rows as they were before cells were made inert.

    read_sheets.py FILE...

Prints a list for each file: [{column: text}], where a cell that is empty or null is null. CSV is read by the module csv, XLSX by its own
zip and XML, Parquet by pyarrow. A cell that a spreadsheet program would compute or convert ends the program with its name.
"""

import csv
import json
import pathlib
import re
import sys
import zipfile
from xml.etree import ElementTree

import pyarrow.parquet

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
NAMED = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}


def restored(cell):
    if cell is None or not cell.startswith("'"):
        return cell
    named = lambda m: NAMED[m[1]] if m[1] in NAMED else chr(int(m[2], 16))
    return re.sub(r"\\([nrt\\]|u\{([0-9a-f]+)\})", named, cell[1:])


def of_csv(path):
    rows = list(csv.DictReader(open(path, encoding="utf-8-sig", newline="")))
    for row in rows:
        for name, cell in row.items():
            if cell[:1] in tuple("=+-@\t\r"):
                sys.exit(f"{path}: {name} holds {cell!r}")
    return [{name: restored(cell) or None for name, cell in row.items()} for row in rows]


def of_xlsx(path):
    book = zipfile.ZipFile(path)
    shared = ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
    strings = ["".join(t.text or "" for t in item.iter(MAIN + "t")) for item in shared.iter(MAIN + "si")]
    sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    table = []
    for row in sheet.iter(MAIN + "row"):
        cells = {}
        for cell in row.iter(MAIN + "c"):
            if cell.find(MAIN + "f") is not None:
                sys.exit(f"{path}: {cell.get('r')} is a formula")
            value = cell.find(MAIN + "v")
            if value is not None:
                text = strings[int(value.text)] if cell.get("t") == "s" else value.text
                cells[re.sub("[0-9]", "", cell.get("r"))] = (text, cell.get("t") == "s")
        table.append(cells)
    header = {at: name for at, (name, _) in table[0].items()}
    for cells in table[1:]:
        for at, (text, is_text) in cells.items():
            if header[at] in ("code", "other_codes", "declared_code", "edition") and not is_text:
                sys.exit(f"{path}: {header[at]} holds the number {text}")
    return [{name: restored(cells.get(at, (None,))[0]) for at, name in header.items()} for cells in table[1:]]


def of_parquet(path):
    rows = pyarrow.parquet.read_table(path).to_pylist()
    return [{name: value if value is None or isinstance(value, str) else repr(value) for name, value in row.items()} for row in rows]


READ = {".csv": of_csv, ".xlsx": of_xlsx, ".parquet": of_parquet}
json.dump([READ[pathlib.Path(path).suffix](path) for path in sys.argv[1:]], sys.stdout)
print()
