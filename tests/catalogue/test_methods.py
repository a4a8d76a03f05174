"""Every method of the catalogue passes the catalogue's public checks."""

import pytest

from soft_students.methods import available
from soft_students.testing import METHOD_CHECKS
from soft_students.testing.instances import quick_instance


@pytest.mark.parametrize("check", METHOD_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("key", sorted(available()))
def test_method(key, check):
    check(quick_instance(available()[key]))
