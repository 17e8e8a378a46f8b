# make demo   load real and generated data into a real SiriDB server, and show what happened
# make test   run the tests against a real SiriDB server
# make lint   run all checks of the sources
# make bench  measure, side by side with the reference driver
# make soak   half an hour of faults: is every point there once?
#
# Everything is set up on the way: .venv, the compiled extensions, the server's binary.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(wildcard src_pyx/siridb_fast/*.pyx src_pyx/siridb_fast/*.pxd) setup.py
DEBUG := build/debug

.PHONY: demo test test-debug lint bench soak server clean

demo: $(VENV)/.built server
	$(BIN)/python demo.py $(DEMO_ARGS)

test: $(VENV)/.built server
	$(BIN)/pytest $(TEST_ARGS)

# The same extensions with every check of Cython turned on, in a folder of their own.
test-debug: $(VENV)/.built server
	rm -rf $(DEBUG)
	SIRIDB_FAST_DEBUG=1 $(BIN)/pip install -q --no-build-isolation --no-deps --target $(DEBUG) .
	PYTHONPATH=$(DEBUG) $(BIN)/pytest $(TEST_ARGS)

lint: $(VENV)/.built
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	PATH=$(BIN):$$PATH cython-lint --max-line-length 99 src_pyx

soak: $(VENV)/.built server
	$(BIN)/python -m benchmarks.soak $(SOAK_ARGS)

bench: $(VENV)/.built server
	$(BIN)/pytest benchmarks $(BENCH_ARGS)

server: $(VENV)/.built
	@[ -n "$$SIRIDB_SERVER" ] || command -v siridb-server >/dev/null \
		|| $(BIN)/python -m siridb_fast.testing.unpack

$(VENV)/.built: $(VENV)/.installed $(SOURCES)
	$(BIN)/pip install -qq --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or later is needed; name one: make PYTHON=python3.12 …"; exit 1; }
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV) \
		|| { echo "No virtual environment: on Debian and Ubuntu, install python3-venv"; exit 1; }
	$(BIN)/pip install -q --upgrade pip
	$(BIN)/pip install -q --group dev "numpy>=1.26" "uvloop>=0.19"
	@touch $@

clean:
	rm -rf build dist *.egg-info siridb_fast/*.so
