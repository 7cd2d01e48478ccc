#!/usr/bin/env python3
"""What the files of three nomenclatures and the tables between them say, for the functions of the tariff.

    tariff_functions.py FOLDER

Prints {"descriptions": {year: {code: text}}, "codes": number of distinct codes, "successors": {"from to": {code: [code, ...]}}};
2012 to 2022 is the composition of the two tables.
"""

import csv
import json
import sys

folder = sys.argv[1]
YEARS = ["2012", "2017", "2022"]


def read(name):
    with open(f"{folder}/{name}", encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


descriptions = {
    year: {row["hs_code"]: " ".join(row["description"].split()) for row in read(f"nomenclature_hs{year}.csv")
           if row["hs_code"] != "999999"}
    for year in YEARS
}


def of(old, new):
    to = {code: set() for code in descriptions[old] if len(code) == 6}
    for row in read(f"correlation_{old}_{new}.csv"):
        if "999999" not in (row[f"hs{old}"], row[f"hs{new}"]):
            to[row[f"hs{old}"]].add(row[f"hs{new}"])
    return to


first, second = of("2012", "2017"), of("2017", "2022")
both = {code: set().union(*(second[middle] for middle in to)) for code, to in first.items()}
pairs = {"2012 2017": first, "2017 2022": second, "2012 2022": both}
print(json.dumps({
    "descriptions": descriptions,
    "codes": len(set().union(*descriptions.values())),
    "successors": {name: {code: sorted(to) for code, to in relation.items()} for name, relation in pairs.items()},
}))
