#!/usr/bin/env python3
"""Opens DIR/model.safetensors with the PyPI packages `safetensors` and `numpy`.

    read_bundle.py DIR

Prints {tensor: [dimension, ...]} as JSON. Every tensor is read in full; a number that is not finite
is an error.
"""

import json
import pathlib
import sys

import numpy
from safetensors import safe_open


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    shapes = {}
    with safe_open(pathlib.Path(sys.argv[1]) / "model.safetensors", framework="numpy") as tensors:
        for name in sorted(tensors.keys()):
            tensor = tensors.get_tensor(name)
            if numpy.issubdtype(tensor.dtype, numpy.floating) and not numpy.isfinite(tensor).all():
                sys.exit(f"read_bundle: {name} holds numbers that are not finite")
            shapes[name] = list(tensor.shape)
    print(json.dumps(shapes))


if __name__ == "__main__":
    main()
