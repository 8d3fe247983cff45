# Only Go, make and git are needed.

GO    ?= go
GOFMT  = $$($(GO) env GOROOT)/bin/gofmt

# Modules of the repository that `make test` covers. Those under test/ hold dependencies that must not enter
# the product's go.mod.
MODULES = . test/crdcheck

# Pinned in a module of its own for the same reason.
STATICCHECK = $(GO) tool -modfile=$(CURDIR)/tools/staticcheck/go.mod staticcheck

# What git sees of the working tree; nothing outside of a checkout.
WORKTREE = { git status --porcelain && git diff HEAD; } 2>/dev/null

# Recipes of several commands start with `set -e`: a loop would hide a failure in its middle, and .SHELLFLAGS is
# too new for the make of some systems.

.PHONY: demo test check lint bench build e2e tools docs

## demo: plan the bookinfo example into out/bookinfo
demo:
	$(GO) run ./cmd/ambientplan plan -f examples/bookinfo/cluster --needs examples/bookinfo/needs.yaml --out out/bookinfo

## test: everything that runs in seconds; fails as well when a test changes a file of the repository
test:
	@set -e; before=$$($(WORKTREE) || true); \
	$(MAKE) --no-print-directory check; \
	after=$$($(WORKTREE) || true); \
	if [ "$$before" != "$$after" ]; then \
		echo "make test: the tests changed files of the repository:" >&2; \
		git status --short >&2; git --no-pager diff --stat HEAD >&2; \
		exit 1; \
	fi

# Direct imports are checked by internal/arch; what they bring along only here, because go test would cache the
# verdict of `go list`.
check:
	@set -e; unformatted=$$($(GOFMT) -l .); \
	if [ -n "$$unformatted" ]; then echo "gofmt would change:" >&2; echo "$$unformatted" >&2; exit 1; fi
	@set -e; for m in $(MODULES); do \
		echo "== $$m"; \
		( cd $$m; $(GO) mod tidy -diff; $(GO) vet ./...; $(GO) test ./... ); \
	done

	@set -e; clients=$$($(GO) list -deps ./api/... ./mesh/... ./planner/... | grep -E '^k8s.io/client-go/(kubernetes|rest)$$' || true); \
	if [ -n "$$clients" ]; then echo "api, mesh and planner must not depend on a cluster client, not even indirectly:" >&2; echo "$$clients" >&2; exit 1; fi

## lint: staticcheck at the version that tools/staticcheck/go.mod pins
lint:
	@set -e; for m in $(MODULES); do echo "== $$m"; ( cd $$m; $(STATICCHECK) ./... ); done

## bench: all benchmarks; compare two runs of -count=10 with benchstat
bench:
	$(GO) test -run '^$$' -bench . -benchmem ./...

## build: bin/ambientplan
build:
	$(GO) build -trimpath -o bin/ambientplan ./cmd/ambientplan

# A real kube-apiserver says what it is by a version that is linked in; without one, clients do not get on with it.
KUBERNETES   = 1.37.2
KUBE_VERSION = k8s.io/component-base/version
KUBE_LDFLAGS = -s -w -X $(KUBE_VERSION).gitVersion=v$(KUBERNETES) -X $(KUBE_VERSION).gitMajor=1 -X $(KUBE_VERSION).gitMinor=37

## e2e: the tests of the report in a real browser (CHROMIUM, or one on the PATH; they skip where there is none), and those
## against real components, in the module test/e2e; before these the API server, the Prometheus and the promtool that some of
## them start, without service discoveries: unit tests need none, and they are long to compile
e2e:
	cd test/browser; CGO_ENABLED=0 $(GO) test -count=1 -timeout 20m ./...
	cd test/promtool; CGO_ENABLED=0 $(GO) build -tags remove_all_sd -ldflags "-s -w" -o $(CURDIR)/bin/ github.com/prometheus/prometheus/cmd/promtool github.com/prometheus/prometheus/cmd/prometheus
	cd test/apiserver; CGO_ENABLED=0 $(GO) build -ldflags "$(KUBE_LDFLAGS)" -o $(CURDIR)/bin/apiserver .
	cd test/e2e; APISERVER=$(CURDIR)/bin/apiserver PROMTOOL=$(CURDIR)/bin/promtool PROMETHEUS=$(CURDIR)/bin/prometheus CGO_ENABLED=0 $(GO) test -timeout 40m ./...

## tools: fetch and build the pinned tools
tools:
	$(STATICCHECK) -version

## docs: rewrite what is generated: the list of rules and a page for each of them
docs:
	$(GO) generate ./...
