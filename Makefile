# durable-streams-fcgi: `make help` lists the targets.
#
# Options:
#   V=1              show the commands
#   WERROR=1         make warnings errors
#   CC=clang, SANITIZE=address,undefined or thread: each has a folder of its own below build/
#   STATIC=1         link every library into the server, so that it starts much faster as plain CGI;
#                    dsctl and the program that delivers webhooks are left out
#   SQLITE=folder    take the SQLite of that folder, an unpacked amalgamation (sqlite3.c, sqlite3.h),
#                    instead of the system's

# the same as in include/durable_streams.h
VERSION = 0.1.0
PROGRAM = durable-streams.fcgi
DELIVERER = durable-streams-deliver
# the C library: the name with the version of its binary interface, and the name of the file
SONAME  = libdurablestreams.so.0
SOFILE  = $(SONAME).1.0

prefix     ?= /usr/local
bindir     ?= $(prefix)/bin
libexecdir ?= $(prefix)/lib/durable-streams
includedir ?= $(prefix)/include
libdir     ?= $(prefix)/lib
pkgconfigdir ?= $(libdir)/pkgconfig
mandir     ?= $(prefix)/share/man
completiondir ?= $(prefix)/share/bash-completion/completions
fishdir    ?= $(prefix)/share/fish/vendor_completions.d
zshdir     ?= $(prefix)/share/zsh/$(if $(filter /usr,$(prefix)),vendor-completions,site-functions)
docdir     ?= $(prefix)/share/doc/durable-streams
# a package of the distribution (prefix=/usr) has its settings in /etc
sysconfdir ?= $(if $(filter /usr,$(prefix)),/etc,$(prefix)/etc)
# systemd reads units below /usr/local as well
unitdir    ?= $(prefix)/lib/systemd/system

INSTALLATION = program='$B/$(PROGRAM)' deliverer='$(if $(STATIC),,$B/$(DELIVERER))' dsctl='$(if $(STATIC),,$B/dsctl)' library='$B/libdurablestreams' soname='$(SONAME)' \
               sofile='$(SOFILE)' version='$(VERSION)' DESTDIR='$(DESTDIR)' prefix='$(prefix)' \
               bindir='$(bindir)' completiondir='$(completiondir)' fishdir='$(fishdir)' zshdir='$(zshdir)' \
               includedir='$(includedir)' libdir='$(libdir)' pkgconfigdir='$(pkgconfigdir)' \
               libexecdir='$(libexecdir)' mandir='$(mandir)' docdir='$(docdir)' \
               sysconfdir='$(sysconfdir)' unitdir='$(unitdir)'
DIST = durable-streams-$(VERSION)

comma    := ,

CC       ?= cc
OBJCOPY  ?= objcopy
OPT      ?= -O2 -g
WARN      = -Wall -Wextra -Wshadow -Wconversion -Wmissing-prototypes -Wformat=2 -Wundef \
            -Wstrict-prototypes $(if $(WERROR),-Werror)
HARDEN    = -fstack-protector-strong -fPIC -fvisibility=hidden $(if $(SANITIZE),,-D_FORTIFY_SOURCE=2)
DS_CFLAGS = -std=c11 -D_GNU_SOURCE -Iinclude -Isrc $(SQLITE:%=-I%) $(OPT) $(WARN) $(HARDEN) -pthread \
            $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer) \
            $(if $(FUZZER),-fsanitize=fuzzer-no-link) $(if $(COVERAGE),$(COUNTING)) -MMD -MP
# counts the executed lines, atomically because of the threads; see tests/coverage.sh
COUNTING  = -fprofile-instr-generate -fcoverage-mapping -fprofile-update=atomic
# With STATIC=1 the linker warns about name resolution and about loading extensions. The first is
# needed only for a host name in --listen, and SQLite never does the second.
DS_LDFLAGS = $(if $(STATIC),-static-pie,-pie) -Wl,-z,relro,-z,now -pthread $(if $(SANITIZE),-fsanitize=$(SANITIZE)) \
             $(if $(COVERAGE),$(COUNTING))
