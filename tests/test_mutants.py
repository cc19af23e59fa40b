"""The list of mutants fits the package as it now is, and every one of them is caught."""

import pytest

from tests import mutants


def test_every_mutant_has_its_place_in_the_package():
    assert mutants.misplaced() == []


@pytest.mark.long
def test_every_mutant_is_caught():
    assert mutants.main([]) == 0
