"""Every example of the gallery runs as it stands, in half a minute at most."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_within_30_seconds(example, tmp_path):
    if example.stem == "plot_export":
        for name in ("onnxruntime", "skl2onnx", "skops"):
            pytest.importorskip(name)
    environment = {**os.environ, "MPLBACKEND": "Agg", "OPENBLAS_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(example.parents[1])
    before = os.times()
    run = subprocess.run(
        [sys.executable, str(example)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    after = os.times()
    assert not run.returncode, run.stderr
    assert run.stdout
    # CPU seconds: the tests may share the machine with others.
    assert after.children_user - before.children_user < 30


def test_examples_are_found():
    assert len(EXAMPLES) >= 8
