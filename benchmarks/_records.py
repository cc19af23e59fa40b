"""The JSON file in which a benchmark keeps what it has measured, rewritten after each fit."""

import json
import os
from pathlib import Path


def read(path, otherwise):
    """Return what the file holds, or ``otherwise`` where there is none yet."""
    return json.loads(Path(path).read_text()) if Path(path).exists() else otherwise


def write(path, content):
    """Put a new file in the place of the old one: an interrupt loses no hours of fits."""
    beside = Path(f"{path}.{os.getpid()}")
    beside.write_text(json.dumps(content, indent=1))
    beside.replace(path)
