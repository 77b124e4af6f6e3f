# muster. `make` builds the three programs into build/; `make test`, `make demo`, `make bench`: see README.md.
# Variables: CC, O (build folder), SAN (e.g. SAN=address,undefined), WERROR=1.
CC      ?= cc
O       ?= build
PREFIX  ?= /usr/local
VERSION := 0.1.0
SAN     ?=
PKGS    := libuv libsystemd yaml-0.1 libcurl jansson libmicrohttpd sqlite3 libprotobuf-c smartcols
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
LIB = $(O)/lib$(1).a

.PHONY: all clean test demo bench lint deps
all: $(addprefix $(O)/,$(PROGRAMS))

# --- libraries, one a folder -------------------------------------------------------------------
define folder_lib
$(O)/lib$(1).a: $(call objs,$(1)) $(if $(filter model,$(1)),$(O)/model/muster.pb-c.o)
	@rm -f $$@; ar rcs $$@ $$^
endef
$(foreach d,$(SUBDIRS),$(eval $(call folder_lib,$(d))))

$(O)/model/muster.pb-c.c: model/muster.proto
	@mkdir -p $(O)/model
	protoc-c --c_out=$(O) $<
$(O)/model/muster.pb-c.o: $(PROTO_C)
	$(CC) $(CPPFLAGS) -std=gnu11 $(CFLAGS) $(if $(SAN),-fsanitize=$(SAN) -U_FORTIFY_SOURCE) -c $< -o $@
$(O)/%.o: %.c | $(PROTO_C)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(ALLCFLAGS) -MMD -MP -c $< -o $@

link = $(CC) $(ALLCFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group -Wl,--as-needed $(LIBS_all)
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
	$(CC) $(ALLCFLAGS) -o $@ $< -Wl,--start-group $(ALL_LIBS) -Wl,--end-group -Wl,--as-needed $(LIBS_all) -lcmocka
unit: $(UNIT)
	@for t in $(UNIT); do $$t || exit 1; done
.PRECIOUS: $(O)/%.o

clean:
	rm -rf $(O)
-include $(shell find $(O) -name '*.d' 2>/dev/null)
