# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# The whole build; outputs go to build/ and nowhere else. New files in bpf/, user/ and tests/ are found by themselves:
#   user/*.c                        build/libpoolscope.a (all but main.c), build/poolscoped
#   client/*.c                      build/libclient.a (all but main.c), build/poolscope
#   tests/LANE/test_*.c             build/tests/LANE/test_*; unit tests a second time under build/asan (ASan + UBSan)
#   tests/fuzz/fuzz_*.c             build/asan/tests/fuzz/fuzz_* (feeds the corpus), build/fuzz/tests/fuzz/fuzz_* (libFuzzer)
#   tests/lib/*.c, tests/LANE/*.c   what is no program of its own is shared by all test programs
# CFLAGS, CPPFLAGS, LDFLAGS and LDLIBS of the caller are appended; V=1 shows commands, WERROR=1 (or CI=true) adds -Werror.
# Where `make install` puts things: see there.

VERSION := 0.1.0

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/bash

root := $(filter 0,$(shell id -u))

# Under sudo, whatever a target left in build/ is given back to the caller, also after a failure or ^C: hence the one
# recursion. chown -hR follows no symbolic link.
ifneq ($(and $(root),$(SUDO_UID),$(SUDO_GID),$(if $(POOLSCOPE_GIVES_BACK),,yes)),)

goals := $(or $(MAKECMDGOALS),all)
.PHONY: $(goals) give-back
$(goals): give-back ;
give-back:
	@trap : INT TERM; $(MAKE) --no-print-directory POOLSCOPE_GIVES_BACK=1 $(goals); status=$$?; \
	if [ -d build ]; then chown -hR "$$SUDO_UID:$$SUDO_GID" build; fi; exit $$status

else

# ---- packages --------------------------------------------------------------------------------------------------------

BUILD_PACKAGES := gcc libc6-dev clang bpftool libbpf-dev libmicrohttpd-dev libgnutls28-dev libcap-ng-dev libseccomp-dev zlib1g-dev libjansson-dev
TEST_PACKAGES := libcmocka-dev clang-format cppcheck shellcheck binutils iproute2 curl systemd procps mandoc valgrind
FRESH_PACKAGES := debootstrap
FUZZ_PACKAGES := libclang-rt-14-dev
VM_PACKAGES := qemu-system-x86 busybox-static cpio xz-utils openssl

# Installs those of $(1) that are missing; not as root: says which and stops. Asking costs 15 ms, so no stamp can be wrong.
define require
	@command -v dpkg-query >/dev/null || exit 0; \
	present=$$(dpkg-query -W -f '$${Package}:$${db:Status-Status} ' $(1) 2>/dev/null); missing=; \
	for p in $(1); do case " $$present" in *" $$p:installed "*) ;; *) missing="$$missing $$p";; esac; done; \
	[ -n "$$missing" ] || exit 0; \
	install="apt-get install -y --no-install-recommends$$missing"; \
	if [ -z "$(root)" ]; then \
		echo "Missing Debian packages:$$missing" >&2; \
		echo "Install them with: sudo make $@, or: sudo $$install" >&2; exit 1; \
	fi; \
	echo "Installing Debian packages:$$missing"; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get update -q || echo "apt-get update failed; trying with the lists that are there" >&2; \
	$${install/install/install -q -o DPkg::Lock::Timeout=300}
endef

.PHONY: deps deps-build deps-test deps-fresh deps-fuzz deps-vm
deps: deps-build deps-test ## install what is missing for build and tests (Debian packages)
deps-build: ## ... for the build only
	$(call require,$(BUILD_PACKAGES))
deps-test: deps-build ## ... for the tests, too
	$(call require,$(TEST_PACKAGES))
deps-fresh: deps-build
	$(call require,$(FRESH_PACKAGES))
deps-fuzz: deps-build
	$(call require,$(FUZZ_PACKAGES))
deps-vm: deps-test
	$(call require,$(VM_PACKAGES))

