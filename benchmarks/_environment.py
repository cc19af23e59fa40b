"""What a benchmark was run with: versions, machine, threads, commit, command line."""

import os
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

from threadpoolctl import threadpool_info

PACKAGES = ("numpy", "scipy", "scikit-learn", "sklearn-sketchgn")


def environment(paths=()):
    """Describe this run; of the `paths` on the command line only the last part is kept."""
    git = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
    )
    return {
        "command": " ".join(Path(a).name if a in {sys.argv[0], *paths} else a for a in sys.argv),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": git.stdout.strip() or None,
        "python": platform.python_version(),
        "versions": {package: version(package) for package in PACKAGES},
        "cpu": cpu_name(),
        "cpu_count": os.cpu_count(),
        "threads": {pool["internal_api"]: pool["num_threads"] for pool in threadpool_info()},
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def version(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def cpu_name():
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(": ", 1)[1] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
