# The commands of this repository; what each needs is installed first.
#
#   make run      everything, in the foreground, until Ctrl-C
#   make up       the same in the background;  make down  stops it
#   make test     builds and runs all tests; SANITIZE=1 with sanitizers
#   make module   only the nginx module;       make worker  only the worker
#   make install  module, worker and pages, below DESTDIR
#   make bench-line  a line of ten million numbers: right, and how fast
#   make bench-seats  holds per second, beside the database's own and others';
#                SHORT=1 only tries it, the script tells what else
#   make bench-listeners  how soon thousands hear of a hold
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
DRIVES := $(patsubst %.c,$(BUILD)/%,$(wildcard t/drive/*_drive.c))
SEAT_BENCHES := $(addprefix $(BUILD)/t/bench/,seat_load seat_ceiling \
                  seat_textbook)
FUZZ_TARGETS := $(patsubst %.c,$(BUILD)/%,$(wildcard t/fuzz/*_fuzz.c))

.PHONY: all run up down test deps build module worker units bench-line \
        bench-seats bench-listeners fuzz fuzz-targets browser install lint clean

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

units: $(UNITS) $(DRIVES)

bench-line: module $(BUILD)/t/bench/line_bench
	@exec scripts/bench-line

bench-seats: module worker $(SEAT_BENCHES)
	@exec scripts/bench-seats $(if $(SHORT),--short)

bench-listeners: worker $(BUILD)/t/bench/listen_load
	@exec scripts/bench-listeners

fuzz:
	@scripts/deps fuzz
	@exec scripts/fuzz

# With FUZZ=1 for libFuzzer, with SANITIZE=1 to run the known inputs.
fuzz-targets: $(FUZZ_TARGETS)

# What drives Chromium in the tests of the pages, and judges docs/openapi.yaml.
browser: node_modules/.package-lock.json
	@:

node_modules/.package-lock.json: package-lock.json
	@npm ci --no-audit --no-fund --loglevel=error

define compile
@mkdir -p $(@D)
@echo "cc $@"
@$(CC) $(CFLAGS) -Icore -MMD -MP -c -o $@ $<
endef

# A unit test may use all of core/, and what of the worker has no lock, no
# clock and no connection.
UNIT_WORKER := $(addprefix $(BUILD)/t/unit/worker_,seat.o change.o hall.o \
                 best.o standing.o csv.o map_csv.o map_order.o text.o \
                 precondition.o hold_items.o hold_json.o body.o negotiate.o \
                 reply.o rfc3339.o seatmap.o ring.o repeats.o known.o sql.o)

$(BUILD)/t/unit/%: $(BUILD)/t/unit/%.o $(CORE) $(UNIT_WORKER)
	@echo "link $@"
	@$(CC) $(LINK) -o $@ $^ -lcmocka -lnettle -lhiredis -lyajl -lcrypto -lm

# Parts of the worker that have threads of their own, for tests to drive.
DRIVE_WORKER := $(addprefix $(BUILD)/t/drive/worker_,keeper.o stream.o \
                  shows.o ring.o outbox.o redis.o backoff.o task.o db.o sql.o \
                  statements.o config.o log.o seat.o change.o hall.o)

$(DRIVES): %: %.o $(DRIVE_WORKER)
	@echo "link $@"
	@$(CC) $(LINK) -o $@ $^ $(shell pkg-config --libs libmariadb) -lhiredis \
	    -lyajl -linih -lpthread

# A fuzz target as well, and these files of the worker.
FUZZ_WORKER := $(addprefix $(BUILD)/t/fuzz/worker_,config.o wish.o seat.o \
                 change.o csv.o map_csv.o map_order.o members.o text.o)
FUZZ_MAIN   := $(if $(filter 1,$(FUZZ)),,$(BUILD)/t/fuzz/replay.o)

$(FUZZ_TARGETS): %: %.o $(FUZZ_MAIN) $(CORE) $(FUZZ_WORKER)
	@echo "link $@"
	@$(CC) $(LINK) -o $@ $^ -lnettle -lhiredis -lyajl -linih -lm

$(BUILD)/t/unit/%.o: CFLAGS += -Iworker
$(BUILD)/t/unit/worker_%.o: CFLAGS += -D_GNU_SOURCE
$(BUILD)/t/fuzz/%.o: CFLAGS += -D_GNU_SOURCE -Iworker -It/unit
$(BUILD)/t/drive/%.o: CFLAGS += -D_GNU_SOURCE -Iworker -pthread \
    $(shell pkg-config --cflags libmariadb)

# A rule each: one for all would be taken to make all of them at once.
$(BUILD)/t/unit/worker_%.o: worker/%.c Makefile
	$(compile)

$(BUILD)/t/fuzz/worker_%.o: worker/%.c Makefile
	$(compile)

$(BUILD)/t/drive/worker_%.o: worker/%.c Makefile
	$(compile)

$(BUILD)/t/bench/%: $(BUILD)/t/bench/%.o $(BUILD)/t/bench/bench.o $(CORE)
	@echo "link $@"
	@$(CC) $(LINK) -o $@ $^ -lnettle -lyajl -lm $(BENCH_LIBS)

# These speak to the database themselves.
SQL_BENCHES := $(addprefix $(BUILD)/t/bench/,seat_ceiling seat_textbook)
$(SQL_BENCHES): $(BUILD)/t/bench/bench_db.o
$(SQL_BENCHES): BENCH_LIBS := -lmariadb -pthread
$(SQL_BENCHES:=.o) $(BUILD)/t/bench/bench_db.o: \
    CFLAGS += -pthread $(shell pkg-config --cflags libmariadb)

# Depends on this file too: its flags are part of the result.
$(BUILD)/%.o: %.c Makefile
	$(compile)

-include $(CORE:.o=.d) $(UNITS:=.d) $(FUZZ_TARGETS:=.d) $(UNIT_WORKER:.o=.d) \
         $(FUZZ_WORKER:.o=.d) $(FUZZ_MAIN:.o=.d) $(DRIVES:=.d) \
         $(DRIVE_WORKER:.o=.d) \
         $(patsubst %.c,$(BUILD)/%.d,$(wildcard t/bench/*.c))

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
