"""Trains students of one teacher side by side and ranks them by several criteria.

`compare_students` writes a folder:

- ``<student>.student``, the bundle of each student, and ``<student>.json``, the record of its
  training. A student with both, and with the same settings, teacher and rows, is not trained again;
- ``comparison.json``, which marks the folder as a comparison;
- ``answers.npz``, predictions of the teacher and the first-ranked student on the test rows, for the
  report: see `ChosenAnswers`;
- ``results.json``, written last, with plain JSON values; unknown values are null.

The keys of ``results.json``:

``schema`` : int
    1.
``task`` : str
    ``"classification"`` or ``"regression"``.
``data`` : dict
    ``name``, ``source``, ``image_shape``, ``classes``, ``feature_names``, the numbers of rows
    ``train`` (for training), ``validation`` (for ranking) and ``test``, ``validation_fraction``,
    and ``origin``: the description of the data in each bundle, see
    `soft_students.students.files.trained_on`.
``teacher`` : dict
    ``name``, ``digest``, and ``validation``, ``test`` and ``cost`` as for students.
``students`` : dict of str to dict
    By name, in the order given. ``status`` is ``"trained"`` or ``"failed"``; ``error`` is one line
    or null. Trained students also have: ``file`` (in the folder), ``sha256``, ``class``,
    ``parameters`` (as text if not plain values), ``seconds`` and ``cpu_seconds`` of training,
    ``threads``, ``versions``, ``warnings``, ``resumed`` (whether an earlier run trained it), and
    three dictionaries by metric, each entry with ``value``, ``low``, ``high``, ``interval``
    (``"bootstrap"``, ``"quartiles"`` of timed calls, or null) and ``unit``: ``validation`` and
    ``test`` (quality, fidelity, calibration), and ``cost`` (measured once, one student at a time
    and with one thread, after all trainings).
``ranking`` : dict
    `Ranking.as_dict`: ``winner``, ``order``, ``scores``, ``method``, ``normalization``,
    ``reference``, ``weights``, ``directions``, ``normalized``, ``pareto``, ``constraints``,
    ``excluded``, ``sensitivity`` (``ranges`` by criterion, ``win_shares`` and ``measured_shares``
    by student) and ``notes``. It depends only on validation rows and costs. If limits exclude all
    students, ``winner`` is null, and beside it are ``constraints``, ``excluded`` and ``misses``,
    the differences by student and criterion; the test rows are then unused.
``judgements`` : dict or null
    If weights come from judgements of pairs: ``pairs`` (lists of two criteria and a number),
    ``weights``, ``lambda_max``, ``consistency_index`` and ``consistency_ratio``.
``mcnemar`` : list of dict
    For classifiers, on the test rows: ``first`` (the winner) against each ``second``, with
    ``only_first``, ``only_second``, ``statistic``, ``pvalue`` and ``method``.
``confidence``, ``seed``, ``jobs``, ``threads``, ``versions``, ``command``, ``finished``
    Level of the intervals; seed of the split and the sensitivity; trainings at once; threads during
    the measurement of costs; versions of packages; shell command or null; UTC time of the end.
"""

from soft_students.comparison.answers import ChosenAnswers, read_answers
from soft_students.comparison.comparison import Comparison, compare_students
from soft_students.comparison.training import TrainingResult, train_students

__all__ = [
    "ChosenAnswers",
    "Comparison",
    "TrainingResult",
    "compare_students",
    "read_answers",
    "train_students",
]
