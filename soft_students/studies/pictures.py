"""Draws the pictures of the soft-tree study from its saved trees."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from soft_students.explain import plot_learning_curves, plot_path, plot_tree, save_picture
from soft_students.students.files import load
from soft_students.studies.mnist_soft_tree import StudyPlan, study_data, tree_file

_LEVELS = 4  # levels of gates in one picture: more are too small to read
_DIGIT = 42  # test image whose path is drawn


def draw_study(folder: Path, plan: StudyPlan, *, data_dir: str | Path | None = None) -> list[Path]:
    """Draw the trees distilled on distorted images, the path of a digit, and learning curves.

    Parameters
    ----------
    folder : Path
        Folder of a finished `run_study`. Existing pictures are replaced.
    plan : StudyPlan
    data_dir : path or None, default=None
        As for `soft_students.datasets.load_dataset`.

    Returns
    -------
    list of Path
        ``tree-depth-D.png`` with the top of each tree, ``tree-depth-D-below-NODE.png`` with its
        lower parts; ``path.png`` and ``learning-curves.png``.

    Raises
    ------
    ImportError
        If matplotlib is not installed: ``pip install 'soft-students[plots]'``.
    """
    data = study_data(plan, data_dir)
    rows = {row.depth: row for row in plan.rows if row.copies and row.temperature is not None}
    students: dict[int, Any] = {
        depth: load(tree_file(folder, row)) for depth, row in sorted(rows.items())
    }
    pictures = []
    for depth, student in students.items():
        for root, name in _views(depth):
            figure = plot_tree(
                student,
                X=data.X_test,
                image_shape=data.image_shape,
                root=root,
                max_depth=min(_LEVELS, depth),
            )
            pictures.append(save_picture(figure, folder / name))
    shown = students.get(8, students[max(students)])
    figure = plot_path(shown, data.X_test[_DIGIT], image_shape=data.image_shape)
    pictures.append(save_picture(figure, folder / "path.png"))
    named = {f"depth {depth}": student for depth, student in students.items()}
    figure = plot_learning_curves(named)
    pictures.append(save_picture(figure, folder / "learning-curves.png"))
    return pictures


def _views(depth: int) -> Iterator[tuple[int, str]]:
    """Yield the root gate and the file name of each picture of a tree of up to depth 8."""
    yield 0, f"tree-depth-{depth}.png"
    above = depth - _LEVELS
    if 0 < above <= _LEVELS:
        for node in range(2**above - 1, 2 ** (above + 1) - 1):
            yield node, f"tree-depth-{depth}-below-{node}.png"
