"""The list of mutants fits the package as it now is, and every one of them is caught."""

import pytest

from tests import mutants

PAGE = mutants.ROOT / "docs" / "reliability.md"

if not (PAGE.exists() and (mutants.ROOT / "sklearn_sketchgn").exists()):
    pytest.skip("the package's source and docs/ are not beside the tests", allow_module_level=True)


def test_every_mutant_has_its_place_in_the_package():
    assert mutants.misplaced() == []


def test_the_documentation_counts_the_mutants():
    assert f"{len(mutants.MUTANTS)} small faults" in PAGE.read_text("utf-8")
    assert len({mutant.name for mutant in mutants.MUTANTS}) == len(mutants.MUTANTS)


@pytest.mark.long
def test_every_mutant_is_caught():
    assert mutants.main([]) == 0
