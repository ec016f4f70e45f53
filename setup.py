"""The compiled kernel, which is optional; everything else is in pyproject.toml."""

import sys
from glob import glob

from setuptools import Extension, setup

# Free the compiler to vectorise; not -ffast-math, which would take the meaning from NaN and infinity.
FREEDOMS = ["-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-fassociative-math", "-ffp-contract=fast"]
FLAGS = ["-std=c11", "-O3", "-fopenmp-simd", *FREEDOMS]

setup(
    ext_modules=[
        Extension(
            "molebm.forcefield._native",
            sources=["native/native.c", "native/alone.c"],
            depends=sorted(glob("native/*.h")),
            extra_compile_args=["/O2"] if sys.platform == "win32" else FLAGS,
            py_limited_api=True,
            optional=True,  # without a C compiler the package works, slower
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
