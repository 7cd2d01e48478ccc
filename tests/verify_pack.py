#!/usr/bin/env python3
"""Computes the digest of an audit pack with Python alone, and prints what it states beside it as JSON.

    verify_pack.py FILE
"""

import hashlib
import json
import sys

text = open(sys.argv[1], encoding="utf-8", newline="").read()
begin, end = '{"digest":"', '",'
assert text.startswith(begin) and text.endswith("}\n"), text[:80]
stated = text[len(begin) : len(begin) + 64]
rest = text[len(begin) + 64 :]
assert rest.startswith(end), rest[:20]
digest = hashlib.sha256(("{" + rest[len(end) :].removesuffix("\n")).encode()).hexdigest()


def sorted_members(pairs):
    names = [name for name, _ in pairs]
    assert names == sorted(set(names)), names
    return dict(pairs)


pack = json.loads(text, object_pairs_hook=sorted_members)
assert list(pack) == ["digest", "pack"]
# Without white space between tokens: as long as what Python writes so, but for the spelling of numbers.
numbers = {"parse_float": lambda _: 0, "parse_int": lambda _: 0}
plain = json.dumps(json.loads(text, **numbers), separators=(",", ":"), ensure_ascii=False)
assert plain.count('"') == text.count('"') and plain.count(",") == text.count(",") and plain.count(" ") == text.count(" ")
print(json.dumps({"digest": digest, "stated": stated, "kind": pack["pack"]["kind"]}))
