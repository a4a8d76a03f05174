"""One tree as one HTML page to explore, which needs no network and no installation."""

from soft_students.explain.explorer.page import explorer_page, save_explorer

__all__ = ["explorer_page", "save_explorer"]
