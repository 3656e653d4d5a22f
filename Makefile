# Commands of the project; `make help` lists them. PYTHON names the interpreter that the environment is made with.

PYTHON ?= python3
ARGS ?=
WORKERS ?= 4
LOCAL_MODEL ?=

BIN := .venv/bin
STAMP := .venv/.complete

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
export UV_HTTP_TIMEOUT ?= 180
# uv does not read pip's settings: a mirror that is named for pip is meant for both
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
# Python is told to keep no bytecode: each start would compile what it imports anew, 2 s of CPU with pymilvus
ifdef PYTHONDONTWRITEBYTECODE
export UV_COMPILE_BYTECODE ?= 1
endif

.DELETE_ON_ERROR:
.PHONY: help demo demo-clean app playground test acceptance image image-base image-test wheel release-check pyairbyte zendesk bench bench-full quality kills backfill-kills lint types format spec options lock clean

help:  ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

demo: $(STAMP)  ## A day of support data into Milvus Lite, then a search; again for the next day; LOCAL_MODEL=... for another
	@LOCAL_MODEL=$(LOCAL_MODEL) $(BIN)/python examples/demo.py

demo-clean:  ## Forget the demo's days
	rm -rf .demo

app: $(STAMP)  ## The support form on the demo's data, in the browser; LOCAL_MODEL=... as for the demo
	@test -e .demo$(addprefix /,$(filter-out all-MiniLM-L6-v2,$(LOCAL_MODEL)))/milvus.db \
	  || LOCAL_MODEL=$(LOCAL_MODEL) $(BIN)/python examples/demo.py
	$(if $(LOCAL_MODEL),EMBEDDING_MODEL=$(LOCAL_MODEL)) $(BIN)/milvus-support-form $(ARGS)

playground: $(STAMP)  ## What the demo's collection holds, in the browser: counts, queries, searches, a map
	@test -e .demo/milvus.db || $(BIN)/python examples/demo.py
	$(BIN)/milvus-playground $(ARGS)

test: $(STAMP)  ## All tests, on Milvus Lite and a real Milvus server; ARGS="-k head" for some
ifdef ARGS
	$(BIN)/python -m pytest $(ARGS)
else
	$(BIN)/python -m pytest unit_tests -n 2 --cov --cov-report=
	$(BIN)/coverage report
	$(BIN)/python -m pytest integration_tests -n $(WORKERS) --dist loadfile --no-loadscope-reorder
endif

acceptance: $(STAMP)  ## Airbyte's own tests of connectors, and the rules of its QA
	@$(BIN)/python -m release.acceptance

image: $(STAMP)  ## The connector's image, with Docker, or buildah where there is no engine; BASE=... on another base, LITE=1 with Milvus Lite
	@$(BIN)/python -m release.image build $(if $(BASE),--base $(BASE)) $(if $(LITE),--lite)

image-base: $(STAMP)  ## A stand-in for Airbyte's base image, where no registry of images can be reached
	@$(BIN)/python -m release.image stand-in

image-test: $(STAMP)  ## spec, check and write in both images, into a real server and Milvus Lite; Airbyte's tests of images
	@$(BIN)/python -m release.image test

wheel: $(STAMP)  ## Wheels and sdists in dist/, the wheels installed in .venv in the place of the checkout
	@$(BIN)/python -m release.wheel

release-check: $(STAMP)  ## Whether this can be released: wheels and sdists, and the wheels tried out on every supported Python
	@$(BIN)/python -m release.check

pyairbyte: $(STAMP)  ## PyAirbyte moves Airbyte's faker and the stub; installs both into .drivers first
	$(BIN)/python -m pytest driver_tests/test_pyairbyte.py -o timeout=1800 $(ARGS)

zendesk: $(STAMP)  ## Airbyte's own Zendesk Support source reads from the stub's REST server; installs it into .drivers
	$(BIN)/python -m pytest driver_tests/test_zendesk_support.py -o timeout=1800 $(ARGS)

bench: $(STAMP)  ## Benchmarks in some 20 minutes, into docs/performance.md; ARGS="--case chunking" for some
	$(BIN)/python -m benchmarks $(ARGS)

bench-full: $(STAMP)  ## More runs and a million records
	$(BIN)/python -m benchmarks --full $(ARGS)

quality: $(STAMP)  ## Search quality, into docs/search-quality.md; ARGS="--variant 'field names'" for some
	$(BIN)/python -m benchmarks.quality $(ARGS)

lint: $(STAMP)  ## Style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)  ## Types
	$(BIN)/mypy

format: $(STAMP)  ## Bring the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

spec: $(STAMP)  ## Write the golden copy of the specification anew
	$(BIN)/destination-milvus spec > .venv/spec.json
	$(BIN)/python -m json.tool --indent 2 .venv/spec.json integration_tests/spec.json

options: $(STAMP)  ## Fill the tables of options in README and the connector's page from the models
	$(BIN)/python -m devtools.options

lock: $(STAMP)  ## Renew requirements.lock after a change in a `pyproject.toml`; ARGS=--upgrade for newer versions
	$(BIN)/python -m devtools.lock $(ARGS)

kills: $(STAMP)  ## Kill syncs at any moment, and look what is left; ARGS="--backend server --kills 100"
	$(BIN)/python -m devtools.real_kills $(ARGS)

backfill-kills: $(STAMP)  ## The same with backfills; ARGS="--backend server --kills 100"
	@$(BIN)/python -m devtools.backfill_kills $(ARGS)

clean:  ## Remove what the other commands made
	rm -rf .venv .milvus-server .demo .bench .readers .acceptance .image .release .drivers dist
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage

# From nothing each time: an environment that was interrupted, or made by another Python, is not worth repairing.
# pip brings only uv, which is in the lock like everything else.
$(STAMP): requirements.lock pyproject.toml source_zendesk_stub/pyproject.toml support_form/pyproject.toml playground/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null || { \
	  found=$$(command -v $(PYTHON) >/dev/null && $(PYTHON) --version 2>&1 || echo missing); \
	  echo "$(PYTHON) is $$found: Python 3.10 to 3.13 is needed." \
	    "Name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make environments: install its venv module (Debian, Ubuntu: apt install python3-venv)." >&2; \
	  exit 1; }
	@echo "Setting up .venv with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv --clear .venv
	@awk '/^[a-z]/ {wanted = /^uv==/} wanted' requirements.lock > .venv/uv.txt
	@$(BIN)/python -m pip install -qq --require-hashes -r .venv/uv.txt
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --require-hashes -r requirements.lock
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation \
	  --editable . --editable source_zendesk_stub --editable support_form --editable playground
	@touch $@
