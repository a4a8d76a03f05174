"""What all pictures share: how they are saved and shown, and what they do without."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest

from soft_students.explain import plot_path, plot_tree, save_picture

BEGINNINGS = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF", ".PNG": b"\x89PNG"}


@pytest.mark.parametrize("suffix", BEGINNINGS)
def test_pictures_are_saved_by_suffix(classifier, tmp_path, suffix):
    path = save_picture(plot_tree(classifier), tmp_path / f"tree{suffix}")
    assert path.read_bytes().startswith(BEGINNINGS[suffix])


def test_an_unknown_suffix_is_refused(classifier, tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.png, \.svg, \.pdf"):
        save_picture(plot_tree(classifier), tmp_path / "tree.gif")
    assert not list(tmp_path.iterdir())


def test_an_existing_file_is_kept_unless_told_otherwise(classifier, tmp_path):
    path = tmp_path / "tree.png"
    path.write_text("old")
    with pytest.raises(FileExistsError):
        save_picture(plot_tree(classifier), path, overwrite=False)
    assert path.read_text() == "old"
    save_picture(plot_tree(classifier), path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_failure_to_draw_leaves_no_file(classifier, tmp_path):
    figure = plot_tree(classifier)
    figure.axes[0].text(0, 0, "$\\bad$")  # cannot be drawn
    with pytest.raises(ValueError, match="bad"):
        save_picture(figure, tmp_path / "tree.png")
    assert not list(tmp_path.iterdir())


def test_notebooks_get_a_png(classifier):
    assert plot_tree(classifier)._repr_png_().startswith(b"\x89PNG")


def test_names_in_svg_are_escaped(classifier, tmp_path):
    classifier.classes_ = np.array(["x", "<script>a", "z"])
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        path = save_picture(plot_tree(classifier), tmp_path / "tree.svg")
    text = path.read_text()
    assert "&lt;script&gt;a" in text
    assert "<script>" not in text


def test_pictures_do_without_pyplot():
    """They must not choose a backend or register figures: that is the user's."""
    program = """
import sys
import numpy as np
from soft_students import SoftDecisionTreeClassifier
import soft_students.explain
assert "matplotlib" not in sys.modules, "imported before it is needed"
X = np.random.default_rng(0).normal(size=(20, 4))
tree = SoftDecisionTreeClassifier(1, epochs=1, random_state=0).fit(X, X[:, 0] > 0)
tree.plot_tree(X=X, image_shape=(2, 2))._repr_png_()
tree.plot_path(X[0], image_shape=(2, 2))._repr_png_()
soft_students.explain.plot_learning_curves(tree)._repr_png_()
assert "matplotlib.pyplot" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("draw", [plot_tree, lambda tree: plot_path(tree, [1.0, 2.0])])
def test_a_missing_matplotlib_is_named_with_its_remedy(classifier, monkeypatch, draw):
    monkeypatch.delitem(sys.modules, "soft_students.explain.canvas", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
    with pytest.raises(ImportError, match=r"pip install 'soft-students\[plots\]'"):
        draw(classifier)
