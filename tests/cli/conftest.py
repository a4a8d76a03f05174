"""Small teachers and students that the tests of all commands share; nobody writes to them."""

import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn.datasets import load_iris

from softkd.shell import main

#: Settings that train in a moment.
FAST = ("--depth", "3", "--epochs", "3", "--transfer", "none")


@pytest.fixture(scope="session")
def softkd():
    """Return a function that runs the command in this process."""

    def run(*arguments, stdin=None):
        return CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)

    return run


@pytest.fixture(scope="session")
def done(softkd):
    """Return a function that runs the command, which must succeed."""

    def run(*arguments, stdin=None):
        result = softkd(*arguments, stdin=stdin)
        assert result.exit_code == 0, result.output
        return result

    return run


@pytest.fixture(scope="session")
def fast():
    return FAST


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="session")
def teacher(done, shared):
    """Return the path of a teacher of digits."""
    path = shared / "t.pt"
    done("teach", "--data", "digits", "--arch", "mlp", "--epochs", 8, "--out", path)
    return path


@pytest.fixture(scope="session")
def student(done, shared, teacher):
    """Return the path of a student of digits."""
    path = shared / "digits.student"
    done("distill", "--teacher", teacher, *FAST, "--no-baseline", "--out", path)
    return path


@pytest.fixture(scope="session")
def iris():
    data = load_iris(as_frame=True)
    return data.data.assign(species=data.target_names[data.target])


@pytest.fixture(scope="session")
def table(shared, iris):
    """Return the path of a table with string labels."""
    path = shared / "iris.csv"
    iris.to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def table_teacher(done, shared, table):
    path = shared / "iris.pt"
    arguments = ("--data", table, "--target", "species", "--epochs", 20)
    done("teach", *arguments, "--out", path)
    return path


@pytest.fixture(scope="session")
def table_student(done, shared, table_teacher):
    path = shared / "iris.student"
    settings = ("--depth", 2, "--epochs", 150, "--set", "batch_size=64")
    done("distill", "--teacher", table_teacher, *settings, "--no-baseline", "--out", path)
    return path


@pytest.fixture(scope="session")
def reversed_table(shared, iris):
    """Return the path of the same table with its columns in another order."""
    path = shared / "reversed.csv"
    pd.DataFrame(iris[iris.columns[::-1]]).to_csv(path, index=False)
    return path
