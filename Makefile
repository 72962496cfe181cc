# durable-streams-fcgi
#
#   make            build the program into build/
#   make run        install what is missing, build, serve on http://127.0.0.1:4437
#   make test       install what is missing, build, run every test
#   make help       the other targets
#
# Options: V=1 shows the commands, SANITIZE=address,undefined (or thread) builds into a folder of
# its own with these sanitizers, WERROR=1 makes warnings errors.

VERSION = 0.1.0
PROGRAM = durable-streams.fcgi

prefix     ?= /usr/local
libexecdir ?= $(prefix)/lib/durable-streams
datadir    ?= $(prefix)/share/durable-streams

CC       ?= cc
OPT      ?= -O2 -g
WARN      = -Wall -Wextra -Wshadow -Wconversion -Wmissing-prototypes -Wformat=2 -Wundef \
            -Wstrict-prototypes $(if $(WERROR),-Werror)
HARDEN    = -fstack-protector-strong -fPIE $(if $(SANITIZE),,-D_FORTIFY_SOURCE=2)
DS_CFLAGS = -std=c11 -D_GNU_SOURCE -DDS_VERSION='"$(VERSION)"' $(OPT) $(WARN) $(HARDEN) -pthread \
            $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer) -MMD -MP
DS_LDFLAGS = -pie -Wl,-z,relro,-z,now -pthread $(if $(SANITIZE),-fsanitize=$(SANITIZE))
DS_LDLIBS = -lfcgi -lsqlite3

# a build with other flags lives in another folder, so that objects never mix
comma := ,
B := build$(if $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))
Q := $(if $(V),,@)

SOURCES := $(wildcard src/*.c)
OBJECTS := $(SOURCES:src/%.c=$B/%.o) $B/schema.o
LIBRARY := $(filter-out $B/main.o,$(OBJECTS))
# the same program with the hooks that let a test kill it at a chosen moment
HOOKED  := $(SOURCES:src/%.c=$B/hooked/%.o) $B/schema.o
UNIT    := $(patsubst tests/unit/%.c,$B/unit/%,$(wildcard tests/unit/test_*.c))
# parsers of foreign input over the files of tests/fuzz/corpus
FUZZ    := $(patsubst tests/fuzz/fuzz_%.c,$B/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))

all: $B/$(PROGRAM)

$B/$(PROGRAM): $(OBJECTS)
	$(Q)echo "  LD    $@"
	$(Q)$(CC) $(DS_LDFLAGS) $(LDFLAGS) -o $@ $^ $(DS_LDLIBS)

$B/hooked/$(PROGRAM): $(HOOKED)
	$(Q)echo "  LD    $@"
	$(Q)$(CC) $(DS_LDFLAGS) $(LDFLAGS) -o $@ $^ $(DS_LDLIBS)

$B/%.o: src/%.c
	$(Q)echo "  CC    $<"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(DS_CFLAGS) $(CFLAGS) -c -o $@ $<

$B/hooked/%.o: src/%.c
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(DS_CFLAGS) -DDS_TEST_HOOKS $(CFLAGS) -c -o $@ $<

# sql/*.sql become C strings, in the order of their names
$B/schema.c: sql/embed.sh $(wildcard sql/*.sql)
	$(Q)mkdir -p $(@D)
	$(Q)sh sql/embed.sh sql/*.sql >$@.tmp && mv $@.tmp $@

$B/schema.o: $B/schema.c
	$(Q)$(CC) $(DS_CFLAGS) -Isrc $(CFLAGS) -c -o $@ $<

$B/unit/%: tests/unit/%.c $(LIBRARY)
	$(Q)echo "  CC    $<"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(DS_CFLAGS) -Isrc -Wno-missing-prototypes -Wno-sign-conversion $(CFLAGS) \
		$(DS_LDFLAGS) $(LDFLAGS) -o $@ $< $(LIBRARY) -lcheck -lsubunit -lm -lrt $(DS_LDLIBS)

$B/fuzz/%: tests/fuzz/fuzz_%.c tests/fuzz/replay.c $(LIBRARY)
	$(Q)echo "  CC    $<"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(DS_CFLAGS) -Isrc $(CFLAGS) $(DS_LDFLAGS) $(LDFLAGS) -o $@ $< tests/fuzz/replay.c \
		$(LIBRARY) $(DS_LDLIBS)

# what a test needs built; tests/run calls it
test-programs: $B/$(PROGRAM) $B/hooked/$(PROGRAM) $(UNIT) $(FUZZ)

run:
	@sh deploy/packages.sh run
	@$(MAKE) --no-print-directory all
	@B=$B exec sh deploy/run.sh

test:
	@sh deploy/packages.sh test
	@# sanitizers make gcc see ghosts: warnings are errors without them only
	@$(MAKE) --no-print-directory $(if $(SANITIZE),,WERROR=1) test-programs
	@SANITIZE=$(SANITIZE) sh tests/run.sh

# unit tests alone
check: $(UNIT) $(FUZZ)
	$(Q)SANITIZE=$(SANITIZE) sh tests/run.sh unit

lint:
	@sh deploy/packages.sh lint
	@sh tests/lint.sh

install: all
	install -D -m 755 $B/$(PROGRAM) $(DESTDIR)$(libexecdir)/$(PROGRAM)
	install -D -m 644 deploy/nginx.conf $(DESTDIR)$(datadir)/nginx.conf
	install -D -m 644 README.md $(DESTDIR)$(datadir)/README.md

uninstall:
	rm -f $(DESTDIR)$(libexecdir)/$(PROGRAM) $(DESTDIR)$(datadir)/nginx.conf \
		$(DESTDIR)$(datadir)/README.md

clean:
	rm -rf build

help:
	@sed -n '2,/^$$/s/^# \{0,1\}//p' Makefile
	@echo '  make check      unit tests alone'
	@echo '  make lint       clang-format, cppcheck and clang-tidy, all clean'
	@echo '  make install    DESTDIR= and prefix= as usual; uninstall takes it away'
	@echo '  make clean      delete build/'

.PHONY: all run test test-programs check lint install uninstall clean help
.DELETE_ON_ERROR:
.SECONDARY:

-include $(OBJECTS:.o=.d) $(HOOKED:.o=.d) $(UNIT:=.d) $(FUZZ:=.d)
