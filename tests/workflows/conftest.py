"""Scripts in workflows/benchmarks import each other by their plain names, as where they are run; so do these tests."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "workflows" / "benchmarks"), str(HERE)]