# ---- flags -----------------------------------------------------------------------------------------------------------

CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
AR := $(if $(filter default,$(origin AR)),gcc-ar,$(AR))
CLANG ?= clang
BPFTOOL ?= $(or $(wildcard /usr/sbin/bpftool),bpftool)
CFLAGS ?= -O2 -g
V ?= 0
machine := $(shell uname -m)
bpf_arch := $(patsubst x86_64,x86,$(patsubst aarch64,arm64,$(machine)))
werror := $(if $(filter true 1,$(CI) $(WERROR)),-Werror)

cppflags := -D_GNU_SOURCE -iquote include -iquote user -iquote client -iquote build
test_cppflags := -iquote tests/lib -iquote tests/scenario -iquote tests/kernel
cflags := -std=gnu11 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wunused \
	-Werror=unused-function $(werror)
hardening := -fPIE -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
ldflags := -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--as-needed
sanitize := -fPIE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
fuzz_cflags := -std=gnu11 -g -O1 $(sanitize) -fsanitize=fuzzer-no-link
libs := -lbpf -lmicrohttpd -lgnutls -lcap-ng -lseccomp -ljansson -lz -lm

bpf_cflags := --target=bpf -O2 -g -std=gnu11 -Wall -Werror -D__TARGET_ARCH_$(bpf_arch) -iquote include -iquote bpf \
	-idirafter /usr/include/$(machine)-linux-gnu

quiet = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' $(1) $(2);)
compile = $(CC) $(cppflags) $(cflags) $(1) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
link = $(CC) $(CFLAGS) $(ldflags) $(LDFLAGS) -o $@ $(filter %.o %.a,$^)

# ---- where it is installed -------------------------------------------------------------------------------------------

# systemd looks for units below /usr/lib and /usr/local/lib; below another PREFIX give UNITDIR=/etc/systemd/system.
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/poolscope
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
UNITDIR ?= $(PREFIX)/lib/systemd/system

