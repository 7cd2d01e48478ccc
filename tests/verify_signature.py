#!/usr/bin/env python3
"""Verifies DIR/signature.json over DIR/manifest.json with PyPI's `cryptography`.

    verify_signature.py DIR PUBLIC_PEM

Prints true or false.
"""

import base64
import hashlib
import json
import pathlib
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

folder = pathlib.Path(sys.argv[1])
key = serialization.load_pem_public_key(pathlib.Path(sys.argv[2]).read_bytes())
signature = json.loads((folder / "signature.json").read_text())
raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
try:
    key.verify(base64.b64decode(signature["signature"]), (folder / "manifest.json").read_bytes())
    print(json.dumps(signature["key_id"] == hashlib.sha256(raw).hexdigest()[:16]))
except InvalidSignature:
    print("false")
