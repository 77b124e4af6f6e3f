# muster. `make` builds the three programs into build/; `make help` says what else there is.
# Variables: CC, O (build folder), SAN (e.g. SAN=address,undefined), WERROR=1, SEEDS (of `make sim`), FUZZ_S (seconds a target), V=1 (show the commands).
CC      ?= cc
O       ?= build
PREFIX  ?= /usr/local
VERSION := 0.1.0
SAN     ?=
PKGS    := libuv libsystemd yaml-0.1 libcurl jansson libmicrohttpd sqlite3 libprotobuf-c libseccomp
CFLAGS  ?= -O2 -g
WARN    := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wwrite-strings -Wpointer-arith -Wundef \
           $(if $(WERROR),-Werror)
CPPFLAGS += -I. -I$(O) -D_GNU_SOURCE -DMUSTER_VERSION='"$(VERSION)"' -D_FORTIFY_SOURCE=2
ALLCFLAGS = -std=gnu11 $(CFLAGS) $(WARN) -fno-omit-frame-pointer -fstack-protector-strong $(if $(SAN),-fsanitize=$(SAN) -U_FORTIFY_SOURCE)
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LIBS_base  :=
LIBS_all   := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lpthread -lm

PROGRAMS := musterd muster-agent musterctl
SUBDIRS  := base model net supervisord agent ctl
PROTO_C  := $(O)/model/muster.pb-c.c

