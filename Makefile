# `make demo` runs the main job, `make test` passes the tests, `make bench` measures.
# Each makes what it needs first; a second run reinstalls nothing. `demo` installs what running
# needs; `test`, `lint`, `bench` and `train` add torch and the tools to the same environment.

PYTHON ?= python3
SOURCE ?= vtest
RATE ?= 25
FRAMES ?= 250
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
ENV := . scripts/setup.sh &&
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.10 --no-header

.PHONY: demo demo-learn demo-edge demo-cameras test lint bench docs build env train learn labels edge cluster triton lock clean FORCE

# The first FRAMES of SOURCE at RATE images a second; 0 for all of them, and for the source's own rate.
demo: build ## run the main job on SOURCE (vtest, bikes, a file, a bag, /dev/video0)
	@$(ENV) e4 up demo --source "$(SOURCE)" --rate $(RATE) --frames $(FRAMES) --out out/demo

demo-learn: train build ## learn while driving on SOURCE: one picture, in out/demo-learn
	@$(ENV) e4 demo-learn "$(SOURCE)" --out out/demo-learn

demo-edge: build ## a robot whose link and edge server come and go, in a minute: out/demo-edge/edge.html
	@$(ENV) e4 demo-edge --out out/demo-edge

demo-cameras: env ## four videos as cameras under service levels, beside a plain queue: out/demo-cameras/cameras.html
	@$(ENV) e4 demo-cameras --out out/demo-cameras

test: train build lint ## lint, then every test
	@$(ENV) pytest $(ARGS)

lint: train
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports --no-cache

bench: train build ## measure; figures land in out/bench
	@$(ENV) e4 bench all --out out/bench

docs: env ## the pages of docs/ as a site, in out/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/uv tool run --from mkdocs --with-requirements requirements/docs.in mkdocs build --strict

build: build/.built ## interfaces and nodes, by colcon
env edge: $(VENV)/.ready ## what running needs: no torch
train learn labels cluster triton: $(VENV)/.complete ## torch, what `e4 fit`, `--labels` and the like need, and the tools: gigabytes

$(VENV)/.ready: requirements/lock-robot.txt setup.py scripts/make_env.py
	@$(PYTHON) scripts/make_env.py --venv $(VENV) --lock requirements/lock-robot.txt
	@touch $@

$(VENV)/.complete: requirements/lock.txt $(VENV)/.ready
	@$(PYTHON) scripts/make_env.py --venv $(VENV) --lock requirements/lock.txt
	@touch $@

# The install is made of links, so only a new, moved or changed-interface file needs a build.
build/.files: FORCE
	@mkdir -p build && find e4_ros launch config scripts -type f ! -name '*.pyc' | sort > build/.files.new
	@cmp -s build/.files.new $@ && rm build/.files.new || mv build/.files.new $@

build/.built: $(VENV)/.ready build/.files CMakeLists.txt package.xml $(wildcard msg/* srv/* action/*)
	@AMENT_PREFIX_PATH=$(CURDIR)/$(VENV) CMAKE_PREFIX_PATH=$(CURDIR)/$(VENV) PATH="$(BIN):$$PATH" MAKEFLAGS=-j$$(nproc) \
	  colcon --log-level error build --symlink-install --event-handlers console_cohesion- \
	  --cmake-args -DPython3_EXECUTABLE=$(BIN)/python -DBUILD_TESTING=OFF \
	    -DUNITE_TYPE_SUPPORTS=ON
	@touch $@

# What runs on a robot is pinned to the versions that the tests ran with.
lock: $(VENV)/.ready ## pin requirements/*.in again
	@cd requirements && $(COMPILE) --override overrides.txt robot.in train.in learn.in labels.in edge.in cluster.in triton.in ros.in dev.in -o lock.txt
	@cd requirements && $(COMPILE) --constraints lock.txt robot.in edge.in ros.in -o lock-robot.txt

clean:
	rm -rf build install log out

FORCE:
