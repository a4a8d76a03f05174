"""An interactive HTML page of one tree, as a single file without dependencies."""

from soft_students.explain.explorer.page import explorer_page, save_explorer

__all__ = ["explorer_page", "save_explorer"]
