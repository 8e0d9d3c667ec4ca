# One entry for people and CI. `make demo` and `make test` set up everything they need.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
# of pytest: a process a core; `make test PARALLEL=` runs in one
PARALLEL := -n auto --dist worksteal

.PHONY: demo test check format notebooks executed zoo zoo-models zoo-purifier kmedoids docs pages \
	tables results bench versions wheel clean

demo: $(INSTALLED)
	$(BIN)/art-disc codebook --dataset digits
	$(BIN)/art-disc evaluate --dataset digits --certify --n-ex 100 --eps 0.1 0.2 0.3 \
		--set square.max_iter=300 --out runs/digits

test: $(INSTALLED)
	$(BIN)/python -m pytest $(PARALLEL)

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

notebooks: $(INSTALLED)
	OMP_NUM_THREADS=1 ART_DISC_SMOKE=1 $(BIN)/python -m pytest $(PARALLEL) -o addopts="" -p no:randomly --nbmake \
		--nbmake-timeout=600 notebooks

# the notebooks at full size, on MNIST and CIFAR-10, with what they show: those whose code has changed
executed: $(INSTALLED)
	$(BIN)/python -m studies.notebooks

zoo: $(INSTALLED)
	$(BIN)/python -m pip install --quiet -e ".[zoo]" -c constraints.txt
	$(MAKE) --jobs 2 zoo-models zoo-purifier

zoo-models zoo-purifier: export OMP_NUM_THREADS := 1

zoo-models: $(INSTALLED)
	$(BIN)/art-disc zoo --tier smoke --quiet --out runs/zoo

zoo-purifier: $(INSTALLED)
	$(BIN)/python -m studies.zoo_digits --purifier --check --n-ex 2

# scikit-learn-extra's wheel is built for NumPy 1: it is compiled here (a minute, a C compiler), so
# that the tests beside it run; without it they skip and say why
kmedoids: .venv/.kmedoids

.venv/.kmedoids: $(INSTALLED)
	$(BIN)/python -m pip install --quiet cython setuptools -c constraints.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation \
		--no-binary scikit-learn-extra scikit-learn-extra -c constraints.txt
	touch $@

# the site, docs/_build/html: warnings are errors; notebooks are shown as they are committed
docs: .venv/.docs
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -q -E -W -b html -c docs . docs/_build/html
	touch docs/_build/built

.venv/.docs: $(INSTALLED)
	$(BIN)/python -m pip install --quiet -e ".[docs]" -c constraints.txt
	touch $@

# what README and docs show of the result files, between their marks
pages: $(INSTALLED)
	$(BIN)/python -m studies.pages

# the published tables, what is missing or older than its code: days of two cores in all
tables: $(INSTALLED)
	$(BIN)/python -m studies.queue

# each result file with the commit that it was made at, and what it rests on that changed since
results: $(INSTALLED)
	$(BIN)/python -m studies.provenance

# the hot paths beside the plain lines of torch, on an idle machine: benchmarks/growth.svg, RESULTS.md
bench: $(INSTALLED)
	$(BIN)/python -m benchmarks.growth
	$(BIN)/python -m benchmarks.speed

# the tests with other versions of Python, ART, torch and NumPy: an environment each, 6 GB and minutes
versions: $(INSTALLED)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/python -m studies.versions

wheel: $(INSTALLED)
	$(BIN)/python -m build --wheel

# torch comes first, by itself, so that a plain dependency cannot pick another build of it
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet torch==2.13.0 -c constraints.txt
	$(BIN)/python -m pip install --quiet -e ".[dev]" -c constraints.txt
	touch $@

clean:
	rm -rf .venv runs dist docs/_build docs/api .mypy_cache .ruff_cache .pytest_cache .hypothesis
