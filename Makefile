# The commands of this repository; what each needs is installed first.
#
#   make run      everything, in the foreground, until Ctrl-C
#   make up       the same in the background;  make down  stops it
#   make test     builds and runs all tests; SANITIZE=1 with sanitizers
#   make module   only the nginx module;       make worker  only the worker
#   make install  module, worker and pages, below DESTDIR
#   make bench-line  a line of ten million numbers: right, and how fast
#   make fuzz     looks for bad inputs, FUZZ_SECONDS (20) for each target
#   make lint     format and static checks
#   make deps     only installs what is missing
#   make clean    removes what was built
#
# All that is built lies in .build; the demonstration keeps its data in .run.

CC     ?= cc
prefix ?= /usr/local

ifeq ($(SANITIZE),1)
BUILD     := .build/sanitize
HARDENING := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined \
             -fno-sanitize-recover=undefined
LINK      := -fsanitize=address,undefined
MODULE    := scripts/build-module --sanitize
WORKER    := SANITIZE=1
else ifeq ($(FUZZ),1)
BUILD     := .build/fuzz
CC        := $(or $(CLANG),clang)
HARDENING := -O1 -fno-omit-frame-pointer -fno-sanitize-recover=undefined \
             -fsanitize=fuzzer-no-link,address,undefined
LINK      := -fsanitize=fuzzer,address,undefined
else
BUILD     := .build
HARDENING := -O2 -fPIE -D_FORTIFY_SOURCE=2 -fstack-protector-strong
LINK      := -pie -Wl,-z,relro -Wl,-z,now
MODULE    := scripts/build-module
WORKER    := SANITIZE= CFLAGS="-g $(HARDENING)" LDFLAGS="$(LINK)"
endif

CFLAGS := -std=gnu11 -g -Wall -Wextra -Werror $(HARDENING)
CORE   := $(patsubst %.c,$(BUILD)/%.o,$(wildcard core/*.c))
UNITS  := $(patsubst %.c,$(BUILD)/%,$(wildcard t/unit/*.c))
FUZZ_TARGETS := $(patsubst %.c,$(BUILD)/%,$(wildcard t/fuzz/*_fuzz.c))

.PHONY: all run up down test deps build module worker units bench-line \
        fuzz fuzz-targets browser install lint clean

all: deps build

run up: deps
	@$(MAKE) --no-print-directory module worker
	@exec scripts/demo $@

down:
	@exec scripts/demo down

test:
	@scripts/deps run test
	@$(MAKE) --no-print-directory build browser SANITIZE=$(SANITIZE)
	@$(MAKE) --no-print-directory fuzz-targets SANITIZE=1
ifeq ($(SANITIZE),1)
	@# The demonstration, which is tested too, runs what is delivered.
	@$(MAKE) --no-print-directory module worker SANITIZE=
endif
	@exec scripts/test $(if $(filter 1,$(SANITIZE)),--sanitize) $(TESTS)

deps:
	@scripts/deps run

build: module worker units

module:
	@$(MODULE)

worker:
	@mkdir -p .build
	@flock .build/worker.lock $(MAKE) --no-print-directory -s -C worker $(WORKER)

units: $(UNITS)

bench-line: module $(BUILD)/t/bench/line_bench
	@exec scripts/bench-line

fuzz:
	@scripts/deps fuzz
	@exec scripts/fuzz

# With FUZZ=1 for libFuzzer, with SANITIZE=1 to run the known inputs.
fuzz-targets: $(FUZZ_TARGETS)

# What drives Chromium in the tests of the pages.
browser: node_modules/.package-lock.json
	@:

node_modules/.package-lock.json: package-lock.json
	@npm ci --no-audit --no-fund --loglevel=error

define compile
@mkdir -p $(@D)
@echo "cc $@"
@$(CC) $(CFLAGS) -Icore -MMD -MP -c -o $@ $<
endef

# A unit test may use all of core/.
$(BUILD)/t/unit/%: $(BUILD)/t/unit/%.o $(CORE)
	@echo "link $@"
	@$(CC) $(LINK) -o $@ $^ -lcmocka -lnettle -lhiredis -lyajl -lcrypto -lm

# A fuzz target as well, and these files of the worker.
FUZZ_WORKER := $(addprefix $(BUILD)/t/fuzz/worker_,config.o wish.o)
FUZZ_MAIN   := $(if $(filter 1,$(FUZZ)),,$(BUILD)/t/fuzz/replay.o)

$(FUZZ_TARGETS): %: %.o $(FUZZ_MAIN) $(CORE) $(FUZZ_WORKER)
	@echo "link $@"
	@$(CC) $(LINK) -o $@ $^ -lnettle -lhiredis -lyajl -linih -lm

$(BUILD)/t/fuzz/%.o: CFLAGS += -D_GNU_SOURCE -Iworker -It/unit

$(BUILD)/t/fuzz/worker_%.o: worker/%.c Makefile
	$(compile)

$(BUILD)/t/bench/%: $(BUILD)/t/bench/%.o $(CORE)
	@echo "link $@"
	@$(CC) $(LINK) -o $@ $^ -lnettle -lyajl -lm

# Depends on this file too: its flags are part of the result.
$(BUILD)/%.o: %.c Makefile
	$(compile)

-include $(CORE:.o=.d) $(UNITS:=.d) $(BUILD)/t/bench/line_bench.d \
         $(FUZZ_TARGETS:=.d) $(FUZZ_WORKER:.o=.d) $(FUZZ_MAIN:.o=.d)

.SECONDARY:
.DELETE_ON_ERROR:

install: module worker
	install -d $(DESTDIR)/usr/lib/nginx/modules $(DESTDIR)$(prefix)/sbin $(DESTDIR)$(prefix)/bin \
	    $(DESTDIR)$(prefix)/share/ticket/web $(DESTDIR)$(prefix)/share/ticket/sql/invariants \
	    $(DESTDIR)$(prefix)/share/ticket/prometheus $(DESTDIR)$(prefix)/share/ticket/grafana
	install -m 644 .build/module/ngx_http_ticket_module.so \
	    $(DESTDIR)/usr/lib/nginx/modules/.ngx_http_ticket_module.so.new
	mv -f $(DESTDIR)/usr/lib/nginx/modules/.ngx_http_ticket_module.so.new \
	    $(DESTDIR)/usr/lib/nginx/modules/ngx_http_ticket_module.so
	install -m 755 .build/worker/ticket-worker $(DESTDIR)$(prefix)/sbin/ticket-worker
	install -m 755 scripts/ticketctl scripts/verify-draw $(DESTDIR)$(prefix)/bin
	install -m 644 web/* $(DESTDIR)$(prefix)/share/ticket/web
	install -m 644 conf/problems.conf $(DESTDIR)$(prefix)/share/ticket
	install -m 644 conf/prometheus/*.yml $(DESTDIR)$(prefix)/share/ticket/prometheus
	install -m 644 conf/grafana/*.json $(DESTDIR)$(prefix)/share/ticket/grafana
	install -m 644 sql/*.sql $(DESTDIR)$(prefix)/share/ticket/sql
	install -m 644 sql/invariants/*.sql $(DESTDIR)$(prefix)/share/ticket/sql/invariants

lint:
	@scripts/deps run lint
	@exec scripts/lint

clean:
	rm -rf .build node_modules
