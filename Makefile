# make test    everything: what it needs from Debian, format, vet, staticcheck, all tests with the race detector;
#              ARTIFACTS=DIR keeps the pictures they take there
# make lint    format, vet and staticcheck alone
# make bench   the benchmarks
# make test-kernel  the gpio driver on a kernel's own chip, in a virtual machine: drivers/gpio/kerneltest/README.md
# make dist    static binaries for the boards, in dist/
# make clean   what these leave behind

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := test
.NOTPARALLEL:

# Tests behind this tag start real servers, and fail where they are missing.
SERVERS := -tags servers

VERSION ?= $(or $(shell git describe --tags --always --dirty),devel)
# As GOARCH, or arm and the oldest ARM it is to run on: armv6 is the first Pi and the Zero, armv7 a Pi 2 on 32 bits.
TARGETS := arm64 armv7 armv6 amd64

.PHONY: test
test: deps lint
	$(if $(ARTIFACTS),mkdir -p $(ARTIFACTS))
	go test -race $(SERVERS) $(if $(ARTIFACTS),-artifacts -outputdir $(abspath $(ARTIFACTS))) ./...

.PHONY: test-kernel
test-kernel:
	drivers/gpio/kerneltest/run

.PHONY: deps
deps:
	.ci/deps

.PHONY: lint
lint:
	@unformatted=$$(gofmt -l .); \
	if [ -n "$$unformatted" ]; then printf 'not as gofmt writes it:\n%s\n' "$$unformatted" >&2; exit 1; fi
	go vet ./...
	go vet $(SERVERS) ./...
	go tool staticcheck ./...
	go tool staticcheck $(SERVERS) ./...

# One package after the other, so that they do not take the machine from each other.
.PHONY: bench
bench:
	@go test -p 1 -run '^$$' -bench . -benchmem ./... | \
		awk '!/^(PASS|goos:|goarch:|ok )/ && !/no test files/'

.PHONY: dist
dist:
	rm -rf dist
	@for target in $(TARGETS); do \
		echo "dist/tidings-linux-$$target"; \
		case $$target in \
			armv*) export GOARCH=arm GOARM=$${target#armv} ;; \
			*)     export GOARCH=$$target ;; \
		esac; \
		CGO_ENABLED=0 GOOS=linux \
			go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o "dist/tidings-linux-$$target" ./cmd/tidings; \
	done
	go test -count=1 -tags dist ./packaging
	cd dist && sha256sum tidings-linux-* >SHA256SUMS

.PHONY: clean
clean:
	rm -rf dist
