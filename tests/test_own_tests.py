"""Do the baked project's own tests pass, as it comes out of the template?"""

import pytest

from tests.baking import COMBINATIONS, OTHER_ANSWERS, Answers, name_of
from tests.conftest import Bake


# The first of the other answers is that of test_hostile.py, which runs the own tests too: they take the longest of all.
@pytest.mark.parametrize("answers", COMBINATIONS + OTHER_ANSWERS[1:], ids=name_of)
def test_own_tests_pass(bake: Bake, answers: Answers) -> None:
    assert " passed" in bake(**answers).run("pytest -q").stdout