# mode:source:where, without DESTDIR
installed := \
	755:build/poolscoped:$(BINDIR)/poolscoped \
	755:build/poolscope:$(BINDIR)/poolscope \
	644:contrib/poolscoped.service:$(UNITDIR)/poolscoped.service \
	644:docs/man/poolscoped.8:$(MANDIR)/man8/poolscoped.8 \
	644:docs/man/poolscope.1:$(MANDIR)/man1/poolscope.1 \
	$(foreach program,poolscoped poolscope,644:contrib/completion/poolscope.bash:$(COMPLETIONDIR)/$(program)) \
	$(foreach file,LICENSE CHANGELOG.md contrib/remote.conf $(wildcard docs/*.md docs/*.json docs/*.svg),644:$(file):$(DOCDIR)/$(file))
# Its texts that name another installed file.
installed_naming := $(filter %.service %.1 %.8 %.conf,$(installed))

# ---- sources ---------------------------------------------------------------------------------------------------------

lanes := unit kernel scenario real vm
modules := $(filter-out user/main.c,$(wildcard user/*.c))
client_modules := $(filter-out client/main.c,$(wildcard client/*.c))
test_sources := $(foreach lane,$(lanes),$(wildcard tests/$(lane)/test_*.c))
bench_sources := $(filter-out %.bpf.c,$(wildcard tests/bench/*.c))
test_lib_sources := $(wildcard tests/lib/*.c) \
	$(filter-out $(test_sources),$(foreach dir,$(lanes),$(wildcard tests/$(dir)/*.c)))
unit_tests := $(filter tests/unit/%,$(test_sources))

test_programs := $(test_sources:%.c=build/%) $(unit_tests:%.c=build/asan/%)
unit_programs := $(unit_tests:%.c=build/%)
guest_programs := $(patsubst %.c,build/%,$(filter tests/kernel/% tests/scenario/% tests/vm/%,$(test_sources)))
fuzz_sources := $(wildcard tests/fuzz/fuzz_*.c)
replay_programs := $(fuzz_sources:%.c=build/asan/%)
fuzz_programs := $(fuzz_sources:%.c=build/fuzz/%)
bench_objects := $(bench_sources:%.c=build/%.o)
model_sources := $(wildcard tests/model/*.c)
demo := $(if $(wildcard contrib/demo/demo.c),build/demo)
cost_sources := $(wildcard tests/cost/*.c)
cost_programs := $(cost_sources:%.c=build/%)

.PHONY: all
all: build/poolscoped build/poolscope ## build both programs (the default)

# ---- the kernel half -------------------------------------------------------------------------------------------------

# bpftool's linker drops the DWARF sections and keeps BTF.
build/poolscope.bpf.o: bpf/poolscope.bpf.c Makefile | deps-build
	@mkdir -p $(@D)
	$(call quiet,BPF,$<)$(CLANG) $(bpf_cflags) -MMD -MP -MT $@ -MF build/poolscope.bpf.d -c -o build/poolscope.dwarf.o $<
	@$(BPFTOOL) gen object $@ build/poolscope.dwarf.o

build/poolscope.skel.h: build/poolscope.bpf.o
	$(call quiet,SKEL,$@)$(BPFTOOL) gen skeleton $< name poolscope > $@

build/user/probes.o build/asan/user/probes.o build/fuzz/user/probes.o: build/poolscope.skel.h

# Of the benchmark.
build/tests/bench/storage.skel.h: tests/bench/storage.bpf.c bpf/kernel.h Makefile | deps-build
	@mkdir -p $(@D)
	$(call quiet,BPF,$<)$(CLANG) $(bpf_cflags) -c -o $(@D)/storage.bpf.o $<
	@$(BPFTOOL) gen skeleton $(@D)/storage.bpf.o name storage > $@
build/tests/bench/storage.o: build/tests/bench/storage.skel.h

# ---- the user half ---------------------------------------------------------------------------------------------------

build/%.o: %.c Makefile | deps-build
	@mkdir -p $(@D)
	$(call quiet,CC,$<)$(call compile,$(hardening))

build/asan/%.o: %.c Makefile | deps-build
	@mkdir -p $(@D)
	$(call quiet,ASAN,$<)$(call compile,$(test_cppflags) $(sanitize))

build/fuzz/%.o: %.c Makefile | deps-fuzz
	@mkdir -p $(@D)
	$(call quiet,FUZZ,$<)$(CLANG) $(cppflags) $(fuzz_cflags) -MMD -MP -c -o $@ $<

build/tests/%.o: tests/%.c Makefile | deps-test
	@mkdir -p $(@D)
	$(call quiet,CC,$<)$(call compile,$(test_cppflags) $(hardening))

# Written anew only when the commit has changed, so that only version.o follows it.
.PHONY: force
build/revision: force
	@mkdir -p $(@D); r=$$(git rev-parse --short HEAD 2>/dev/null || echo unknown); \
	[ "$$r" = "$$(cat $@ 2>/dev/null)" ] || echo "$$r" > $@

build/user/version.o build/asan/user/version.o build/fuzz/user/version.o: build/revision
build/user/version.o build/asan/user/version.o build/fuzz/user/version.o: cppflags += \
	-DPOOLSCOPE_VERSION='"$(VERSION)"' -DPOOLSCOPE_REVISION="\"$$(cat build/revision)\""

# An archive is made anew, else it would keep the members of sources that are gone.
archive = rm -f $@; $(AR) rcs $@ $^
build/libpoolscope.a: $(modules:%.c=build/%.o)
	$(call quiet,AR,$@)$(archive)
build/asan/libpoolscope.a: $(modules:%.c=build/asan/%.o)
	$(call quiet,AR,$@)$(archive)
build/fuzz/libpoolscope.a: $(modules:%.c=build/fuzz/%.o)
	$(call quiet,AR,$@)$(archive)
build/libclient.a: $(client_modules:%.c=build/%.o)
	$(call quiet,AR,$@)$(archive)
build/asan/libclient.a: $(client_modules:%.c=build/asan/%.o)
	$(call quiet,AR,$@)$(archive)
build/libtest.a: $(test_lib_sources:%.c=build/%.o)
	@mkdir -p $(@D)
	$(call quiet,AR,$@)$(archive)
build/asan/libtest.a: $(test_lib_sources:%.c=build/asan/%.o)
	@mkdir -p $(@D)
	$(call quiet,AR,$@)$(archive)

build/poolscoped: build/user/main.o build/libpoolscope.a
	$(call quiet,LD,$@)$(link) $(libs) $(LDLIBS)

build/poolscope: build/client/main.o build/libclient.a build/libpoolscope.a
	$(call quiet,LD,$@)$(link) $(libs) $(LDLIBS)

build/demo: build/contrib/demo/demo.o
	$(call quiet,LD,$@)$(link) $(LDLIBS)

build/model: $(model_sources:%.c=build/%.o)
	$(call quiet,LD,$@)$(link) $(LDLIBS)

build/tests/%: build/tests/%.o build/libtest.a build/libclient.a build/libpoolscope.a
	$(call quiet,LD,$@)$(link) -lcmocka $(libs) $(LDLIBS)

build/tests/bench/bench: $(bench_objects) build/libtest.a build/libclient.a build/libpoolscope.a
	$(call quiet,LD,$@)$(link) -lcmocka $(libs) $(LDLIBS)

build/asan/tests/%: build/asan/tests/%.o build/asan/libtest.a build/asan/libclient.a build/asan/libpoolscope.a
	$(call quiet,LD,$@)$(link) $(sanitize) -lcmocka $(libs) $(LDLIBS)

build/asan/tests/fuzz/%: build/asan/tests/fuzz/%.o build/asan/tests/fuzz/replay.o build/asan/libpoolscope.a
	$(call quiet,LD,$@)$(link) $(sanitize) $(libs) $(LDLIBS)

build/fuzz/tests/fuzz/%: build/fuzz/tests/fuzz/%.o build/fuzz/libpoolscope.a
	$(call quiet,LD,$@)$(CLANG) $(fuzz_cflags) -fsanitize=fuzzer -pie -Wl,--as-needed -o $@ $^ $(libs)

objects := $(patsubst %.c,%.o,$(modules) user/main.c $(client_modules) client/main.c $(test_sources) $(bench_sources) $(test_lib_sources) $(model_sources) \
	$(cost_sources) $(fuzz_sources) tests/fuzz/replay.c)
.SECONDARY: $(objects:%=build/%) $(objects:%=build/asan/%) $(objects:%=build/fuzz/%)
-include $(objects:%.o=build/%.d) $(objects:%.o=build/asan/%.d) $(objects:%.o=build/fuzz/%.d) build/contrib/demo/demo.d build/poolscope.bpf.d

# ---- what one runs ---------------------------------------------------------------------------------------------------

# The accept fallback reads the ids of its tracepoints there.
.PHONY: tracefs
tracefs:
	@if [ -n "$(root)" ] && [ -d /sys/kernel/tracing ] && [ -z "$$(ls -A /sys/kernel/tracing)" ]; then \
		echo "Mounting tracefs on /sys/kernel/tracing"; mount -t tracefs tracefs /sys/kernel/tracing || true; \
	fi

.PHONY: need-root
need-root:
	@[ -n "$(root)" ] || { echo "This needs root: sudo make $(MAKECMDGOALS)" >&2; exit 1; }

.PHONY: run
run: need-root build/poolscoped $(demo) tracefs ## run it: PID=1234 attaches to that process, else to a demo; DURATION=20, PORT=10935
	@PID='$(PID)' PORT='$(PORT)' DURATION='$(DURATION)' POOLSCOPED=build/poolscoped DEMO=build/demo \
		bash contrib/demo/run.sh

.PHONY: test unit lint ext
test: deps-test build/poolscoped build/poolscope $(test_programs) $(replay_programs) $(cost_programs) $(demo) tracefs $(if $(root),ext) ## everything that can run here; LANES="unit lint"
	@tests/run $(LANES:%=--lane %)

unit: $(unit_programs) ## the unit tests alone, quick, without root
	@tests/run --lane unit

lint: deps-test build/poolscoped build/poolscope ## style, include graph, static analysis, hardening
	@tests/run --lane lint

ext: deps-test ## servers for the tests, unpacked into build/ext and not installed
	@tests/ext build/ext

.PHONY: instructions
instructions: deps-test $(cost_programs) ## instructions per record and per line, as docs/performance.md keeps them
	@tests/cost/count

.PHONY: test-vm verify-report
test-vm: deps-vm build/poolscoped build/poolscope $(guest_programs) ## kernel tests and scenarios on other kernels, in guests: KERNELS=6.12
	@tests/vm/run $(KERNELS)

verify-report: deps-vm build/poolscoped build/poolscope $(guest_programs) tracefs ## build/verify-report.txt: what the verifier processes (root)
	@tests/vm/run --verify $(KERNELS)

# FUZZ_SECONDS each, beginning with the corpus; what is new is kept in build/fuzz/corpus, what breaks in build/fuzz.
.PHONY: fuzz
fuzz: deps-fuzz $(fuzz_programs) ## libFuzzer on everything that reads foreign bytes, 60 s each (FUZZ_SECONDS=)
	@for f in $(notdir $(fuzz_programs)); do \
		echo "== $$f"; mkdir -p build/fuzz/corpus/$$f; \
		build/fuzz/tests/fuzz/$$f -max_total_time=$(or $(FUZZ_SECONDS),60) -max_len=4096 -timeout=10 -print_final_stats=1 \
			-artifact_prefix=build/fuzz/$$f- build/fuzz/corpus/$$f tests/fuzz/corpus/$$f || exit 1; \
	done

.PHONY: test-fresh
test-fresh: need-root deps-fresh ## both README commands on the last commit in a bare Debian (root)
	@tests/fresh

.PHONY: model
model: build/model ## all interleavings of the delivery protocol's model (a minute, 500 MB)
	@build/model

.PHONY: bench bench-quick
bench: need-root deps-test build/poolscoped build/poolscope build/revision build/tests/bench/bench tracefs ext ## what it costs, beside others: build/bench/report.md (root, ten minutes)
	@build/tests/bench/bench

bench-quick: need-root deps-test build/poolscoped build/poolscope build/revision build/tests/bench/bench tracefs ext ## ... less of it, and less exactly (45 s)
	@build/tests/bench/bench --quick

# install -D makes missing directories, and leaves alone those that are there.
destination = "$$DESTDIR$${file\#\#*:}"
.PHONY: install uninstall
install: export DESTDIR := $(DESTDIR)
install: all ## install below PREFIX (/usr/local), in DESTDIR if given; nothing is started
	@set -e; for file in $(installed); do \
		mode=$${file%%:*} from=$${file#*:}; install -D -m "$$mode" "$${from%%:*}" $(destination); \
	done; \
	for file in $(installed_naming); do \
		sed -i 's,/usr/local/bin/,$(BINDIR)/,; s,/usr/local/share/doc/poolscope/,$(DOCDIR)/,' $(destination); \
	done

uninstall: export DESTDIR := $(DESTDIR)
uninstall: ## remove what install has put there; configuration stays
	@for file in $(installed); do rm -f $(destination); done
	@[ ! -d "$$DESTDIR$(DOCDIR)" ] || find "$$DESTDIR$(DOCDIR)" -depth -type d -empty -delete

.PHONY: clean
clean: ## remove build/
	rm -rf build

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

endif
