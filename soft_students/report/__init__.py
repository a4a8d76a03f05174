"""What a comparison of students has found, as one page to read and to hand on."""

from soft_students.report.page import report_page, write_report

__all__ = ["report_page", "write_report"]