# the program that loads the library brings the symbols of a sanitizer, so allow them to be undefined
SO_LDFLAGS = -shared -Wl,-soname,$(SONAME) -Wl,-z,relro,-z,now -pthread $(if $(COVERAGE),$(COUNTING)) \
             $(if $(SANITIZE),-fsanitize=$(SANITIZE),-Wl$(comma)-z$(comma)defs)
SQLITE_LIB = $(if $(SQLITE),,-lsqlite3)
DS_LDLIBS = -lfcgi $(SQLITE_LIB) -lz -lm
# for the library, and for programs that are linked with its objects; libmd has SHA-256
LIB_LDLIBS = $(SQLITE_LIB) -lmd
# for dsctl only: the server needs no HTTP client
CLI_LDLIBS = -lcurl $(LIB_LDLIBS) -lm
# for the program that delivers webhooks; libcrypto signs
DELIVER_LDLIBS = -lcurl -lcrypto $(SQLITE_LIB) -lm

# a build with other flags has a folder of its own, so that objects never mix
B := build$(if $(FUZZER),/fuzzer,$(if $(COVERAGE),/coverage,$(if $(findstring clang,$(CC)),/clang)$(if \
     $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))))$(if $(SQLITE),/sqlite)$(if $(STATIC),/static)
Q := $(if $(V),,@)

