"""Every student of the catalogue passes the catalogue's public checks."""

import pytest

from soft_students.students import available
from soft_students.testing import STUDENT_CHECKS
from soft_students.testing.instances import quick_instance
from soft_students.testing.students import check_scikit_learn_contract, expected_failures

# test_estimator_checks.py runs scikit-learn's checks one by one
CHECKS = [check for check in STUDENT_CHECKS if check is not check_scikit_learn_contract]
CLASSES = [cls for entry in available().values() for cls in entry.classes]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("student", CLASSES, ids=lambda cls: cls.__name__)
def test_student(request, student, check):
    if check.__name__ in expected_failures(student):
        reason = expected_failures(student)[check.__name__]
        request.applymarker(pytest.mark.xfail(reason=reason, raises=AssertionError, strict=True))
    check(quick_instance(student))


@pytest.mark.parametrize("student", CLASSES, ids=lambda cls: cls.__name__)
def test_expected_failures_name_checks_and_reasons(student):
    ours = {check.__name__ for check in STUDENT_CHECKS}
    for name, reason in expected_failures(student).items():
        assert name in ours or name.startswith(("check_sample_weight_equivalence", "test_"))
        assert reason
