import pytest
from rdkit import Chem

from molebm.errors import RequestError
from molebm.plausibility.novelty import Library

ALCOHOLS = [Chem.MolFromSmiles("C" * n + "O") for n in range(1, 40)]


@pytest.fixture(scope="module")
def library() -> Library:
    return Library([*ALCOHOLS, None])


def test_molecule_of_the_library_is_not_new_whether_hydrogens_are_written_or_not(library):
    assert library.novelty(ALCOHOLS[5]) == library.novelty(Chem.AddHs(ALCOHOLS[5]))
    score, p_value = library.novelty(ALCOHOLS[5])
    assert score == 0
    assert p_value == 1


def test_molecule_unlike_all_others_is_new_and_the_p_value_as_small_as_it_can_be(library):
    score, p_value = library.novelty(Chem.MolFromSmiles("c1ccc2[nH]ccc2c1"))
    assert score > 0.9
    assert p_value == 1 / (len(ALCOHOLS) + 1)


def test_few_molecules_are_no_library():
    with pytest.raises(RequestError, match="at least 20"):
        Library(ALCOHOLS[:5] * 10)
