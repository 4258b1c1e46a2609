# Everything that is run here, by people and by CI, is a target of this file.
SWIFT_FLAGS := --explicit-target-dependency-import-check error
# Where the programs for other machines go, and how they are built: for release, but in the tests as these are, whose build
# has compiled everything already.
OUT := out
CONFIGURATION := release
test: OUT := out/debug
test: CONFIGURATION := debug

.PHONY: help setup build programs static appliance guests check test demo bench bench-api torture fuzz

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## install every package needed (as root or with sudo); harmless to repeat
	@deploy/setup/install

build: setup ## build everything for development
	swift build --build-tests $(SWIFT_FLAGS)

static: setup ## build the static agent and repair programs into out/bin
	swift build -c $(CONFIGURATION) $(SWIFT_FLAGS) --product godwit-agent
	swift build -c $(CONFIGURATION) $(SWIFT_FLAGS) --product godwit-repair
	@mkdir -p $(OUT)/bin
	install -s .build/$(CONFIGURATION)/godwit-agent .build/$(CONFIGURATION)/godwit-repair $(OUT)/bin/

appliance: static ## build (and cache) the repair appliance; out/appliance leads to it
	@mkdir -p $(OUT)
	ln -sfn "$$(deploy/appliance/build --repair $(OUT)/bin/godwit-repair)" $(OUT)/appliance

check: setup ## format, layers and house rules
	swift format lint --strict --recursive Package.swift Sources Tests
	deploy/setup/house-rules
	swift build --build-tests $(SWIFT_FLAGS)

test: build appliance ## every test, with a skip that is not on Tests/skips.txt counted as a failure
	GODWIT_OUT=$(OUT) Tests/support/run-tests

programs: setup
	swift build $(SWIFT_FLAGS)

demo: programs appliance ## move a real running machine, end to end (GUEST=tiny or tiny-uefi for a small one, KEEP=1 to keep it running)
	deploy/demo/run $(if $(GUEST),--guest $(GUEST)) $(if $(KEEP),--keep)

bench: static ## measure agent and gateway, as root (ARGS="--only full --runs 1"); the table also goes to out/bench.json
	swift build -c release $(SWIFT_FLAGS) --product godwit-gateway
	Benchmarks/run $(ARGS)

bench-api: setup
	swift build -c release $(SWIFT_FLAGS) --product godwit
	Benchmarks/api $(ARGS)

fuzz: build ## ask a running platform what its documents allow and forbid, longer than make test does: EXAMPLES=n for each operation (40), SEED=n (1)
	Tests/support/fuzz/run $${EXAMPLES:-40} $${SEED:-1}

torture: build $(if $(GUESTS),static) ## track, sync, kill and compare every block under load, as root: MINUTES=n (10); GUESTS=1 on stock kernels instead
	$(if $(GUESTS),Tests/support/guests/run $(ARGS),Tests/support/torture $${MINUTES:-10})
