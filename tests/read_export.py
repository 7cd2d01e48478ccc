#!/usr/bin/env python3
"""Opens a folder as Hugging Face's libraries do.

    read_export.py DIR

Prints as JSON: the YAML of README.md, config.json, the names of the tensors, and the token ids of a text.
"""

import json
import pathlib
import sys

import yaml
from huggingface_hub import ModelCard
from safetensors.numpy import load_file
from tokenizers import Tokenizer

folder = pathlib.Path(sys.argv[1])
card = ModelCard.load(folder / "README.md")
front = (folder / "README.md").read_text().split("---\n")[1]
print(
    json.dumps(
        {
            "card": card.data.to_dict(),
            "yaml": yaml.safe_load(front),
            "title": card.text.strip().splitlines()[0],
            "config": json.loads((folder / "config.json").read_text()),
            "tensors": sorted(load_file(folder / "model.safetensors")),
            "ids": Tokenizer.from_file(str(folder / "tokenizer.json")).encode("steel bolts").ids,
        }
    )
)
