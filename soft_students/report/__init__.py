"""Reports of comparisons of students, as single HTML pages."""

from soft_students.report.page import report_page, write_report

__all__ = ["report_page", "write_report"]
