# `make demo` and `make test` need Python 3.11+ and nothing else: they make the environment first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# torch is pinned in constraints.txt: an open range pulls gigabytes of CUDA on some machines.
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

# Tests run one process a core, each with one thread: torch on tiny arrays gains nothing from more.
.PHONY: demo test test-lowest lint docs mnist bench clean

$(VENV)/demo.stamp: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --editable .
	touch $@

$(VENV)/test.stamp: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --editable '.[test]'
	touch $(VENV)/demo.stamp $@

demo: $(VENV)/demo.stamp
	$(BIN)/softkd teach --data digits --arch cnn --out .demo/teacher.pt --force
	$(BIN)/softkd distill --teacher .demo/teacher.pt --student soft_tree --out .demo/tree.student --force

test: $(VENV)/test.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist loadfile

# the fast tests with the lowest versions that pyproject.toml allows, in an environment of their own
test-lowest:
	$(PYTHON) -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/pip install --quiet --disable-pip-version-check \
		--constraint constraints-lowest.txt --editable '.[all]' \
		pytest pytest-xdist hypothesis httpx selenium
	OMP_NUM_THREADS=1 $(VENV)-lowest/bin/python -m pytest -q -n auto --dist loadfile tests

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

# a warning is a failure; nothing is fetched
docs: $(VENV)/test.stamp
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html

mnist: $(VENV)/demo.stamp
	$(INSTALL) --editable '.[plots]'
	$(BIN)/softkd reproduce mnist --out softkd-mnist

# ten hours; stopped, it goes on where it was
bench: $(VENV)/test.stamp
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) $(VENV)-lowest .demo .bench softkd-mnist build docs/_build docs/reference *.egg-info
