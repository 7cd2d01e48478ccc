#!/usr/bin/env python3
"""Opens a folder with Hugging Face's libraries.

    read_export.py DIR

Prints as JSON: the YAML of README.md, config.json, the names of the tensors, and the token ids of a text.
"""

import json
import pathlib
import sys

import yaml
from safetensors.numpy import load_file
from tokenizers import Tokenizer

folder = pathlib.Path(sys.argv[1])
before, front, card = (folder / "README.md").read_text().split("---\n", 2)
if before:
    sys.exit("read_export: README.md does not begin with YAML")
print(
    json.dumps(
        {
            "yaml": yaml.safe_load(front),
            "title": card.splitlines()[0],
            "config": json.loads((folder / "config.json").read_text()),
            "tensors": sorted(load_file(folder / "model.safetensors")),
            "ids": Tokenizer.from_file(str(folder / "tokenizer.json")).encode("steel bolts").ids,
        }
    )
)
