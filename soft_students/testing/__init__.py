"""What every student and every method of the catalogues passes, for those who write one."""

from soft_students.testing.methods import METHOD_CHECKS, check_method
from soft_students.testing.students import STUDENT_CHECKS, check_student

__all__ = ["METHOD_CHECKS", "STUDENT_CHECKS", "check_method", "check_student"]
