# make run     the main job on real input, with embedded defaults
# make test    every test; installs what they need where it may
# make lint    golangci-lint, with the floors of the house
# make bench   the figures, as ratios measured in one run
# make soak    longer fuzzing and property tests
# make image   touchstone's own image, from scratch, as bin/touchstone-image.tar
SHELL       := /bin/bash
.DELETE_ON_ERROR:
export CGO_ENABLED ?= 0
VERSION     := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
CACHE       := .cache
TOOLS       := $(CACHE)/bin
LINT        := $(TOOLS)/golangci-lint-v2.15.0
TESTSUM     := $(TOOLS)/gotestsum-v1.13.0

.PHONY: all build image run test lint bench soak prepare clean

all: build

build:
	go build -ldflags '-s -w -X touchstone.dev/touchstone/internal/cli.version=$(VERSION)' -o bin/touchstone ./cmd/touchstone

image: build
	@go run ./internal/ownimage -o bin/touchstone-image.tar -created $$(TZ=UTC git log -1 --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ)

run: build
	@go run ./internal/demo

# What the tests use of Debian and of the module proxy; nothing to do when it is
# there, and a named skip in each test that misses something.
prepare:
	@.ci/prepare

test: prepare $(TESTSUM)
	@mkdir -p $(CACHE)
	$(TESTSUM) --format pkgname --hide-summary=output --jsonfile $(CACHE)/test.json -- -timeout 40m ./...
	@.ci/skips $(CACHE)/test.json

lint: $(LINT)
	go vet ./...
	$(LINT) run ./...

bench: build
	@go run ./internal/figures
	@ADVISORY_RECORDS=250000 TOUCHSTONE_BENCH_FILES=3000000 go test -run '^$$' -bench . -benchtime 1s -timeout 40m ./... | grep -E '^(Benchmark|pkg:)' | sed 's|^pkg: touchstone.dev/||'

soak:
	@for t in $$(grep -rl --include=*_test.go 'func Fuzz' . | xargs -n1 dirname | sort -u); do \
	  for f in $$(grep -ho 'func Fuzz[A-Za-z0-9_]*' $$t/*_test.go | cut -d' ' -f2); do \
	    echo "$$t $$f"; go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $${FUZZTIME:-2m} -fuzzminimizetime 10x $$t || exit 1; done; done
	TOUCHSTONE_KILLS=300 TOUCHSTONE_SOAK=1 go test -count 1 -timeout 3h ./... -rapid.checks=20000

$(LINT):
	@mkdir -p $(TOOLS)
	GOBIN=$(abspath $(TOOLS)) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
	@mv $(TOOLS)/golangci-lint $@

$(TESTSUM):
	@mkdir -p $(TOOLS)
	GOBIN=$(abspath $(TOOLS)) go install gotest.tools/gotestsum@v1.13.0
	@mv $(TOOLS)/gotestsum $@

clean:
	rm -rf bin $(CACHE)
