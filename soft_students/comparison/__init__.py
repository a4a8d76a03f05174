"""Many students of one teacher, trained side by side and ranked by several criteria.

`compare_students` writes a folder that belongs to the comparison:

- ``<student>.student``, the bundle of each student, and ``<student>.json``, how it was trained: a
  student that has both, made with the same settings, teacher and rows, is not trained again;
- ``comparison.json``, which marks the folder;
- ``answers.npz``, what the teacher and the first-ranked student say of the test rows, for the
  report: see `ChosenAnswers`;
- ``results.json``, written last, of plain JSON values; what is unknown is null.

The keys of ``results.json``:

``schema`` : int
    1.
``task`` : str
    ``"classification"`` or ``"regression"``.
``data`` : dict
    ``name``, ``source``, ``image_shape``, ``classes``, ``feature_names``, the numbers of rows
    ``train`` (on which students learnt), ``validation`` (by which they were ranked) and ``test``,
    ``validation_fraction``, and ``origin``: what `soft_students.students.files.trained_on` says of
    each bundle, for the data to be found again.
``teacher`` : dict
    ``name``, ``digest``, and ``validation``, ``test`` and ``cost`` as students have them.
``students`` : dict of str to dict
    By name, in the order given. ``status`` is ``"trained"`` or ``"failed"``; ``error`` is one line
    or null. Of those trained: ``file`` (in the folder), ``sha256``, ``class``, ``parameters`` (as
    text what is no plain value), ``seconds`` and ``cpu_seconds`` of training, ``threads``,
    ``versions`` at that time, ``warnings``, ``resumed`` (whether an earlier run trained it), and
    three dictionaries by metric, each entry with ``value``, ``low``, ``high``, ``interval``
    (``"bootstrap"``, ``"quartiles"`` of timed calls, or null) and ``unit``: ``validation`` and
    ``test`` (quality, fidelity, calibration), and ``cost`` (measured once, one student at a time
    and with one thread, after all were trained).
``ranking`` : dict
    `Ranking.as_dict`: ``winner``, ``order``, ``scores``, ``method``, ``normalization``,
    ``weights``, ``directions``, ``normalized``, ``pareto``, ``constraints``, ``excluded``,
    ``sensitivity`` (``ranges`` by criterion, ``win_shares`` by student) and ``notes``. It is made
    of validation rows and costs alone.
``judgements`` : dict or null
    Where weights come from judgements of pairs: ``pairs`` (lists of two criteria and a number),
    ``weights``, ``lambda_max``, ``consistency_index`` and ``consistency_ratio``.
``mcnemar`` : list of dict
    Of classifiers, on the test rows: ``first`` (the winner) against each ``second``, with
    ``only_first``, ``only_second``, ``statistic``, ``pvalue`` and ``method``.
``confidence``, ``seed``, ``jobs``, ``threads``, ``versions``, ``command``, ``finished``
    Of the intervals; of the split and the sensitivity; trained at a time; while costs were
    measured; of packages; the shell's, or null; the time, by UTC.
"""

from soft_students.comparison.answers import ChosenAnswers, read_answers
from soft_students.comparison.comparison import Comparison, compare_students
from soft_students.comparison.training import Training, train_students

__all__ = [
    "ChosenAnswers",
    "Comparison",
    "Training",
    "compare_students",
    "read_answers",
    "train_students",
]
