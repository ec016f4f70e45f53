"""The compiled kernel, which is optional; everything else is in pyproject.toml."""

import sys

from setuptools import Extension, setup

FLAGS = ["-std=c11", "-O3", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]

setup(
    ext_modules=[
        Extension(
            "molebm.forcefield._native",
            sources=["molebm/forcefield/native.c"],
            extra_compile_args=["/O2"] if sys.platform == "win32" else FLAGS,
            py_limited_api=True,
            optional=True,  # without a C compiler the package works, slower
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
