# make demo   load real and generated data into a real SiriDB server, and show what happened
# make test   run all tests, against real SiriDB servers, in parallel (TEST_ARGS=-n0: one by one)
# make test-quick   run those that need no server, with fewer examples: the loop of a day
# make test-all   run what is long as well: all tests with ten times the examples and with every
#             check of Cython, the sanitizers, five minutes of fuzzing, and a short soak
# make lint   run all checks of the sources
# make fuzz   give the decoders changed inputs, under sanitizers (FUZZ_SECONDS=30, or FUZZ_RUNS=…)
# make sanitize   run the tests of the codec under the same sanitizers
# make bench  measure, side by side with the reference driver, and write benchmarks/report; the
#             charts that README.md does not show go to build/report
# make bench-compare BASE=old.json   compare an earlier report with this one, ratio by ratio
# make instructions   count those of the hot paths, and hold them to their bounds
# make soak   two hours of faults: is every point there once? (benchmarks/soak/README.md)
#
# Everything is set up on the way: .venv, the compiled extensions, the server's binary.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(shell find src_pyx -name "*.p[xy][dx]") setup.py
DEBUG := build/debug

# The same extensions with AddressSanitizer, UndefinedBehaviorSanitizer and coverage, by gcc alone.
SANITIZED := build/sanitized
FUZZ := build/fuzz
FUZZ_SOURCES := $(wildcard tests/fuzz/*.py tests/fuzz/*.pyx tests/fuzz/*.pxd tests/fuzz/*.[ch])
FUZZ_SECONDS ?= 30
FUZZ_LIMIT = $(if $(FUZZ_RUNS),--runs $(FUZZ_RUNS),--seconds $(FUZZ_SECONDS))
ASAN_OPTIONS := detect_leaks=0:handle_abort=1:allocator_may_return_null=1
FUZZ_OPTIONS := malloc_context_size=1:quarantine_size_mb=4:thread_local_quarantine_size_kb=256
IN_SANITIZERS = LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $(CURDIR)/$(FUZZ)/runtime.so" \
	UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc \
	PYTHONPATH=$(CURDIR)/$(SANITIZED)/lib:$(CURDIR)/$(FUZZ)/lib
CODEC_TESTS := tests/protocol tests/formats tests/batching/test_batch.py $(addprefix tests/columns/test_, \
	columns.py column_faults.py column_refusals.py payloads.py decode.py casting.py)

# Most tests wait, for a server or a deadline; so three times as many at once as two cores are. Of a
# file one worker runs what it can, because its tests share a server. Each worker reads all tests;
# what pytest makes of their sources is kept, whatever the caller's environment says of bytecode.
WORKERS ?= $(shell expr 2 \* $$(nproc) + 2)
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n $(WORKERS) --dist worksteal

.PHONY: demo test test-quick test-all test-debug lint fuzz sanitize bench bench-compare instructions soak server clean

demo: $(VENV)/.built server
	$(BIN)/python demo.py $(DEMO_ARGS)

test: $(VENV)/.built server
	$(PYTEST) $(TEST_ARGS)

test-quick: $(VENV)/.built
	TEST_EXAMPLES=0.2 $(PYTEST) -m "not (server or slow or memory)" $(TEST_ARGS)

test-all:
	TEST_EXAMPLES=10 GATEWAY_OUTAGE=600 $(MAKE) test
	$(MAKE) test-debug
	$(MAKE) sanitize
	$(MAKE) fuzz FUZZ_SECONDS=300
	$(MAKE) soak SOAK_ARGS="--parts overflow always outage --seconds 60 --report build/soak.md"

# The same extensions with every check of Cython turned on, in a folder of their own.
test-debug: $(VENV)/.built server
	rm -rf $(DEBUG)
	SIRIDB_FAST_DEBUG=1 $(BIN)/pip install -q --no-build-isolation --no-deps --target $(DEBUG) .
	PYTHONPATH=$(DEBUG) $(PYTEST) $(TEST_ARGS)

sanitize: $(SANITIZED)/.built $(FUZZ)/.built
	$(IN_SANITIZERS) ASAN_OPTIONS=$(ASAN_OPTIONS):malloc_context_size=8 \
		$(BIN)/pytest $(CODEC_TESTS) $(TEST_ARGS)

fuzz: $(SANITIZED)/.built $(FUZZ)/.built
	$(IN_SANITIZERS) ASAN_OPTIONS=$(ASAN_OPTIONS):$(FUZZ_OPTIONS) \
		$(BIN)/python -P -m tests.fuzz $(FUZZ_LIMIT) $(FUZZ_ARGS)

lint: $(VENV)/.built
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	PATH=$(BIN):$$PATH cython-lint --max-line-length 99 src_pyx tests/fuzz

soak: $(VENV)/.built server
	$(BIN)/python -m benchmarks.soak $(SOAK_ARGS)

# All of it is a report to keep; a part of it, by BENCH_ARGS, is not.
REPORT ?= $(if $(BENCH_ARGS),build/report,benchmarks/report)

bench: $(VENV)/.built server
	$(BIN)/pytest benchmarks --report $(REPORT) --charts build/report $(BENCH_ARGS)

bench-compare: $(VENV)/.built
	$(BIN)/python -m benchmarks.harness.compare $(BASE) $(REPORT)/report.json

instructions: $(VENV)/.built
	$(BIN)/python -m benchmarks.instructions $(ARGS)

server: $(VENV)/.built
	@[ -n "$$SIRIDB_SERVER" ] || command -v siridb-server >/dev/null \
		|| $(BIN)/python -m siridb_fast.testing.install

$(SANITIZED)/.built: $(VENV)/.built
	rm -rf $(SANITIZED)
	SIRIDB_FAST_SANITIZE=1 CC=gcc $(BIN)/python setup.py -q build -j 2 \
		--build-base $(SANITIZED) --build-lib $(SANITIZED)/lib
	@touch $@

$(FUZZ)/.built: $(VENV)/.installed $(FUZZ_SOURCES)
	mkdir -p $(FUZZ)
	gcc -O2 -shared -fPIC -Wall -Wextra -Werror tests/fuzz/runtime.c -o $(FUZZ)/runtime.so
	$(BIN)/python tests/fuzz/setup.py -q build --build-base $(FUZZ) --build-lib $(FUZZ)/lib
	cp tests/__init__.py $(FUZZ)/lib/tests/ && cp tests/fuzz/*.py $(FUZZ)/lib/tests/fuzz/
	rm -rf $(FUZZ)/lib/siridb_fast
	@touch $@

# As fast to start as an installed package: without a finder of modules, and compiled beforehand.
$(VENV)/.built: $(VENV)/.installed $(SOURCES)
	$(BIN)/pip install -qq --no-build-isolation --no-deps -C editable_mode=compat -e .
	$(BIN)/python -m compileall -q siridb_fast
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
	rm -rf build dist *.egg-info siridb_fast/*/*.so
