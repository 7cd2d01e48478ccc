#!/usr/bin/env python3
"""What openpyxl finds in a workbook of the review queue: sheets, frozen panes, formulas, and the lists to choose from."""

import json
import re
import sys

import openpyxl

book = openpyxl.load_workbook(sys.argv[1])
sheet = book["review"]
header = [cell.value for cell in sheet[1]]
lists = {}
for validation in sheet.data_validations.dataValidation:
    column = header[next(iter(validation.sqref.ranges)).min_col - 1]
    name, first, last = re.fullmatch(r"'(.+)'!\$A\$(\d+):\$A\$(\d+)", validation.formula1).groups()
    lists[column] = [book[name].cell(row=n, column=1).value for n in range(int(first), int(last) + 1)]
cells = [cell for row in sheet.iter_rows() for cell in row]
numbers = {"lines", "confidence", "source_row"} | {f"candidate_{n}_confidence" for n in range(1, 6)}
text = [cell for cell in cells if cell.row > 1 and cell.value is not None and header[cell.column - 1] not in numbers]
print(
    json.dumps(
        {
            "sheets": book.sheetnames,
            "freeze": sheet.freeze_panes,
            "header": header,
            "formulas": sum(cell.data_type == "f" for cell in cells),
            "text_cells_are_text": all(cell.data_type == "s" and cell.number_format == "@" for cell in text),
            "lists": lists,
            "explained": [cell.value for cell in book["how to"]["A"]],
        }
    )
)
