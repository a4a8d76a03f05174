"""A bounded run of every fuzz target; `python -m tests.fuzz.run` is the long one."""

import time
from random import Random

import pytest

from tests.fuzz import seeds
from tests.fuzz.guard import Guard
from tests.fuzz.loaders import LOADERS, _folder

pytestmark = [
    pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge"),
]

RUNS = {"results": 40, "answers": 60, "npm_archive": 60}


@pytest.fixture(scope="session")
def guard():
    return Guard(str(_folder()))


@pytest.fixture(params=LOADERS)
def loader(request):
    pytest.importorskip("pyarrow")
    return request.param, LOADERS[request.param]


def test_mutated_files_end_in_documented_errors_and_run_no_code(loader, guard):
    name, target = loader
    files = target.seeds()
    received = [target.run(data) for data in files]
    assert "accepted" in received  # mutations of files that are refused would show nothing
    random = Random(20)
    for _ in range(RUNS.get(name, 150)):
        data = target.mutate(random.choice(files), random)
        started = time.process_time()
        guard.enter()
        try:
            target.run(data)
        finally:
            broken = guard.leave()
        assert broken is None
        assert time.process_time() - started < 5


@pytest.mark.parametrize("name", [name for name in LOADERS if name != "settings"])
def test_pickles_in_disguise_run_nothing(name, guard):
    target = LOADERS[name]
    for data in target.seeds():  # imports what a good file needs, which no other may
        target.run(data)
    for data in [*seeds.disguised(), b"", b"\0" * 100]:
        guard.enter()
        try:
            received = target.run(data)
        finally:
            broken = guard.leave()
        assert broken is None
        # A line of text is a table, too, and the manifest's loader looks at one file among others.
        assert received != "accepted" or (name in ("xgboost", "lightgbm") and not data)
