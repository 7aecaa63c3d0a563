# The only interface to the project: `make help` lists it. CI calls `make ci`.
SHELL := /bin/bash
GO ?= go
VERSION := $(shell git describe --always --dirty 2>/dev/null || echo dev)
# The compiler collects no garbage as long as it needs less than a GiB: a quarter less time for the first build.
COMPILE := GOGC=off GOMEMLIMIT=1GiB $(GO)
# Without -trimpath, so that tests find what the build has compiled, and the other way round.
BUILD := $(COMPILE) build -ldflags "-s -w -X main.version=$(VERSION)"
# Pinned tools, run through the module proxy: nothing is installed by hand.
STATICCHECK := $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2
# All that may be committed at the top, besides dot-files: no binary of go build ./cmd/dashi, say.
TOP := cmd|node|shard|ring|pipeline|bench|deploy|go\.mod|go\.sum|Makefile|README\.md
FUZZTIME ?= 5s
DATA ?= data
DEMO ?= 200

.PHONY: help run cluster build test race lint check bench fuzz real-kafka profile ci tools clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: build ## one node, embedded Kafka, demo traffic, console at http://127.0.0.1:7070
	bin/dashi dev --data $(DATA) --demo $(DEMO)

cluster: build ## three nodes on this machine, embedded Kafka (or KAFKA=host:port), demo traffic
	bin/dashi cluster --data $(DATA)/cluster --demo $(DEMO) $(if $(KAFKA),--brokers $(KAFKA))

build: ## bin/dashi
	@[ -x bin/dashi ] || echo "the first build compiles all that dashi needs, some 400 packages: about a minute with two cores"
	$(BUILD) -o bin/dashi ./cmd/dashi

test: ## all tests but those against a real Kafka; end-to-end with the real binary among them
	$(GO) test -timeout 20m ./...

race: ## the same tests under the race detector
	$(COMPILE) build -race -pgo=off ./...
	$(GO) test -race -pgo=off -short -timeout 20m ./...

lint: ## top level, format, vet, staticcheck, go.mod
	@strange=$$(git ls-files | cut -d/ -f1 | sort -u | grep -vxE '\..*|$(TOP)'); if [ -n "$$strange" ]; then echo "does not belong at the top:"; echo "$$strange"; exit 1; fi
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$unformatted" ]; then echo "not formatted:"; echo "$$unformatted"; exit 1; fi
	$(COMPILE) vet -pgo=off ./...
	$(STATICCHECK) ./...
	$(GO) mod tidy -diff

check: build ## the recipes of deploy/, and their tests
	bin/dashi check deploy/recipes
	bin/dashi test deploy/recipes

real-kafka: ## the Kafka tests against Apache Kafka, whose jars Maven brings; says why when it cannot
	DASHI_REAL_KAFKA=jars $(GO) test ./pipeline/kafka -run '^TestRealKafka$$' -count=1 -v

fuzz: ## every fuzz target for FUZZTIME
	@.ci/fuzz $(FUZZTIME)

bench: build ## the benchmarks against their targets, results to bench/results
	$(GO) run ./bench/cmd/measure

profile: build ## cmd/dashi/default.pgo, by which the compiler knows what dashi does most: now and then, twelve minutes
	$(GO) run ./bench/cmd/measure -profile cmd/dashi/default.pgo -run '^(path|drain|recipes|load|identity|resp|http|cluster|backlog)$$'

tools: ## what tests need beyond Go, from the system's packages, where they can be had
	@.ci/tools

ci: tools lint check test real-kafka race fuzz ## everything that must hold
	@echo "ci: all of it passed"

clean: ## what was built, and the data of make run
	rm -rf bin data
