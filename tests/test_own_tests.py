"""Do the baked project's own tests pass, as it comes out of the template?"""

import pytest

from tests.baking import EVERY_BAKE, Answers, name_of
from tests.conftest import Bake


@pytest.mark.parametrize("answers", EVERY_BAKE, ids=name_of)
def test_own_tests_pass(bake: Bake, answers: Answers) -> None:
    assert " passed" in bake(**answers).run("pytest -q").stdout
