"""The Python blocks of README.md and docs/ run as they stand, and docstrings are complete."""

import doctest
import importlib
import inspect
import re
from pathlib import Path

import pytest
from numpydoc.validate import validate
from sklearn.neural_network import MLPRegressor

import sklearn_sketchgn
from sklearn_sketchgn import SketchGNRegressor

ROOT = Path(__file__).parents[1]
if not (ROOT / "README.md").exists() or not (ROOT / "docs").exists():
    pytest.skip("README.md and docs/ are not beside the tests", allow_module_level=True)
# A block whose fence says `python no-run` needs a file or names that only a reader has.
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = {
    page.relative_to(ROOT).as_posix(): BLOCK.findall(page.read_text(encoding="utf-8"))
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
}


@pytest.mark.parametrize("page", [page for page, blocks in PAGES.items() if blocks])
def test_code_blocks_run(page, capsys):
    names = {"__name__": "__main__"}
    for block in PAGES[page]:
        exec(compile(block, page, "exec"), names)
    assert capsys.readouterr().out


def test_pages_with_code_are_found():
    assert PAGES["README.md"] and PAGES["docs/quick_start.md"] and PAGES["docs/algorithm.md"]


def test_every_parameter_of_mlpregressor_is_compared():
    page = (ROOT / "docs/coming_from_mlpregressor.md").read_text(encoding="utf-8")
    table = page.partition("## Parameters")[2].partition("## Methods")[0]
    cells = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| ")]
    theirs, ours = (
        set(re.findall(r"`(\w+)`", " ".join(column))) for column in zip(*cells, strict=True)
    )
    assert set(MLPRegressor().get_params()) <= theirs
    same = {
        name
        for left, right in cells
        if "same name" in right
        for name in re.findall(r"`(\w+)`", left)
    }
    assert set(SketchGNRegressor().get_params()) == (ours | same) - {
        "MLPRegressor",
        "SketchGNRegressor",
    }


def test_every_file_tells_the_same_version():
    version = sklearn_sketchgn.__version__
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\n## [{version}] - " in (ROOT / "CHANGELOG.md").read_text("utf-8")


# Docstrings ---------------------------------------------------------------------------------------

MODULES = ("sklearn_sketchgn", "sklearn_sketchgn.sketches", "sklearn_sketchgn.solvers")
NAMES = sorted(
    f"{module}.{name}"
    for module in MODULES
    for name in importlib.import_module(module).__all__
    if name != "SKOPS_TRUSTED"  # a list
)

#: Codes of numpydoc.validate that are not asked for, and why.
IGNORED = {
    "ES01": "a summary of one line is enough where it says everything",
    "SA01": "few names have a relative",
    "RT02": "`self : SketchGNRegressor` is what scikit-learn writes",
}
#: Nor these of methods.
IGNORED_OF_METHODS = {
    "EX01": "the example of the class shows them",
}
#: Nor these of methods that a base class documents, to whose docstring they refer.
IGNORED_OF_OVERRIDES = {
    "PR01": "the parameters are those of the base class",
    "RT01": "so is what is returned",
}


def found(name):
    """Return the object of a dotted name."""
    module = max((m for m in MODULES if name.startswith(m + ".")), key=len)
    thing = importlib.import_module(module)
    for part in name[len(module) + 1 :].split("."):
        thing = getattr(thing, part)
    return thing


METHODS = sorted(
    f"{name}.{method}"
    for name in NAMES
    if inspect.isclass(found(name))
    for method in vars(found(name))
    if not method.startswith("_") and callable(getattr(found(name), method))
)


def refers_to_base(name):
    """Whether a method overrides one of the package's base classes, and its docstring says so."""
    owner, _, method = name.rpartition(".")
    bases = [base for base in found(owner).__mro__[1:] if method in vars(base)]
    said = (found(name).__doc__ or "").replace("`.", "`")
    return bool(bases) and f"see :class:`{bases[0].__name__}`" in said


@pytest.mark.parametrize("name", [*NAMES, *METHODS])
def test_docstrings_are_complete(name):
    ignored = set(IGNORED)
    if name in METHODS:
        ignored |= set(IGNORED_OF_METHODS)
        if refers_to_base(name):
            ignored |= set(IGNORED_OF_OVERRIDES)
    errors = [error for error in validate(name)["errors"] if error[0] not in ignored]
    assert not errors


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_has_a_doctest(name):
    assert doctest.DocTestParser().get_examples(found(name).__doc__)


def test_names_and_methods_are_found():
    assert {"sklearn_sketchgn.fast_regression", "sklearn_sketchgn.solvers.Solver"} <= set(NAMES)
    assert "sklearn_sketchgn.SketchGNRegressor.partial_fit" in METHODS
    assert "sklearn_sketchgn.UncertaintyDisplay.from_estimator" in METHODS


def test_the_suite_runs_doctests(request):
    # They are where the code is, so that testpaths must name the package.
    assert request.config.getoption("doctestmodules")
    assert "sklearn_sketchgn" in request.config.getini("testpaths")
    assert set(sklearn_sketchgn.__all__) <= {name.rpartition(".")[2] for name in NAMES} | {
        "SKOPS_TRUSTED"
    }
