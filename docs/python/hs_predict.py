#!/usr/bin/env python3
"""The prediction function inside the Python package datafusion, in the caller's own process.

    pip install datafusion==55.0.0 pyarrow
    cargo build --release
    python hs_predict.py target/release/libharmonize.so REGISTRY hs@champion lines.parquet

prints, as JSON, what the model says of every description of the file.
"""

import ctypes
import json
import sys

import datafusion


def hs_predict(library, registry, model):
    """The function for one model version, for `SessionContext.register_udf`."""
    lib = ctypes.CDLL(library)
    lib.harmonize_hs_predict.restype = ctypes.c_void_p
    lib.harmonize_hs_predict.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]
    lib.harmonize_release.argtypes = [ctypes.c_void_p]
    capsule = ctypes.pythonapi.PyCapsule_New
    capsule.restype, capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    why = ctypes.create_string_buffer(4096)
    function = lib.harmonize_hs_predict(registry.encode(), model.encode(), why, len(why))
    if not function:
        raise ValueError(why.value.decode())
    name = b"datafusion_scalar_udf"

    class Function:
        def __datafusion_scalar_udf__(self):
            return capsule(function, name, None)

    try:
        return datafusion.udf(Function())
    finally:
        lib.harmonize_release(function)


if __name__ == "__main__":
    library, registry, model, file = sys.argv[1:]
    context = datafusion.SessionContext()
    context.register_udf(hs_predict(library, registry, model))
    context.register_parquet("lines", file)
    answers = context.sql("SELECT description, hs_predict(description) AS p FROM lines").to_pylist()
    by_chapter = context.sql(
        "SELECT substr(hs_predict(description)['hs6'], 1, 2) AS chapter, count(*) AS lines FROM lines GROUP BY 1 ORDER BY 1 NULLS LAST"
    )
    print(json.dumps({"answers": answers, "by_chapter": by_chapter.to_pylist()}))
