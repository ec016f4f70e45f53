"""Scripts in workflows/benchmarks import each other by their plain names, as where they are run."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "workflows" / "benchmarks"))