srcs = $(filter-out %/main.c,$(wildcard $(1)/*.c))
objs = $(patsubst %.c,$(O)/%.o,$(call srcs,$(1)))
brief = @$(if $(V),,echo '  $(1) $@';)

.PHONY: all clean deps help demo test unit sim scenario soak bench lint fuzz fuzzers mutants tools systemd vm
all: $(addprefix $(O)/,$(PROGRAMS))

# --- libraries, one a folder -------------------------------------------------------------------
define folder_lib
$(O)/lib$(1).a: $(call objs,$(1)) $(if $(filter model,$(1)),$(O)/model/muster.pb-c.o)
	$$(call brief,ar  )rm -f $$@; ar rcs $$@ $$^
endef
$(foreach d,$(SUBDIRS),$(eval $(call folder_lib,$(d))))

$(O)/model/muster.pb-c.c: model/muster.proto
	@mkdir -p $(O)/model
	$(call brief,gen )protoc-c --c_out=$(O) $<
$(O)/model/muster.pb-c.o: $(PROTO_C)
	$(call brief,cc  )$(CC) $(CPPFLAGS) -std=gnu11 $(CFLAGS) $(if $(SAN),-fsanitize=$(SAN) -U_FORTIFY_SOURCE) -c $< -o $@
$(O)/%.o: %.c | $(PROTO_C)
	@mkdir -p $(@D)
	$(call brief,cc  )$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(ALLCFLAGS) -MMD -MP -c $< -o $@

link = $(call brief,link)$(CC) $(ALLCFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group -Wl,--as-needed $(LIBS_all)
$(O)/musterd: $(O)/supervisord/main.o $(O)/libsupervisord.a $(O)/libnet.a $(O)/libmodel.a $(O)/libbase.a
	$(link)
$(O)/muster-agent: $(O)/agent/main.o $(O)/libagent.a $(O)/libnet.a $(O)/libmodel.a $(O)/libbase.a
	$(link)
$(O)/musterctl: $(O)/ctl/main.o $(O)/libctl.a $(O)/libnet.a $(O)/libmodel.a $(O)/libbase.a
	$(link)

# --- unit tests: a file in tests/unit is a test --------------------------------------------------
UNIT := $(patsubst tests/unit/%.c,$(O)/tests/unit/%,$(wildcard tests/unit/test_*.c))
ALL_LIBS := $(addprefix $(O)/lib,$(addsuffix .a,$(SUBDIRS)))
$(O)/tests/unit/%: $(O)/tests/unit/%.o $(ALL_LIBS)
	$(call brief,link)$(CC) $(ALLCFLAGS) -o $@ $< -Wl,--start-group $(ALL_LIBS) -Wl,--end-group -Wl,--as-needed $(LIBS_all) -lcmocka

# --- documentation made from the table of configuration keys ----------------------------------------
$(O)/gen-config-doc: $(O)/tests/tools/gen_config_doc.o $(O)/libmodel.a $(O)/libbase.a
	$(link)
docs/CONFIG.md: $(O)/gen-config-doc
	$< > $@.new && mv $@.new $@

# --- the simulator, fuzz targets, load generator and floor programs --------------------------------
test_objs = $(patsubst %.c,$(O)/%.o,$(wildcard $(1)))
$(O)/sim: $(call test_objs,tests/sim/*.c) $(ALL_LIBS)
	$(link)
FUZZERS := $(patsubst tests/fuzz/%.c,$(O)/tests/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
$(O)/tests/fuzz/%: $(O)/tests/fuzz/%.o $(ALL_LIBS)
	$(link) -fsanitize=fuzzer
fuzzers: $(FUZZERS)
$(O)/load: $(call test_objs,tests/bench/load*.c tests/bench/answer.c tests/bench/profile.c) $(O)/libbase.a
	$(link)
$(O)/floor: $(O)/tests/bench/floor.o
	$(link)
TOOLS := $(filter-out $(O)/gen_config_doc $(O)/gen_man,$(patsubst tests/tools/%.c,$(O)/%,$(wildcard tests/tools/*.c)))
$(TOOLS): $(O)/%: $(O)/tests/tools/%.o
	$(link)
# A child's signals and exit status must be its own, not a sanitizer's.
$(TOOLS) $(TOOLS:$(O)/%=$(O)/tests/tools/%.o): override SAN :=
$(UNIT): | $(TOOLS)
tools: $(O)/load $(O)/floor $(TOOLS)

# --- what a person types (`make help`). The rules call make again: on a fresh machine the libraries' flags are known only after `deps` ---
RUN   := tests/run.py
QUIET := $(MAKE) --no-print-directory
SEEDS ?= 300
FUZZ_S ?= 20
KINDS := flask_sync1 flask_sync4 flask_gthread fastapi
QUICK := $(wildcard $(addprefix tests/scenario/,config_errors.sh first_answer.sh own_app.sh kill_instance.sh port_in_use.sh after_order.sh down_order.sh)) \
         "tests/scenario/scale_under_load.sh flask_gthread 1"
SCENARIOS := $(filter-out %/lib.sh %/scale_under_load.sh,$(wildcard tests/scenario/*.sh))
SCALING = $(foreach k,$(KINDS),"tests/scenario/scale_under_load.sh $(k) $(1) $(2)")
STORIES := $(patsubst %,"tests/systemd/box.sh %",$(wildcard tests/systemd/story_*.sh))
export O

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile etc/install.mk | expand -t 18
deps: ## install what is missing to build, run and test (apt-get)
	@etc/deps.sh all
demo: ## an API behind a balancer, a load that rises and falls, and muster following it
	@etc/deps.sh run && $(QUIET) -j$$(nproc) all $(O)/load && etc/demo.sh
test: ## lint, unit tests, simulator and the quick scenarios
	@etc/deps.sh all && $(QUIET) -j$$(nproc) all tools unit-programs $(O)/sim && $(QUIET) run-tests
unit-programs: $(UNIT)
unit: $(UNIT) ## the unit tests
	@$(RUN) --timeout 60 $(UNIT)
sim: $(O)/sim ## the simulated cluster, SEEDS random runs
	@$(RUN) --timeout 900 "$(O)/sim --seeds 1..$(SEEDS)"
lint: ## who includes whom, what pure files may call, banned functions
	@$(RUN) tests/lint.sh
scenario: all tools ## the real programs with real peers, all stories
	@$(RUN) --timeout 120 $(SCENARIOS) $(call SCALING,5,220)
soak: all tools ## each kind of application scaled up and down 100 times, 500 requests a second (20 minutes)
	@$(RUN) --timeout 14400 $(call SCALING,100,500)
bench: all tools ## the figures, as a table and as build/bench.json
	@tests/bench/bench.py
systemd: all man tools ## muster under a real systemd, in a container made of this machine: every story (root)
	@$(RUN) --timeout 120 $(STORIES)
vm: all man tools ## the same under Debian's kernel with its controllers, in a virtual machine (root)
	@$(RUN) tests/systemd/vm.sh
mutants: all tools ## planted defects: the suite must catch each
	@tests/mutants/run.sh
fuzz: ## each fuzz target for FUZZ_S seconds, under ASan and UBSan
	@$(QUIET) O=$(O)-fuzz CC=clang SAN=fuzzer-no-link,address,undefined fuzzers
	@$(QUIET) O=$(O)-fuzz CC=clang run-fuzzers
.PHONY: run-tests run-fuzzers unit-programs
run-tests: $(UNIT) $(O)/sim
	@$(RUN) --timeout 60 tests/lint.sh $(UNIT) "@900 $(O)/sim --seeds 1..$(SEEDS)" $(QUICK)
run-fuzzers:
	@mkdir -p $(O)/corpus; for f in $(notdir $(FUZZERS)); do mkdir -p $(O)/corpus/$$f; done
	@$(RUN) --timeout 120 $(foreach f,$(FUZZERS),"$(f) -max_total_time=$(FUZZ_S) -timeout=5 -rss_limit_mb=1024 -print_final_stats=0 -verbosity=0 -artifact_prefix=$(O)/corpus/crash- $(O)/corpus/$(notdir $(f)) $(wildcard tests/fuzz/corpus/$(notdir $(f)))")
.PRECIOUS: $(O)/%.o

include etc/install.mk
clean:
	rm -rf $(O) $(O)-fuzz $(O)-clang $(O)-asan
-include $(shell find $(O) -path $(O)/vm -prune -o -name '*.d' -print 2>/dev/null)
