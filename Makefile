# The way to build, test and look after phonond. "make" alone lists the targets.

GO ?= go
# What the programs say of themselves; "dev" outside a git checkout.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# go build asks git for the commit, and fails where git will not answer.
GOFLAGS += $(shell git status >/dev/null 2>&1 || echo -buildvcs=false)
export GOFLAGS

# What "make sim" runs: SEEDS of them from FIRST on, or for FOR whatever their
# number, with all kinds of faults or only FAULTS=cut,crash,... SEED=n runs one
# seed ten times. ONLY="-store=wal -shape=2+2" narrows the clusters.
SEEDS ?= 200
FIRST ?= 1
FOR ?=
FAULTS ?=
ONLY ?=
SEED ?=
SIMFLAGS ?= $(if $(SEED),-first $(SEED) -seeds 1 -again 10,-first $(FIRST) $(if $(FOR),-for $(FOR),-seeds $(SEEDS))) $(if $(FAULTS),-faults $(FAULTS)) $(ONLY)
# Given to the torture of real processes by "make torture", such as
# TORTURE="-duration 10m -topology a=2,b=2,c=1": go run ./scripts/torture -help
TORTURE ?=
# Given to "make clients", such as CLIENTS="-only ioredis", or CLIENTS=-redis to try
# the checks themselves.
CLIENTS ?=
# Given to the siege by "make hostile": go run ./scripts/hostile -help
HOSTILE ?=
# Given to the line of "make waiters", such as WAITERS="-waiters 1000 -killed 200".
WAITERS ?=
# Which defects "make planted" plants, as a regular expression.
DEFECTS ?= .
# How long "make fuzz" runs each fuzz target.
FUZZTIME ?= 30s
# Given to "phonond dev" by "make demo", such as DEMO="--port 7000".
DEMO ?=
# Given to the comparison with redis-server by "make compat", such as
# COMPAT="-seed 7 -only multi": go run ./scripts/compat -help
COMPAT ?=
# Given to the comparison by "make lockbench", such as LOCKBENCH="-time 20s".
LOCKBENCH ?=
# Given to the comparison by "make bench": go run ./scripts/bench -help
BENCHFLAGS ?=

# Recorded conversations of phonon clients in full, where they lie beside the
# checkout. The tests come with the beginnings of them.
PHONOND_VECTORS ?= $(wildcard $(abspath ../shared/vectors))
export PHONOND_VECTORS

# The packages whose tests make files in docs when they get -update.
GENERATE = ./cluster/config ./docs
# The packages that the race detector looks at: those with goroutines of their own.
# Where tests run in bubbles of testing/synctest they get one processor: with more,
# the detector itself breaks down now and then (golang/go#78156).
RACE = ./client/... ./fsm/... ./redisproto/...
RACE_IN_BUBBLES = ./cluster/clustertest/... ./cluster/gossip ./cluster/group ./cluster/mux/... ./cluster/route
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: help
help: ## Lists the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Builds bin/phonond and bin/phononctl.
	$(GO) build -ldflags '-X main.version=$(VERSION)' -o bin/ ./cmd/phonond ./cmd/phononctl

.PHONY: test
test: tools ## Runs all tests, and first installs the redis-server that some compare with.
	$(GO) test -count=1 -timeout 7m ./...

.PHONY: check
check: ## Checks format, vet, staticcheck, layers, generated docs, and for races.
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "make fix would change:"; echo "$$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) test -count=1 $(GENERATE)
	$(GO) test -race -timeout 7m $(RACE)
	$(GO) test -race -timeout 7m -cpu 1 $(RACE_IN_BUBBLES)

.PHONY: demo
demo: build ## Runs two regions of two nodes on loopback, until ctrl-C.
	bin/phonond dev $(DEMO)

.PHONY: bench
bench: tools ## Compares a cluster with one redis-server: throughput and latency.
	$(GO) run ./scripts/bench $(BENCHFLAGS)

.PHONY: lockbench
lockbench: tools build ## Compares locks with polling a redis-server, and with etcd.
	cd scripts/lockbench && $(GO) vet . && $(GO) test . && $(GO) run . $(LOCKBENCH)

.PHONY: microbench
microbench: ## Runs the benchmarks beside the code.
	$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: sim
sim: ## Breaks simulated clusters by SEEDS seeds, and judges what their clients saw.
	$(GO) test -count=1 -v -timeout 24h ./cluster/sim -run TestSeeds $(SIMFLAGS)

.PHONY: planted
planted: ## Plants known defects and counts the seeds it takes to find them.
	$(GO) test -count=1 -timeout 2h -v ./cluster/sim -run Planted -planted '$(DEFECTS)'

.PHONY: torture
torture: tools ## Breaks a cluster of real processes for an hour, best as root.
	$(GO) build -o bin/ ./scripts/torture
	exec bin/torture $(TORTURE)

.PHONY: hostile
hostile: ## Lays siege to a node: idle connections, clients that never read, garbage.
	$(GO) run ./scripts/hostile $(HOSTILE)

.PHONY: waiters
waiters: ## Has 10,000 clients wait for one lock, and kills 2,000 of them.
	$(GO) run ./scripts/waiters $(WAITERS)

.PHONY: fuzz
fuzz: ## Runs each fuzz target for FUZZTIME.
	scripts/fuzz.sh $(FUZZTIME)

.PHONY: compat
compat: tools ## Compares with a real redis-server, and replays what phonon clients said.
	$(GO) test -count=1 -run 'Redis|Transcript' ./fsm ./redisproto
	$(GO) test -count=1 -run 'RecordedConversations|Redis' ./cluster/proctest
	$(GO) run ./scripts/compat $(COMPAT)

.PHONY: clients
clients: ## Runs what real clients do against two regions of two nodes.
	@scripts/install-tools.sh clients
	cd scripts/clients/node && npm ci --ignore-scripts --no-audit --no-fund
	$(GO) run ./scripts/clients $(CLIENTS)

.PHONY: gen
gen: ## Makes the generated files in docs again.
	$(GO) test $(GENERATE) -update

.PHONY: fix
fix: ## Formats the code.
	gofmt -w .

.PHONY: tools
tools:
	@scripts/install-tools.sh
