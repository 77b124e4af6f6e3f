# install.mk - make install, make uninstall. Variables: DESTDIR, PREFIX (default /usr/local), SYSCONFDIR (/etc), UNITDIR, and what else stands here with ?=.
# As root and without DESTDIR it also makes the accounts and folders (systemd-sysusers, systemd-tmpfiles) and has systemd read the units; nothing is started.
SYSCONFDIR  ?= /etc
BINDIR      ?= $(PREFIX)/bin
MANDIR      ?= $(PREFIX)/share/man
DOCDIR      ?= $(PREFIX)/share/doc/muster
UNITDIR     ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions

# --- manual pages: written as docs/man/*.scd, but for what the programs' own tables say -------------------------
MAN_GEN := musterctl.1 muster.yaml.5 agent.yaml.5
MAN     := $(addprefix $(O)/man/,$(patsubst docs/man/%.scd,%,$(wildcard docs/man/*.scd)) $(MAN_GEN))
$(O)/gen-man: $(O)/tests/tools/gen_man.o $(O)/libctl.a $(O)/libnet.a $(O)/libmodel.a $(O)/libbase.a
	$(link)
$(addprefix $(O)/man/,$(addsuffix .scd,$(MAN_GEN))): $(O)/man/%.scd: $(O)/gen-man
	@mkdir -p $(@D)
	$(call brief,gen )$< $* > $@.new && mv $@.new $@
$(O)/man/%: docs/man/%.scd
	@mkdir -p $(@D)
	$(call brief,man )scdoc < $< > $@.new && mv $@.new $@
$(addprefix $(O)/man/,$(MAN_GEN)): $(O)/man/%: $(O)/man/%.scd
	$(call brief,man )scdoc < $< > $@.new && mv $@.new $@
man: $(MAN) ## the manual pages, into build/man

# --- what goes where ------------------------------------------------------------------------------------------
UNITS    := $(patsubst %.in,%,$(notdir $(wildcard etc/systemd/*.in etc/systemd/*.s*t etc/systemd/*.service)))
EXAMPLES := $(wildcard etc/examples/*/*)
put = install -D -m $(1) $(2) "$(DESTDIR)$(3)"
fill = sed -e 's,@bindir@,$(BINDIR),g' $(1) >"$(DESTDIR)$(2)" && chmod 0644 "$(DESTDIR)$(2)"
# A package's scripts, or nobody, do this for a DESTDIR; without systemd there is nothing to tell.
LIVE := $(if $(DESTDIR),,$(filter 0,$(shell id -u)))
tell = if command -v $(1) >/dev/null; then $(1) $(2); else echo "install: no $(1) here; left out: $(1) $(2)"; fi

install: all man ## programs, units, accounts, folders and manual pages: DESTDIR=, PREFIX=/usr/local
	@set -e; for p in $(PROGRAMS); do $(call put,0755,$(O)/$$p,$(BINDIR)/$$p); done
	@set -e; install -d '$(DESTDIR)$(UNITDIR)'; for u in $(UNITS); do \
	    if [ -e etc/systemd/$$u.in ]; then $(call fill,etc/systemd/$$u.in,$(UNITDIR)/$$u); else $(call put,0644,etc/systemd/$$u,$(UNITDIR)/$$u); fi; done
	@$(call put,0644,etc/systemd/muster.sysusers,$(SYSUSERSDIR)/muster.conf)
	@$(call put,0644,etc/systemd/muster.tmpfiles,$(TMPFILESDIR)/muster.conf)
	@set -e; for m in $(notdir $(MAN)); do $(call put,0644,$(O)/man/$$m,$(MANDIR)/man$${m##*.}/$$m); done
	@set -e; for f in $(EXAMPLES); do $(call put,0644,$$f,$(DOCDIR)/$${f#etc/}); done
	@set -e; for f in README.md docs/*.md; do $(call put,0644,$$f,$(DOCDIR)/$$f); done
	@install -d '$(DESTDIR)$(COMPLETIONDIR)' && $(O)/musterctl completion bash >'$(DESTDIR)$(COMPLETIONDIR)/musterctl' && chmod 0644 '$(DESTDIR)$(COMPLETIONDIR)/musterctl'
	@$(if $(wildcard etc/agent.yaml),[ -e '$(DESTDIR)$(SYSCONFDIR)/muster/agent.yaml' ] || $(call put,0644,etc/agent.yaml,$(SYSCONFDIR)/muster/agent.yaml),:)
	@$(if $(LIVE),$(call tell,systemd-sysusers,$(SYSUSERSDIR)/muster.conf); $(call tell,systemd-tmpfiles,--create $(TMPFILESDIR)/muster.conf); \
	    if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi; echo "installed; next: systemctl enable --now musterd muster-agent",:)

uninstall: ## takes away what install has put there; configuration, state, logs and accounts stay
	@$(if $(LIVE),if [ -d /run/systemd/system ]; then systemctl disable --now $(UNITS) 2>/dev/null || :; fi,:)
	@cd '$(DESTDIR)/' && rm -f $(foreach p,$(PROGRAMS),'.$(BINDIR)/$(p)') $(foreach u,$(UNITS),'.$(UNITDIR)/$(u)') \
	    '.$(SYSUSERSDIR)/muster.conf' '.$(TMPFILESDIR)/muster.conf' $(foreach m,$(notdir $(MAN)),'.$(MANDIR)/man$(subst .,,$(suffix $(m)))/$(m)') \
	    '.$(COMPLETIONDIR)/musterctl' && rm -rf '.$(DOCDIR)'
	@$(if $(LIVE),if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi,:)
.PHONY: man install uninstall
