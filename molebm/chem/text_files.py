"""Text files by their extension, compressed or not."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TextIO


def extension(path: Path) -> str:
    """Return the extension in lower case, without a .gz after it."""
    return (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()


def open_text(path: Path) -> TextIO:
    """Open for reading as text, decompressed; bytes that are not UTF-8 do not stop it."""
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", errors="replace")
    return path.open(encoding="utf-8-sig", errors="replace")
