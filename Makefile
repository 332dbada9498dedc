# `make demo` runs the main job, `make test` passes the tests, `make bench` measures.
# Each makes what it needs first; a second run reinstalls nothing.

PYTHON ?= python3
SOURCE ?= bikes
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
ENV := . scripts/setup.sh &&

.PHONY: demo test lint bench build env lock clean FORCE

demo: build ## run the main job on SOURCE (bikes, vtest, a file, a bag, /dev/video0)
	@$(ENV) e4 up demo --source "$(SOURCE)" --out out/demo

test: build lint ## lint, then every test
	@$(ENV) pytest $(ARGS)

lint: env
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports --no-cache

bench: build ## measure; figures land in out/bench
	@$(ENV) e4 bench all --out out/bench

build: build/.built ## interfaces and nodes, by colcon
env: $(VENV)/.ready

$(VENV)/.ready: requirements/lock.txt setup.py scripts/make_env.py
	@$(PYTHON) scripts/make_env.py --venv $(VENV)
	@touch $@

# The install is made of links, so only a new, moved or changed-interface file needs a build.
build/.files: FORCE
	@mkdir -p build && find e4_ros launch config scripts -type f ! -name '*.pyc' | sort > build/.files.new
	@cmp -s build/.files.new $@ && rm build/.files.new || mv build/.files.new $@

build/.built: $(VENV)/.ready build/.files CMakeLists.txt package.xml $(wildcard msg/* srv/* action/*)
	@AMENT_PREFIX_PATH=$(CURDIR)/$(VENV) CMAKE_PREFIX_PATH=$(CURDIR)/$(VENV) PATH="$(BIN):$$PATH" \
	  colcon --log-level error build --symlink-install --event-handlers console_cohesion- \
	  --cmake-args -DPython3_EXECUTABLE=$(BIN)/python -DBUILD_TESTING=OFF
	@touch $@

lock: $(VENV)/.ready ## pin requirements/*.in again
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --no-header \
	  requirements/library.in requirements/ros.in requirements/dev.in -o requirements/lock.txt

clean:
	rm -rf build install log out

FORCE:
