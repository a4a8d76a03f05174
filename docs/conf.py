"""How Sphinx builds the site: `make docs`. Nothing is fetched from a network."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

import soft_students

project = "soft-students"
author = "The soft-students developers"
release = soft_students.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc", "mathml", "reference"]
exclude_patterns = ["_build"]

# docstrings name things in single backquotes; what is no public name stays plain code
default_role = "py:obj"
autodoc_typehints = "none"  # the Parameters sections say it in words
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 88
numpydoc_show_class_members = False  # the pages choose them: none of scikit-learn's own
html_math_renderer = "mathml"

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"soft-students {release}"
html_static_path = ["static"]
html_css_files = ["style.css"]
html_copy_source = False
html_show_sphinx = False