# The folders of src/, lowest first: tests/floors.sh says which may include which. A product is a
# union of folders.
FLOORS  := base protocol config hints store/sqlite engine
OUTSIDE := http exchange live server gateway
TOOLS   := dump store/tools
# sources that the rules below generate
GENERATED := $B/schema.o $B/paths.o
EMBEDDED := $(if $(SQLITE),$B/sqlite3.o)
SCHEMA  := $B/schema.o $(EMBEDDED)
objects = $(patsubst src/%.c,$B/%.o,$(sort $(wildcard $(patsubst %,src/%/*.c,$(1)))))
SERVER  := $(call objects,$(FLOORS) $(OUTSIDE)) $B/main.o $B/paths.o $(SCHEMA)
LIB     := $(call objects,$(FLOORS) lib) $B/paths.o $(SCHEMA)
CLIENT  := $(call objects,cli)
DELIVER := $(call objects,deliver)
DELIVERY := $(call objects,$(FLOORS)) $(DELIVER) $B/deliver.o $(SCHEMA)
DSCTL   := $(LIB) $(call objects,$(TOOLS)) $(CLIENT) $B/dsctl.o
# what tests are linked with: all but main() of the programs; those of dsctl with CLIENT as well, and
# those of webhooks with DELIVER
LIBRARY := $(call objects,$(FLOORS) $(OUTSIDE) $(TOOLS) lib) $B/paths.o $(SCHEMA)
OBJECTS := $(sort $(SERVER) $(DSCTL) $(DELIVERY))
# the same programs with the hooks that let a test kill them at a chosen moment
HOOKED  := $(patsubst $B/%,$B/hooked/%,$(call objects,$(FLOORS) $(OUTSIDE)) $B/main.o) $B/paths.o $(SCHEMA)
HOOKED_DELIVERY := $(patsubst $B/%,$B/hooked/%,$(call objects,$(FLOORS)) $(DELIVER) $B/deliver.o) $(SCHEMA)
UNIT    := $(patsubst tests/unit/%.c,$B/unit/%,$(wildcard tests/unit/test_*.c))
# entry points of the fuzzers, which also replay the files of tests/fuzz/corpus
FUZZ    := $(patsubst tests/fuzz/fuzz_%.c,$B/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
# see tests/proof/README.md: programs, and a library that is preloaded into others to watch them
PROOF   := $(addprefix $B/proof/,vfs_same vfs_cut power crash claims library record.so)

all: $B/$(PROGRAM) $B/libdurablestreams.a $B/$(SOFILE) $(if $(STATIC),,$B/dsctl $B/$(DELIVERER))

$B/$(PROGRAM): $(SERVER)
	$(Q)echo "  LD    $@"
	$(Q)$(CC) $(DS_LDFLAGS) $(LDFLAGS) -o $@ $^ $(DS_LDLIBS)

$B/dsctl: $(DSCTL)
	$(Q)echo "  LD    $@"
	$(Q)$(CC) $(DS_LDFLAGS) $(LDFLAGS) -o $@ $^ $(CLI_LDLIBS)

$B/$(DELIVERER): $(DELIVERY)
	$(Q)echo "  LD    $@"
	$(Q)$(CC) $(DS_LDFLAGS) $(LDFLAGS) -o $@ $^ $(DELIVER_LDLIBS)

$B/hooked/$(PROGRAM): $(HOOKED)
	$(Q)echo "  LD    $@"
	$(Q)$(CC) $(DS_LDFLAGS) $(LDFLAGS) -o $@ $^ $(DS_LDLIBS)

$B/hooked/$(DELIVERER): $(HOOKED_DELIVERY)
	$(Q)echo "  LD    $@"
	$(Q)$(CC) $(DS_LDFLAGS) $(LDFLAGS) -o $@ $^ $(DELIVER_LDLIBS)

# one object, in which only ds_* are visible
$B/libdurablestreams.a: $(LIB)
	$(Q)echo "  AR    $@"
	$(Q)$(LD) -r -o $B/libdurablestreams.o $^
	$(Q)$(OBJCOPY) --localize-hidden $B/libdurablestreams.o
	$(Q)rm -f $@ && $(AR) rcs $@ $B/libdurablestreams.o

$B/$(SOFILE): $(LIB)
	$(Q)echo "  LD    $@"
	$(Q)$(CC) $(SO_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LIB_LDLIBS)

# depends on the Makefile because it holds the flags
$B/%.o: src/%.c Makefile
	$(Q)echo "  CC    $<"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(DS_CFLAGS) $(CFLAGS) -c -o $@ $<

$B/hooked/%.o: src/%.c Makefile
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(DS_CFLAGS) -DDS_TEST_HOOKS $(CFLAGS) -c -o $@ $<

# sql/*.sql become C strings, in the order of their names
$B/schema.c: sql/embed.sh $(wildcard sql/*.sql)
	$(Q)mkdir -p $(@D)
	$(Q)sh sql/embed.sh sql/*.sql >$@.tmp && mv $@.tmp $@

# the path at which the library finds its test server; changes with `make install prefix=...`
$B/paths.c: always
	$(Q)mkdir -p $(@D)
	$(Q)tmp=$@.$$$$; \
	printf '#include "config/paths.h"\nconst char paths_libexec[] = "%s";\n' '$(libexecdir)' >$$tmp; \
	if cmp -s $$tmp $@; then rm $$tmp; else mv $$tmp $@; fi

$(GENERATED): %.o: %.c
	$(Q)$(CC) $(DS_CFLAGS) $(CFLAGS) -c -o $@ $<

# SQLite's own code: without its warnings, and hidden, so that the library does not export it
$(EMBEDDED): $(SQLITE)/sqlite3.c $(SQLITE)/sqlite3.h Makefile
	$(Q)echo "  CC    $<"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(OPT) $(HARDEN) -pthread $(if $(SANITIZE),-fsanitize=$(SANITIZE)) -w \
		-DSQLITE_OMIT_LOAD_EXTENSION $(CFLAGS) -c -o $@ $<

# the functions that tests/unit/failing.h replaces, to let allocations fail
FAILING := $(patsubst %,-Wl$(comma)--wrap=%,malloc calloc realloc reallocarray strdup asprintf __asprintf_chk)
$B/unit/test_failing_% $B/unit/test_lib_memory $B/unit/test_http_gzip: LDFLAGS += $(FAILING)

# these see only what users of the library have: one header and one archive
$B/unit/test_lib_%: tests/unit/test_lib_%.c $B/libdurablestreams.a
	$(Q)echo "  CC    $<"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -Isrc,$(DS_CFLAGS)) -Wno-missing-prototypes -Wno-sign-conversion \
		$(CFLAGS) $(DS_LDFLAGS) $(LDFLAGS) -o $@ $< $B/libdurablestreams.a \
		-lcheck -lsubunit -lm -lrt $(LIB_LDLIBS)

# with all of dsctl, which needs an HTTP client
$B/unit/test_cli_%: tests/unit/test_cli_%.c $(CLIENT) $(LIBRARY)
	$(Q)echo "  CC    $<"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(DS_CFLAGS) -Wno-missing-prototypes -Wno-sign-conversion $(CFLAGS) \
		$(DS_LDFLAGS) $(LDFLAGS) -o $@ $< $(CLIENT) $(LIBRARY) -lcheck -lsubunit -lrt -lfcgi -lz $(CLI_LDLIBS)

# with what delivers webhooks
$B/unit/test_deliver_%: tests/unit/test_deliver_%.c $(DELIVER) $(LIBRARY)
	$(Q)echo "  CC    $<"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(DS_CFLAGS) -Wno-missing-prototypes -Wno-sign-conversion $(CFLAGS) \
		$(DS_LDFLAGS) $(LDFLAGS) -o $@ $< $(DELIVER) $(LIBRARY) -lcheck -lsubunit -lrt -lfcgi -lz \
		-lmd $(DELIVER_LDLIBS)

# with another parser of HTTP
$B/unit/test_http_oracle: LDLIBS += -lhttp_parser

$B/unit/%: tests/unit/%.c $(LIBRARY)
	$(Q)echo "  CC    $<"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(DS_CFLAGS) -Wno-missing-prototypes -Wno-sign-conversion $(CFLAGS) \
		$(DS_LDFLAGS) $(LDFLAGS) -o $@ $< $(LIBRARY) -lcheck -lsubunit -lm -lrt $(LDLIBS) $(DS_LDLIBS) -lmd

# with FUZZER=1 the program searches, otherwise it replays its corpus
FUZZ_MAIN = $(if $(FUZZER),-fsanitize=fuzzer,tests/fuzz/replay.c)
# under CGI the connection is closed only by the end of the process, which a fuzzer does not reach
$B/fuzz/cgi: LDFLAGS += -Wl,--wrap=store_connect
$B/fuzz/cli: $(CLIENT)
$B/fuzz/cli: LDLIBS += -lcurl

$B/fuzz/%: tests/fuzz/fuzz_%.c tests/fuzz/replay.c $(LIBRARY)
	$(Q)echo "  CC    $<"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(DS_CFLAGS) $(CFLAGS) $(DS_LDFLAGS) $(LDFLAGS) -o $@ $< $(FUZZ_MAIN) \
		$(filter %.o,$^) $(LDLIBS) $(DS_LDLIBS) -lmd

# these two test the inside of the store; the other proofs use the public library
$B/proof/vfs_%: $B/proof/obj/vfs_%.o $B/proof/obj/proof.o $B/proof/obj/shim.o $(LIBRARY)
	$(Q)echo "  LD    $@"
	$(Q)$(CC) $(DS_LDFLAGS) $(LDFLAGS) -o $@ $^ $(DS_LDLIBS) -lmd

$B/proof/power: $(addprefix $B/proof/obj/,trace.o disk.o)
$B/proof/power $B/proof/crash: $(addprefix $B/proof/obj/,look.o doors.o work.o)
$B/proof/power $B/proof/crash $B/proof/library: $B/proof/%: $B/proof/obj/%.o \
		$(addprefix $B/proof/obj/,ledger.o proof.o) $B/libdurablestreams.a
	$(Q)echo "  LD    $@"
	$(Q)$(CC) $(DS_LDFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LIB_LDLIBS) -lm

# sends requests, and uses nothing of ours
$B/proof/claims: $B/proof/obj/claims.o
	$(Q)echo "  LD    $@"
	$(Q)$(CC) $(DS_LDFLAGS) $(LDFLAGS) -o $@ $^

# without a sanitizer, because it is preloaded into programs that have none
$B/proof/record.so: $B/proof/obj/record.o $B/proof/obj/trace.o
	$(Q)echo "  LD    $@"
	$(Q)$(CC) -shared -pthread $(LDFLAGS) -o $@ $^ -ldl
$B/proof/obj/record.o $B/proof/obj/trace.o: SANITIZE =

$B/proof/obj/%.o: tests/proof/%.c Makefile
	$(Q)echo "  CC    $<"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(DS_CFLAGS) $(CFLAGS) -c -o $@ $<

# the upper bound of the benchmarks: this program with tests/bench/empty.c in place of its routes
$B/bench/empty.fcgi: tests/bench/empty.c $(SERVER)
	$(Q)echo "  CC    $<"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(DS_CFLAGS) $(CFLAGS) $(DS_LDFLAGS) $(LDFLAGS) -o $@ $< \
		$(filter-out $B/server/route.o,$(SERVER)) $(DS_LDLIBS)

$B/bench/load: $(wildcard tests/bench/load*.c) tests/bench/load.h
	$(Q)echo "  CC    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -MMD -MP,$(DS_CFLAGS)) $(CFLAGS) $(DS_LDFLAGS) $(LDFLAGS) -o $@ $(filter %.c,$^)

# the upper bound for plain CGI
$B/bench/empty.cgi: tests/bench/empty_cgi.c
	$(Q)echo "  CC    $<"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(DS_CFLAGS) $(CFLAGS) $(DS_LDFLAGS) $(LDFLAGS) -o $@ $<

# creates large databases with the library
$B/bench/fill: tests/bench/fill.c $B/libdurablestreams.a
	$(Q)echo "  CC    $<"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(DS_CFLAGS) $(CFLAGS) $(DS_LDFLAGS) $(LDFLAGS) -o $@ $< $B/libdurablestreams.a \
		$(LIB_LDLIBS)

# all programs of the tests; and those of the benchmarks, so that they keep compiling
BENCH_PROGRAMS := $(addprefix $B/bench/,empty.fcgi empty.cgi load fill)
test-programs: all $B/hooked/$(PROGRAM) $(if $(STATIC),,$B/hooked/$(DELIVERER)) $(UNIT) $(FUZZ) $(PROOF) $(BENCH_PROGRAMS)

run:
	@sh deploy/packages.sh $(if $(filter nginx,$(WEB)),nginx,run)
	@$(MAKE) --no-print-directory all
	@B=$B exec sh deploy/run.sh

test:
	@sh deploy/packages.sh test
	@# with a sanitizer gcc warns wrongly, so warnings are errors only without one
	@$(MAKE) --no-print-directory $(if $(SANITIZE),,WERROR=1) test-programs
	@B=$B sh tests/run.sh

# every web server: the conformance suite, the gateway cases, and a matrix of the results
test-doors:
	@sh deploy/packages.sh test
	@$(MAKE) --no-print-directory all
	@B=$B sh tests/run.sh doors

# the proofs that stored data is safe: PROVE_MINUTES= for each part, PROVE= for some parts
prove:
	@sh deploy/packages.sh test
	@$(MAKE) --no-print-directory all $B/hooked/$(PROGRAM) \
		$(if $(STATIC),,$B/hooked/$(DELIVERER)) $(PROOF)
	@B=$B sh tests/proof/run.sh $(PROVE)

# the client of subscriptions that Electric's agents use, against this server: ELECTRIC= is a checkout of
# their repository
prove-agents:
	@[ -d "$(ELECTRIC)/packages" ] || { echo 'ELECTRIC= must name a checkout of electric-sql/electric' >&2; exit 2; }
	@sh deploy/packages.sh test
	@$(MAKE) --no-print-directory all
	@sh tests/run.sh modules
	@B=$B node tests/proof/agents.mjs "$(ELECTRIC)"

# only the unit tests, and the inputs of the fuzzers
check: $(UNIT) $(FUZZ)
	$(Q)B=$B sh tests/run.sh unit

# threaded code: unit tests, and a whole server
THREADED = unit:commit unit:hints unit:wake unit:renewal unit:write_lock unit:live_table unit:lib_cancel unit:lib_log unit:lib_watch unit:worker_slots unit:store_hold fuzz:fcgi wire:nginx
check-threads:
	@sh deploy/packages.sh test
	@$(MAKE) --no-print-directory SANITIZE=thread all $(patsubst %,build/thread/%,$(subst :,/,$(subst \
		unit:,unit/test_,$(filter-out wire:%,$(THREADED)))))
	@B=build/thread sh tests/run.sh $(THREADED)

# everything by the other compiler, which has other warnings, and its unit tests
clang:
	@sh deploy/packages.sh clang
	@$(MAKE) --no-print-directory CC=clang WERROR=1 test-programs
	@$(MAKE) --no-print-directory CC=clang check

# Searches for inputs that break a parser or a gateway, FUZZ_SECONDS for each; FUZZ_NAMES=json for
# some. Inputs that it finds are in build/fuzzer/found/.
FUZZ_SECONDS ?= 30
fuzz:
	@sh deploy/packages.sh fuzz
	@$(MAKE) --no-print-directory CC=clang SANITIZE=address,undefined FUZZER=1 fuzzers
	@SECONDS_EACH=$(FUZZ_SECONDS) sh tests/fuzz/search.sh $(FUZZ_NAMES)

fuzzers: $(FUZZ)

# The lines that the unit tests execute, or COVERAGE_SUITES of tests/run.sh.
coverage:
	@sh deploy/packages.sh fuzz
	@$(MAKE) --no-print-directory CC=clang COVERAGE=1 test-programs
	@B=build/coverage sh tests/coverage.sh $(COVERAGE_SUITES)

# The tests of the store with the newest SQLite that an npm package carries.
NEW_SQLITE = tests/node_modules/better-sqlite3/deps/sqlite3
check-sqlite:
	@sh deploy/packages.sh test
	@sh tests/run.sh modules
	@$(MAKE) --no-print-directory WERROR=1 SQLITE=$(NEW_SQLITE) store-tests
	@B=build/sqlite sh tests/run.sh unit

store-tests: all $(filter $B/unit/test_store% $(addprefix $B/unit/test_,wal_vfs database_file commit),$(UNIT))

lint:
	@sh deploy/packages.sh lint
	@sh tests/lint.sh

install: all
	$(Q)$(INSTALLATION) sh deploy/install.sh install

uninstall:
	$(Q)$(INSTALLATION) sh deploy/install.sh uninstall

# the sources as they are now, without ignored and built files
$B/dist/$(DIST):
	$(Q)rm -rf $@ && mkdir -p $@
	$(Q){ git ls-files -co --exclude-standard 2>/dev/null | grep . || find . -type f \
		! -path './build/*' ! -path './data/*' ! -path '*/node_modules/*' ! -path './.git/*'; } | \
		while read -r file; do [ ! -f "$$file" ] || echo "$$file"; done | \
		tar -cf - -T - | tar -xf - -C $@

# the settings in the manual page, from the table in src/config/config.c
man-settings: $B/$(PROGRAM)
	$(Q)sh deploy/man/settings.sh update $<

# a tarball that builds by itself
dist:
	$(Q)rm -rf $B/dist/$(DIST)
	$(Q)$(MAKE) --no-print-directory $B/dist/$(DIST)
	$(Q)tar -czf $B/$(DIST).tar.gz -C $B/dist $(DIST)
	$(Q)echo $B/$(DIST).tar.gz

# An archive for hosts that run CGI scripts, with a program that needs no library of the host. Always
# with STATIC=1, whether it is given or not.
HOSTING = durable-streams-hosting-$(VERSION)
dist-hosting:
	@sh deploy/packages.sh run
	@$(MAKE) --no-print-directory STATIC= build/$(DELIVERER)
	@$(MAKE) --no-print-directory STATIC=1 pack-hosting
pack-hosting: $B/$(PROGRAM)
	$(Q)sh deploy/pack-hosting.sh $B/$(PROGRAM) $(HOSTING) build/$(HOSTING).tar.gz
	$(Q)echo build/$(HOSTING).tar.gz

# a Debian package into build/deb/
deb:
	@sh deploy/packages.sh deb
	@rm -rf $B/dist/$(DIST) $B/deb && mkdir -p $B/deb
	@$(MAKE) --no-print-directory $B/dist/$(DIST)
	@mv $B/dist/$(DIST) $B/deb/
	@cp -R $B/deb/$(DIST)/deploy/debian $B/deb/$(DIST)/debian
	@cd $B/deb/$(DIST) && env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS dpkg-buildpackage -us -uc -b
	@ls $B/deb/*.deb

# Compares this program, an empty one behind the same nginx, and the npm reference server;
# bench-scale shows how the cost grows, bench-subscriptions what subscriptions cost, bench-doors what
# HTTP costs by itself and behind proxies. BENCH= has arguments of bench.mjs, PLOT=file.svg draws.
bench bench-quick bench-scale bench-subscriptions bench-doors:
	@sh deploy/packages.sh bench
	@$(MAKE) --no-print-directory all $(BENCH_PROGRAMS)
	@$(if $(filter bench-scale,$@),$(MAKE) --no-print-directory STATIC=1 $B/static/$(PROGRAM))
	@sh tests/run.sh modules
	@B=$B node tests/bench/bench.mjs $(if $(filter bench-quick,$@),--quick) \
		$(if $(filter bench-scale,$@),--scale 1) \
		$(if $(filter bench-subscriptions,$@),--subscriptions 1) \
		$(if $(filter bench-doors,$@),--doors) $(if $(PLOT),--plot $(PLOT)) $(BENCH)

# Compares the instructions of each request with the agreed figures in tests/bench/instructions.tsv,
# and writes where they are spent to build/callgrind/*.txt. UPDATE='why they changed' writes them to
# that table.
callgrind:
	@sh deploy/packages.sh test
	@$(MAKE) --no-print-directory all
	@sh tests/run.sh modules
	@B=$B node tests/bench/instructions.mjs $(if $(UPDATE),--update "$$UPDATE")

# Subscriptions under load for as long as you want: see tests/bench/soak.mjs
soak:
	@sh deploy/packages.sh test
	@$(MAKE) --no-print-directory all
	@sh tests/run.sh modules
	@B=$B node tests/bench/soak.mjs $(if $(MINUTES),$(MINUTES),60)

# the packages in a clean Debian: built, installed, upgraded, removed, purged
test-package:
	@sh deploy/packages.sh package
	@sh tests/package.sh

# types the commands of the pages into a clean Debian, as a newcomer would (see the script)
test-walk:
	@sh deploy/packages.sh package
	@sh tests/walk.sh $(WALK)

clean:
	rm -rf build

# reads the manual pages of deploy/man one after the other, or one of them: PAGE=dsctl
man:
	@if [ -t 1 ]; then exec man -l deploy/man/$(or $(PAGE),*).[1-9]; fi; \
	for page in deploy/man/$(or $(PAGE),*).[1-9]; do \
		[ -f "$$page" ] || { echo "there is no page $(PAGE) in deploy/man" >&2; exit 1; }; \
		printf '%-40s %s\n' "$$page" "$$(sed -n 's/^\.Nd //p' $$page | head -n 1)"; \
	done

html:
	@sh deploy/packages.sh html
	@sh deploy/html.sh build/html

define HELP
Use it
  make                  build the server, dsctl and the C library into build/
  make run              install missing packages, build, serve on http://127.0.0.1:4437
                        PORT=4500 (0: a free port), HOST=, DATA=folder, every setting DS_...
                        WEB=nginx: behind nginx; otherwise it speaks HTTP itself
  make install          DESTDIR= and prefix= as usual; make uninstall removes it
  make deb              Debian packages into build/deb/
  make dist             a tarball of the sources into build/
  make dist-hosting     an archive for shared hosting: a static CGI program and its installer

Read about it
  make help             this list
  make man              the manual pages; PAGE=dsctl for one of them
  make html             the same as HTML into build/html/

Test it
  make test             install missing packages, build, run every test (a quarter of an hour)
  make check            only the unit tests and the corpora of the fuzzers
  make test-programs    build everything that tests/run.sh needs; then sh tests/run.sh SUITE...
  make test-doors       the conformance suite and the gateway cases behind every web server
  make test-package     the Debian packages in a clean Debian, as root
  make test-walk        the commands of the pages in a clean Debian, as root (ten minutes)
  make prove            power cuts, kills and faults for hours: PROVE_MINUTES=20 for each part,
                        PROVE='power crash' for some parts
  make prove-agents     the subscriptions of Electric's agents: ELECTRIC=folder, a checkout of
                        electric-sql/electric
  make fuzz             search for inputs that break a parser: FUZZ_SECONDS=30 for each,
                        FUZZ_NAMES='json fcgi' for some
  make check-threads    threaded code under ThreadSanitizer
  make check-sqlite     the tests of the store, with the newest SQLite
  make coverage         the lines that the unit tests execute, or those of some suites:
                        COVERAGE_SUITES='unit wire:nginx'

Check the sources
  make lint             clang-format, clang-tidy, cppcheck, shellcheck, mandoc
  make clang            build with clang, and run its unit tests
  make man-settings     copy the settings of src/config/config.c to durable-streams.fcgi(8)

Measure it
  make bench            side by side with the npm reference server (a quarter of an hour);
                        BENCH='--rounds 5 HEAD' passes options, PLOT=file.svg draws a plot
  make bench-quick      the same in three minutes
  make bench-scale      how the cost grows with the data (half an hour)
  make bench-subscriptions
                        what subscriptions cost, and how fast they wake (five minutes)
  make bench-doors      HTTP beside FastCGI and proxies; PEER='name=URL' adds a server that you
                        have started (ten minutes)
  make callgrind        count the instructions of each request; UPDATE='why they changed'
                        writes them to tests/bench/instructions.tsv
  make soak MINUTES=60  1,000 subscriptions under load, for memory that grows and for what is lost

  make clean            delete build/

Options of every build: V=1 shows the commands, WERROR=1 makes warnings errors, CC=clang,
SANITIZE=address,undefined or SANITIZE=thread, STATIC=1 links the libraries into the server (faster
as plain CGI), SQLITE=folder takes the sqlite3.c in that folder.
endef

help:
	$(info $(HELP))
	@:

.PHONY: always man-settings check-sqlite store-tests all run test test-doors test-programs prove prove-agents bench bench-quick bench-scale bench-subscriptions bench-doors callgrind soak check check-threads clang fuzz fuzzers coverage lint install uninstall dist dist-hosting pack-hosting deb test-package test-walk clean help man html
.DELETE_ON_ERROR:
.SECONDARY:

-include $(OBJECTS:.o=.d) $(HOOKED:.o=.d) $(HOOKED_DELIVERY:.o=.d) $(UNIT:=.d) $(FUZZ:=.d) $(wildcard $B/proof/obj/*.d)
