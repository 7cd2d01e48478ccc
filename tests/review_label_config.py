#!/usr/bin/env python3
"""What a labelling configuration shows and asks, by Python's own XML reader."""

import json
import sys
import xml.etree.ElementTree as ElementTree

root = ElementTree.parse(sys.argv[1]).getroot()
controls = {tag.get("name"): [choice.get("value") for choice in tag] for tag in root if tag.get("toName")}
data = sorted(tag.get("value")[1:] for tag in root if (tag.get("value") or "").startswith("$"))
targets = {tag.get("toName") for tag in root if tag.get("toName")}
names = {tag.get("name") for tag in root}
assert targets <= names, "every control belongs to an object"
print(json.dumps({"controls": controls, "data": data}))
