"""Peak memory of a fit: of a memory-mapped file, and in arrays of one number a row.

    python benchmarks/memory.py --rows 10000000 --features 30   # resident, a file of 1.2 GB
    python benchmarks/memory.py                                 # allocated, by kind of table

The first writes a float32 file block by block (to the temporary folder unless ``--folder``), fits
the defaults to it in a process of its own, prints the largest resident memory of that process above
what it was after the imports, and removes the file. Pages of the file that were read count as
resident; the kernel takes them back where memory is short.

The second fits tables of n and 2n rows under tracemalloc. The difference of the peaks over n is
what a row costs beyond the table itself; the rest does not grow with the rows.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from sklearn_sketchgn import SketchGNRegressor, _lazy_rows, _sparse, _tables, _training_data

_BLOCK = 2**16


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int)
    parser.add_argument("--features", type=int, default=30)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--folder")
    parser.add_argument("--fit", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.fit:
        _fit_file(Path(arguments.fit), arguments.width)
    elif arguments.rows:
        _mapped(arguments)
    else:
        _allocated()


# Resident memory ----------------------------------------------------------------------------------


def _mapped(arguments):
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        _write(Path(folder), arguments.rows, arguments.features)
        command = [sys.executable, __file__, "--fit", folder, "--width", str(arguments.width)]
        subprocess.run(command, check=True)


def _write(folder, n_rows, n_features):
    rng = np.random.default_rng(0)
    X = np.lib.format.open_memmap(
        folder / "X.npy", mode="w+", dtype=np.float32, shape=(n_rows, n_features)
    )
    X.flush()
    del X
    y = np.empty(n_rows)
    with open(folder / "X.npy", "r+b") as file:
        file.seek(-4 * n_rows * n_features, 2)
        for start in range(0, n_rows, _BLOCK):
            shape = (min(_BLOCK, n_rows - start), n_features)
            block = rng.standard_normal(shape, dtype=np.float32)
            y[start : start + _BLOCK] = _target(block)
            file.write((10 * block + 100).tobytes())
    y += 0.1 * rng.standard_normal(n_rows)
    np.save(folder / "y.npy", y)


def _target(block):
    return np.sin(block[:, 0]) + block[:, 1] * block[:, 2] + 0.5 * block[:, 3]


def _fit_file(folder, width):
    before = _resident()
    X, y = np.load(folder / "X.npy", mmap_mode="r"), np.load(folder / "y.npy")
    start = time.perf_counter()
    model = SketchGNRegressor(width=width, random_state=0).fit(X, y)
    seconds = time.perf_counter() - start
    after = _resident()
    rng = np.random.default_rng(1)
    unseen = rng.standard_normal((20_000, X.shape[1]), dtype=np.float32)
    score = model.score(10 * unseen + 100, _target(unseen))
    result = {
        "shape": list(X.shape),
        "file_MB": X.nbytes / 1e6,
        "targets_MB": y.nbytes / 1e6,
        "imports_MB": before,
        "peak_above_imports_MB": after - before,
        "steps": model.n_iter_,
        "seconds": seconds,
        "score_on_unseen_rows": score,
    }
    print(json.dumps(result, indent=1))


def _resident():
    """Return the largest resident memory of this process so far, in MB of 10^6 bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # where ru_maxrss is that of the process that started this one
        return 1024 * int(status.read_text().split("VmHWM:")[1].split()[0]) / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


# Allocated memory ---------------------------------------------------------------------------------


def _allocated():
    # As if these tables were large ones.
    _training_data.HELD_NUMBERS = 2**18
    _training_data.COPIED_NUMBERS = _lazy_rows.COPIED_NUMBERS = 2**18
    _tables._NUMBERS, _sparse._ENTRIES = 2**18, 2**16
    print(
        f"{'table':<24}{'bytes a row':>12}{'n x (d + 1) float32':>22}{'n float64':>11}{'rest':>9}"
    )
    for name, make in (("array", _array), ("CSR", _csr), ("memory-mapped file", _file)):
        n_rows, n_features = 100_000, 20
        small, large = (_peak(make, n, n_features) for n in (n_rows, 2 * n_rows))
        row = (large - small) / n_rows
        rest = (small - row * n_rows) / 1e6
        print(
            f"{name:<24}{row:12.0f}{row / (4 * n_features + 4):22.2f}{row / 8:11.1f}{rest:6.0f} MB"
        )


def _array(n_rows, n_features, folder):
    return np.random.default_rng(0).standard_normal((n_rows, n_features))


def _csr(n_rows, n_features, folder):
    return sp.random(n_rows, n_features, 0.1, format="csr", random_state=0)


def _file(n_rows, n_features, folder):
    np.save(folder / "X.npy", _array(n_rows, n_features, folder))
    return np.load(folder / "X.npy", mmap_mode="r")


def _peak(make, n_rows, n_features):
    """Return the most bytes that a short fit has allocated at a time, the table not counted."""
    with tempfile.TemporaryDirectory() as folder:
        X, y = make(n_rows, n_features, Path(folder)), np.random.default_rng(1).random(n_rows)
        model = SketchGNRegressor(width=16, max_iter=9, random_state=0)
        tracemalloc.start()
        with warnings.catch_warnings(action="ignore"):
            model.fit(X, y)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak


if __name__ == "__main__":
    main()
