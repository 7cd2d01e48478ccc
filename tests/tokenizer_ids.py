#!/usr/bin/env python3
"""Encodes text with the PyPI package `tokenizers`, the same format read by another binding.

    tokenizer_ids.py TOKENIZER_JSON [--special-tokens]

Standard input: one JSON string a line. Standard output: one JSON list of token ids a line.
"""

import argparse
import json
import sys

from tokenizers import Tokenizer


def main():
    parser = argparse.ArgumentParser(description="Encode JSON strings, one a line.")
    parser.add_argument("tokenizer")
    parser.add_argument("--special-tokens", action="store_true", help="add those of the post-processor")
    arguments = parser.parse_args()
    tokenizer = Tokenizer.from_file(arguments.tokenizer)
    for line in sys.stdin.buffer:
        print(json.dumps(tokenizer.encode(json.loads(line), add_special_tokens=arguments.special_tokens).ids))


if __name__ == "__main__":
    main()
