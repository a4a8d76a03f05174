"""What the tests of all students share."""

import pytest

from soft_students.persistence.checkpoints import Checkpoint


@pytest.fixture
def interrupt(monkeypatch):
    """Return a function that fits, and presses Ctrl-C when so many checkpoints are written."""

    def fit(student, after, *args, **kwargs):
        write, count = Checkpoint.write, []

        def counted(self, *values):
            write(self, *values)
            count.append(1)
            if len(count) == after:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Checkpoint, "write", counted)
            with pytest.raises(KeyboardInterrupt):
                student.fit(*args, **kwargs)

    return fit
