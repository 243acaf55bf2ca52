# ha: a highly available SQLite cluster. GNU make.
#
#   make              the program, the libraries and the SQLite extension, into $(BUILD)
#   make run          installs what is missing, builds, starts a node in ./data
#   make test         installs what is missing, builds, runs every test; ends with one closing line
#   make lint         format, clang-tidy and the project's own rules
#   make check-asan   the whole suite under ASan and UBSan; check-tsan: under TSan
#   make chaos        clients, faults, and whether what was promised was kept: CHAOS_SECONDS of it
#   make fuzz         libFuzzer over test/fuzz/*_fuzz.c, FUZZ_SECONDS each
#   make bench        measures the node against bare loops of the same work
#   make bench-peers  installs other systems, measures them and ha with the same work, writes docs/performance.md
#   make install      DESTDIR= PREFIX=/usr/local
#   make docs         docs/configuration.md from the flag table
#   make format, make clean
#
# Variables: BUILD (default build), SQLITE=system (the system's SQLite, 3.50.4 or newer), CC, CFLAGS, LDFLAGS,
# SANITIZE (an -fsanitize= list; the check targets set it), TESTS (words: only test programs whose name has one).
# V=1 shows whole commands. docs/development.md says more.

BUILD        ?= build
PREFIX       ?= /usr/local
FUZZ_SECONDS ?= 60
VERSION      := 0.1.0

# ---- sources -------------------------------------------------------------------------------------------------

SRC       := $(sort $(filter-out src/ext/%,$(shell find src -name '*.c')))
# The loadable extension: src/ext, and of the rest what following a log takes, compiled for a SQLite that others bring.
EXT_SRC   := $(sort $(wildcard src/ext/*.c))
EXT_LOCAL := src/nats/monotonic_wait.c src/nats/server.c \
             $(addprefix src/sql/,library.c capture.c writer.c writer_schema.c outbox.c front.c) \
             $(addprefix src/repl/,group.c tx.c commit.c outbox.c debt.c carry.c import.c handover.c search.c)
EXT_REST  := $(filter-out $(EXT_LOCAL),$(wildcard src/base/*.c src/os/*.c src/proto/changeset*.c src/proto/object_meta.c \
                 src/sql/*.c src/nats/*.c src/repl/*.c) src/core/claim.c)
# Of src/ext, what calls no SQLite, for unit tests.
EXT_PURE  := src/ext/params.c
# What is part of the program only: it would change the process that a library is in.
MAIN_SRC  := src/server/main.c src/nats/monotonic_wait.c
LIB_SRC   := $(filter-out $(MAIN_SRC) src/cli/%,$(SRC))
UNIT_SRC  := $(sort $(wildcard test/unit/*_test.c))
FUZZ_SRC  := $(sort $(wildcard test/fuzz/*_fuzz.c))
BENCH_SRC := $(sort $(wildcard test/bench/*.c))

# What protoc makes of proto/: messages in C, and a description of them all.
GEN       := $(BUILD)/gen
PROTO     := $(sort $(shell find proto -name '*.proto'))
WELLKNOWN := $(addprefix google/protobuf/,any.proto timestamp.proto wrappers.proto)
GEN_NAME  := $(patsubst %.proto,%.pb-c,$(PROTO:proto/%=%) $(WELLKNOWN))

OBJ       := $(SRC:%.c=$(BUILD)/obj/%.o) $(GEN_NAME:%=$(BUILD)/obj/gen/%.o)
LIB_OBJ   := $(LIB_SRC:%.c=$(BUILD)/obj/%.o) $(GEN_NAME:%=$(BUILD)/obj/gen/%.o)
TEST_OBJ  := $(SRC:%.c=$(BUILD)/test/obj/%.o) $(GEN_NAME:%=$(BUILD)/test/obj/gen/%.o)
EXT_OBJ   := $(EXT_SRC:%.c=$(BUILD)/ext/obj/%.o)
EXT_ARCHIVE_OBJ := $(EXT_REST:%.c=$(BUILD)/ext/obj/%.o)
UNIT_BIN  := $(UNIT_SRC:test/unit/%.c=$(BUILD)/test/unit/%)
REPLAY_BIN := $(FUZZ_SRC:test/fuzz/%.c=$(BUILD)/test/fuzz/%)
FUZZ_BIN  := $(FUZZ_SRC:test/fuzz/%.c=$(BUILD)/fuzz/%)
BENCH_BIN := $(BENCH_SRC:test/bench/%.c=$(BUILD)/bench/%)

# One short line a step, unless V=1.
Q    := $(if $(V),,@)
say   = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2))

# ---- flags ---------------------------------------------------------------------------------------------------

WARN := -Wall -Wextra -Werror -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
        -Wformat=2 -Wvla -Wimplicit-fallthrough

CPPFLAGS_ALL  := -Iinclude -Isrc -isystem $(GEN) -D_GNU_SOURCE -DHA_VERSION='"$(VERSION)"' -DHA_GEN='"$(GEN)"' $(CPPFLAGS)
# The same position-independent, hidden-by-default objects serve the program and both libraries.
BASE_CFLAGS    = -std=gnu11 -fPIC -fvisibility=hidden -pthread $(WARN)
HARDEN_C      := -D_FORTIFY_SOURCE=2 -fstack-protector-strong
HARDEN_LD     := -Wl,-z,relro,-z,now
RELEASE_FLAGS := -O2 -g $(HARDEN_C)
TEST_FLAGS    := -O1 -g -fno-omit-frame-pointer -DHA_FAULTS

ifneq ($(SANITIZE),)
SAN := -fsanitize=$(SANITIZE)
ifneq ($(findstring undefined,$(SANITIZE)),)
SAN += -fno-sanitize-recover=undefined
endif
RELEASE_FLAGS := -O1 -g -fno-omit-frame-pointer
HARDEN_LD     :=
# Instrumented code confuses the warnings that depend on the optimiser; the ordinary build has them.
WARN          += -Wno-maybe-uninitialized -Wno-format-truncation -Wno-format-overflow -Wno-stringop-overflow
endif

PKGS      := libnats yajl libzstd openssl libpcre2-8 libnghttp2 libprotobuf-c zlib lua5.4
# Headers that lie in a folder of their own are a system's: clang-tidy is not to judge them.
PKG_CFLAGS := $(patsubst -I%,-isystem%,$(shell pkg-config --cflags $(PKGS) 2>/dev/null || echo -I/usr/include/lua5.4))
PKG_LIBS  := $(shell pkg-config --libs $(PKGS) 2>/dev/null || \
                     echo -lnats -lyajl -lzstd -lssl -lcrypto -lpcre2-8 -lnghttp2 -lprotobuf-c -lz -llua5.4)
LIBS      := $(PKG_LIBS) -lpthread -lm -ldl
# libcurl, for the commands (src/cli), is loaded when one needs it: cli/curl.h; libpq and libmariadb, for a source, too: proxy/pq.h.
# The load client of test/bench speaks to PostgreSQL and MariaDB.
PQ_CFLAGS := $(patsubst -I%,-isystem%,$(shell pkg-config --cflags libpq 2>/dev/null || echo -I/usr/include/postgresql))
PKG_CFLAGS += $(PQ_CFLAGS)
PQ_LIBS   := $(shell pkg-config --libs libpq 2>/dev/null || echo -lpq)
# As a system's: clang-tidy is not to judge its headers.
MY_CFLAGS := $(patsubst -I%,-isystem%,$(shell pkg-config --cflags libmariadb 2>/dev/null || echo -I/usr/include/mariadb))
PKG_CFLAGS += $(MY_CFLAGS)
MY_LIBS   := $(shell pkg-config --libs libmariadb 2>/dev/null || echo -lmariadb)
CMOCKA    := $(shell pkg-config --libs cmocka 2>/dev/null || echo -lcmocka)

# ---- SQLite --------------------------------------------------------------------------------------------------
# One copy for all build directories, because it is large and never changes; instrumented ones beside it.

SQLITE_DIR  := build/sqlite
SQLITE_OPTS := -DSQLITE_ENABLE_PREUPDATE_HOOK -DSQLITE_ENABLE_FTS5 -DSQLITE_ENABLE_FTS4 \
               -DSQLITE_ENABLE_RTREE -DSQLITE_ENABLE_GEOPOLY -DSQLITE_ENABLE_MATH_FUNCTIONS \
               -DSQLITE_ENABLE_COLUMN_METADATA -DSQLITE_ENABLE_STAT4 -DSQLITE_ENABLE_DBSTAT_VTAB \
               -DSQLITE_ENABLE_STMTVTAB -DSQLITE_THREADSAFE=2 -DSQLITE_DEFAULT_MEMSTATUS=0 \
               -DSQLITE_DQS=0 -DSQLITE_DEFAULT_FOREIGN_KEYS=0 -DSQLITE_MAX_EXPR_DEPTH=1000 \
               -DSQLITE_USE_URI=0

ifeq ($(SQLITE),system)
SQLITE_READY := $(BUILD)/sqlite-is-recent
SQLITE_LINK  := -lsqlite3
SQLITE_INC   := -DSQLITE_ENABLE_PREUPDATE_HOOK -DSQLITE_ENABLE_COLUMN_METADATA
SQLITE_OBJ   :=
else
SQLITE_READY := $(SQLITE_DIR)/sqlite3.c
SQLITE_INC   := -isystem $(SQLITE_DIR) -DSQLITE_ENABLE_PREUPDATE_HOOK -DSQLITE_ENABLE_COLUMN_METADATA
ifneq ($(findstring thread,$(SANITIZE)),)
SQLITE_OBJ   := $(SQLITE_DIR)/sqlite3-tsan.o
else ifneq ($(findstring address,$(SANITIZE)),)
SQLITE_OBJ   := $(SQLITE_DIR)/sqlite3-asan.o
else
SQLITE_OBJ   := $(SQLITE_DIR)/sqlite3.o
endif
SQLITE_LINK  := $(SQLITE_OBJ:.o=.a)
endif

CC_RELEASE = $(CC) $(CPPFLAGS_ALL) $(SQLITE_INC) $(PKG_CFLAGS) $(BASE_CFLAGS) $(RELEASE_FLAGS) $(SAN) $(CFLAGS)
CC_TEST    = $(CC) $(CPPFLAGS_ALL) $(SQLITE_INC) $(PKG_CFLAGS) $(BASE_CFLAGS) $(TEST_FLAGS) $(SAN) $(CFLAGS)

# ---- the program and the libraries ---------------------------------------------------------------------------

.PHONY: all
all: $(BUILD)/ha $(BUILD)/libha.a $(BUILD)/libha.so $(BUILD)/ha-sync.so $(BUILD)/examples/embed

.DELETE_ON_ERROR:
.SECONDARY:

$(BUILD)/obj/%.o: %.c | $(SQLITE_READY) $(GEN)/made
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC_RELEASE) -MMD -MP -c $< -o $@

$(GEN_NAME:%=$(BUILD)/obj/gen/%.o): $(BUILD)/obj/gen/%.o: $(GEN)/made
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC_RELEASE) -w -c $(GEN)/$*.c -o $@

$(BUILD)/ha: $(OBJ) $(SQLITE_LINK)
	$(call say,LINK,$@)
	$(Q)$(CC) -pie -pthread $(HARDEN_LD) $(SAN) $(LDFLAGS) $(OBJ) $(SQLITE_LINK) $(LIBS) -o $@

# One object with everything but ha_* made local, so that an application may link a SQLite of its own.
$(BUILD)/libha.a: $(LIB_OBJ) $(SQLITE_OBJ)
	$(call say,AR,$@)
	$(Q)$(LD) -r $(LIB_OBJ) $(SQLITE_OBJ) -o $(BUILD)/libha.o
	$(Q)objcopy --localize-hidden $(BUILD)/libha.o
	$(Q)rm -f $@
	$(Q)ar rcs $@ $(BUILD)/libha.o
	$(Q)rm -f $(BUILD)/libha.o

$(BUILD)/libha.so: $(LIB_OBJ) $(SQLITE_LINK)
	$(call say,LINK,$@)
	$(Q)$(CC) -shared -pthread -Wl,-soname,libha.so.0 $(HARDEN_LD) $(SAN) $(LDFLAGS) $(LIB_OBJ) \
	    $(SQLITE_LINK) $(LIBS) -o $@

# ---- the loadable extension ----------------------------------------------------------------------------------
# Its SQLite is that of whoever loads it (src/ext/sqlite_api.h), so none is linked; of the archive the linker takes what
# src/ext needs, and -z defs tells when that would be more than there is.

$(BUILD)/ext/obj/%.o: %.c | $(SQLITE_READY)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC_RELEASE) -include src/ext/sqlite_api.h -MMD -MP -c $< -o $@

$(BUILD)/ext/libha-ext.a: $(EXT_ARCHIVE_OBJ) Makefile
	$(Q)rm -f $@
	$(Q)ar rcsP $@ $(EXT_ARCHIVE_OBJ)

$(BUILD)/ha-sync.so: $(EXT_OBJ) $(BUILD)/ext/libha-ext.a
	$(call say,LINK,$@)
	$(Q)$(CC) -shared -pthread -Wl,-z,defs,-z,nodelete,-Bsymbolic -Wl,--as-needed $(HARDEN_LD) $(SAN) $(LDFLAGS) \
	    $(EXT_OBJ) $(BUILD)/ext/libha-ext.a $(LIBS) -o $@

$(BUILD)/examples/%: examples/%/main.c include/ha/ha.h $(BUILD)/libha.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -Iinclude -std=gnu11 -pthread $(WARN) $(RELEASE_FLAGS) $(SAN) $(CFLAGS) $(LDFLAGS) $< $(BUILD)/libha.a \
	    $(if $(SQLITE_OBJ),,$(SQLITE_LINK)) $(LIBS) -o $@

# ---- protocol buffers ----------------------------------------------------------------------------------------
# A text may hold a NUL, which a C string cannot: on the wire strings and bytes are the same, so in C all are bytes.

PROTO_INC ?= $(shell pkg-config --variable=prefix protobuf 2>/dev/null || echo /usr)/include

$(GEN)/made: $(PROTO)
	$(call say,PROTOC,$(GEN))
	$(Q)rm -rf $(GEN)
	@mkdir -p $(GEN)/proto/google/protobuf
	$(Q)cp -r proto/. $(GEN)/proto
	$(Q)cp $(WELLKNOWN:%=$(PROTO_INC)/%) $(GEN)/proto/google/protobuf
	$(Q)find $(GEN)/proto -name '*.proto' -exec sed -i 's/^\( *\)\(repeated \)\{0,1\}string /\1\2bytes /' {} +
	$(Q)protoc -I $(GEN)/proto --c_out=$(GEN) $(PROTO:proto/%=%) $(WELLKNOWN)
	$(Q)protoc -I proto -I $(PROTO_INC) --include_imports --descriptor_set_out=$(GEN)/descriptors.bin $(PROTO:proto/%=%)
	$(Q)touch $@

# Its bytes are part of the program (.incbin).
$(BUILD)/obj/src/wire/grpc/reflection.o $(BUILD)/test/obj/src/wire/grpc/reflection.o \
$(BUILD)/fuzz/obj/src/wire/grpc/reflection.o: $(GEN)/made

# Its bytes are part of the program (.incbin).
$(BUILD)/obj/src/wire/http/openapi.o $(BUILD)/test/obj/src/wire/http/openapi.o \
$(BUILD)/fuzz/obj/src/wire/http/openapi.o: src/wire/http/openapi.yaml

# ---- SQLite's own objects ------------------------------------------------------------------------------------

$(SQLITE_DIR)/sqlite3.c:
	$(call say,FETCH,$@)
	$(Q)scripts/fetch-sqlite $(SQLITE_DIR)

SQLITE_CC = -std=gnu11 -fPIC -fvisibility=hidden -pthread -w $(SQLITE_OPTS) -c $< -o $@.$$$$ && mv $@.$$$$ $@

$(SQLITE_DIR)/sqlite3.o: $(SQLITE_DIR)/sqlite3.c
	$(call say,CC,$@)
	$(Q)$(CC) -O2 -g1 $(SQLITE_CC)

$(SQLITE_DIR)/sqlite3-asan.o: $(SQLITE_DIR)/sqlite3.c
	$(call say,CC,$@)
	$(Q)$(CC) -O1 -g1 -fno-omit-frame-pointer -fsanitize=address $(SQLITE_CC)

$(SQLITE_DIR)/sqlite3-tsan.o: $(SQLITE_DIR)/sqlite3.c
	$(call say,CC,$@)
	$(Q)$(CC) -O1 -g1 -fno-omit-frame-pointer -fsanitize=thread $(SQLITE_CC)

$(SQLITE_DIR)/sqlite3-fuzz.o: $(SQLITE_DIR)/sqlite3.c
	$(call say,CC,$@)
	$(Q)clang -O1 -g1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address $(SQLITE_CC)

# As archives, so that a program that uses no SQLite links none.
$(SQLITE_DIR)/%.a: $(SQLITE_DIR)/%.o
	$(Q)ar rcs $@.$$$$ $< && mv $@.$$$$ $@

$(BUILD)/sqlite-is-recent:
	@mkdir -p $(@D)
	pkg-config --atleast-version=3.50.4 sqlite3
	touch $@

# ---- test programs -------------------------------------------------------------------------------------------
# $(BUILD)/test/ha is the program with its fault points compiled in. Unit tests link against an archive of the
# same objects and so take only what they use. The archive holds every object that compiles: while one module
# is broken, the tests of the others still build (`make -k`); $(BUILD)/test/ha, which needs all, does not.
# Only the inner make compiles these objects, so that no two compilers ever write the same one.

.PHONY: programs test-objects unit FORCE
programs: all $(BUILD)/test/ha $(UNIT_BIN) $(REPLAY_BIN) $(BUILD)/bench/load $(BUILD)/bench/lag \
    $(BUILD)/bench/publish $(BUILD)/bench/group node-clients python-clients java-clients go-clients
unit: $(UNIT_BIN)

TEST_ARCHIVE     := $(BUILD)/test/libha-test.a
TEST_ARCHIVE_OBJ := $(filter-out $(MAIN_SRC:%.c=$(BUILD)/test/obj/%.o),$(TEST_OBJ)) $(EXT_PURE:%.c=$(BUILD)/test/obj/%.o)

test-objects: $(TEST_OBJ) $(TEST_ARCHIVE_OBJ)
	@:

$(BUILD)/test/obj/%.o: %.c | $(SQLITE_READY) $(GEN)/made
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC_TEST) -MMD -MP -c $< -o $@

$(GEN_NAME:%=$(BUILD)/test/obj/gen/%.o): $(BUILD)/test/obj/gen/%.o: $(GEN)/made
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC_TEST) -w -c $(GEN)/$*.c -o $@

# $(call archive,objects,target that builds them): every object that compiles, written anew only if one changed.
define archive
	@mkdir -p $(@D)
	@+$(MAKE) -k --no-print-directory $(2) || echo "$@: goes on without what does not compile"
	@set -- $$(for o in $(1); do if [ -f $$o ]; then echo $$o; fi; done); \
	if [ ! -f $@ ] || [ -n "$$(find "$$@" -newer $@ 2>/dev/null)" ] || [ "$$(ar t $@ | wc -l)" != $$# ]; then \
	    rm -f $@; ar rcsP $@ "$$@"; fi
endef

$(TEST_ARCHIVE): FORCE | $(SQLITE_READY) $(GEN)/made
	$(call archive,$(TEST_ARCHIVE_OBJ),test-objects)

# The archive does not hold what is part of the program only: whether that has changed is looked at each time.
$(BUILD)/test/ha: FORCE $(TEST_ARCHIVE) $(SQLITE_LINK)
	@$(MAKE) --no-print-directory -s test-objects
	@if [ ! -f $@ ] || [ -n "$$(find $(TEST_OBJ) $(SQLITE_LINK) Makefile -newer $@ 2>/dev/null)" ]; then \
	    printf '  %-7s %s\n' LINK $@; $(CC) -pie -pthread $(SAN) $(LDFLAGS) $(TEST_OBJ) $(SQLITE_LINK) $(LIBS) -o $@; fi

$(BUILD)/test/unit/%: test/unit/%.c $(TEST_ARCHIVE) $(SQLITE_LINK)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC_TEST) -MMD -MP -MF $@.d -MT $@ $< $(LDFLAGS) $(TEST_ARCHIVE) $(SQLITE_LINK) $(CMOCKA) $(LIBS) -o $@

# A fuzz target replays its corpus in the ordinary run: the same file with a small main instead of libFuzzer.
$(BUILD)/test/fuzz/%: test/fuzz/%.c test/fuzz/replay_main.c $(TEST_ARCHIVE) $(SQLITE_LINK)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC_TEST) -MMD -MP -MF $@.d -MT $@ $< test/fuzz/replay_main.c $(LDFLAGS) $(TEST_ARCHIVE) \
	    $(SQLITE_LINK) $(LIBS) -o $@

# The clients of Node that the wire tests run; the lock file says which bytes.
.PHONY: node-clients
node-clients: $(BUILD)/npm/installed
$(BUILD)/npm/installed: test/wire/npm/package.json test/wire/npm/package-lock.json
	@mkdir -p $(@D)
	$(call say,NPM,$(@D))
	$(Q)cp $^ $(@D)
	$(Q)cd $(@D) && npm ci --ignore-scripts --no-audit --no-fund --silent
	$(Q)touch $@

# Those of Python that Debian does not have.
.PHONY: python-clients
python-clients: $(BUILD)/pip/installed
$(BUILD)/pip/installed: test/wire/pip/requirements.txt
	$(call say,PIP,$(@D))
	$(Q)rm -rf $(@D)
	$(Q)/usr/bin/python3 -m pip install --quiet --no-warn-script-location --root-user-action=ignore \
	    --disable-pip-version-check --only-binary :all: --target $(@D) -r $<
	$(Q)touch $@

# Those of Java that Debian does not have.
.PHONY: java-clients
java-clients: $(BUILD)/java/installed
$(BUILD)/java/installed: test/wire/java/pom.xml
	$(call say,MVN,$(@D))
	$(Q)rm -rf $(@D)
	$(Q)mvn --quiet --batch-mode -f $< dependency:copy-dependencies -DoutputDirectory=$(abspath $(@D))
	$(Q)touch $@

# Those of Go, where its compiler is installed.
.PHONY: go-clients
go-clients: $(if $(shell command -v go),$(addprefix $(BUILD)/go/,pgclients mysqlclients grpcclient))
$(BUILD)/go/pgclients: $(wildcard test/wire/clients/go/*)
$(BUILD)/go/mysqlclients: $(wildcard test/wire/clients/gomysql/*)
$(BUILD)/go/grpcclient: $(wildcard test/wire/clients/gogrpc/*)
$(BUILD)/go/%:
	@mkdir -p $(@D)
	$(call say,GO,$@)
	$(Q)cd $(<D) && go build -o $(abspath $@) .

# ---- fuzzing -------------------------------------------------------------------------------------------------
# clang only: the sources once more with libFuzzer's coverage, ASan and UBSan. gcc is the one that judges warnings.

FUZZ_OBJ     := $(filter-out $(MAIN_SRC:%.c=$(BUILD)/fuzz/obj/%.o),$(SRC:%.c=$(BUILD)/fuzz/obj/%.o)) \
                $(GEN_NAME:%=$(BUILD)/fuzz/obj/gen/%.o)
FUZZ_ARCHIVE := $(BUILD)/fuzz/libha-fuzz.a
FUZZ_SAN     := address,undefined
CC_FUZZ       = clang $(CPPFLAGS_ALL) $(SQLITE_INC) $(PKG_CFLAGS) $(BASE_CFLAGS) -O1 -g -DHA_FAULTS \
                -fno-omit-frame-pointer -fno-sanitize-recover=undefined -Wno-error

$(BUILD)/fuzz/obj/%.o: %.c | $(SQLITE_READY) $(GEN)/made
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC_FUZZ) -fsanitize=fuzzer-no-link,$(FUZZ_SAN) -MMD -MP -c $< -o $@

$(GEN_NAME:%=$(BUILD)/fuzz/obj/gen/%.o): $(BUILD)/fuzz/obj/gen/%.o: $(GEN)/made
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC_FUZZ) -w -fsanitize=fuzzer-no-link,$(FUZZ_SAN) -c $(GEN)/$*.c -o $@

.PHONY: fuzz-objects
fuzz-objects: $(FUZZ_OBJ)
	@:

$(FUZZ_ARCHIVE): FORCE | $(SQLITE_READY) $(GEN)/made
	$(call archive,$(FUZZ_OBJ),fuzz-objects)

FUZZ_SQLITE := $(if $(filter system,$(SQLITE)),-lsqlite3,$(SQLITE_DIR)/sqlite3-fuzz.a)

$(BUILD)/fuzz/%: test/fuzz/%.c $(FUZZ_ARCHIVE) $(FUZZ_SQLITE)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC_FUZZ) -fsanitize=fuzzer,$(FUZZ_SAN) -MMD -MP -MF $@.d -MT $@ $< $(LDFLAGS) $(FUZZ_ARCHIVE) \
	    $(FUZZ_SQLITE) $(LIBS) -o $@

.PHONY: fuzz-programs fuzz
fuzz-programs: $(FUZZ_BIN)
fuzz:
	scripts/install-deps --lint
	$(MAKE) fuzz-programs
	scripts/fuzz $(BUILD) $(FUZZ_SECONDS)

# What the compiler's dependency files cannot know: the assembler includes it.
$(BUILD)/obj/src/wire/http/openapi.o $(BUILD)/test/obj/src/wire/http/openapi.o \
    $(BUILD)/fuzz/obj/src/wire/http/openapi.o: $(wildcard src/wire/http/openapi.yaml)
$(BUILD)/obj/src/sql/pg/catalog.o $(BUILD)/test/obj/src/sql/pg/catalog.o \
    $(BUILD)/fuzz/obj/src/sql/pg/catalog.o: src/sql/pg/catalog.sql

-include $(OBJ:.o=.d) $(TEST_OBJ:.o=.d) $(EXT_OBJ:.o=.d) $(EXT_ARCHIVE_OBJ:.o=.d) $(UNIT_BIN:=.d) $(REPLAY_BIN:=.d) $(FUZZ_OBJ:.o=.d) $(FUZZ_BIN:=.d) $(BENCH_BIN:=.d)

# ---- bench ---------------------------------------------------------------------------------------------------

$(BUILD)/bench/%: test/bench/%.c $(BUILD)/libha-bench.a $(SQLITE_LINK)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC_RELEASE) -MMD -MP -MF $@.d -MT $@ $< $(LDFLAGS) $(BUILD)/libha-bench.a $(SQLITE_LINK) $(LIBS) -o $@

# What it is measured against over HTTP.
$(BUILD)/bench/hello: LIBS += -lmicrohttpd

# The clients of servers: one piece for every protocol.
CLIENT_SRC := $(sort $(wildcard test/bench/client/*.c))
CLIENT_OBJ := $(CLIENT_SRC:%.c=$(BUILD)/obj/%.o)
CLIENT_BIN := $(BUILD)/bench/load $(BUILD)/bench/lag

$(CLIENT_BIN): $(BUILD)/bench/%: test/bench/%.c $(CLIENT_OBJ) $(SQLITE_LINK)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC_RELEASE) -MMD -MP -MF $@.d -MT $@ $< $(LDFLAGS) $(CLIENT_OBJ) $(SQLITE_LINK) $(PQ_LIBS) $(MY_LIBS) $(LIBS) -o $@

$(BUILD)/obj/test/bench/client/pg.o: CPPFLAGS_ALL += $(PQ_CFLAGS)
$(BUILD)/obj/test/bench/client/mysql.o: CPPFLAGS_ALL += $(MY_CFLAGS)
-include $(CLIENT_OBJ:.o=.d)

# Bare loops may use the node's own modules, which libha.a keeps to itself.
$(BUILD)/libha-bench.a: $(LIB_OBJ)
	$(Q)rm -f $@
	$(Q)ar rcsP $@ $(LIB_OBJ)

.PHONY: bench bench-peers bench-programs
bench-programs: all $(BENCH_BIN)
bench:
	scripts/install-deps --test
	$(MAKE) bench-programs
	BUILD=$(BUILD) test/bench/run
	BUILD=$(BUILD) test/bench/pgbench

# PRESET (short or full), PEERS, WORKLOADS (names with commas between), PEERS_SIZE, ROUNDS, SECONDS: test/peers/bench.py --help. SECONDS is
# one of the shell's own variables, so only the command line of make sets it.
PRESET ?= full
PEERS_ARGS = --preset $(PRESET) $(if $(PEERS),--peers $(PEERS)) $(if $(WORKLOADS),--workloads $(WORKLOADS)) \
             $(if $(PEERS_SIZE),--size $(PEERS_SIZE)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(filter command line,$(origin SECONDS)),--seconds $(SECONDS))
bench-peers:
	scripts/install-deps --test
	$(MAKE) bench-programs
	test/peers/install
	BUILD=$(BUILD) test/peers/bench.py $(PEERS_ARGS)
	test/peers/report.py

# ---- targets for people --------------------------------------------------------------------------------------
# Targets that install packages call make again for the building, because what pkg-config says changes under them.

JOBS := $(shell nproc 2>/dev/null || echo 2)

.PHONY: run deps test chaos check-asan check-tsan lint format docs install clean
deps:
	scripts/install-deps --test

run:
	scripts/install-deps
	$(MAKE) -j$(JOBS) all
	scripts/run $(BUILD)/ha

test:
	@scripts/install-deps --test
	@$(MAKE) -j$(JOBS) -k --no-print-directory programs; \
	    BUILD=$(BUILD) BUILD_STATUS=$$? SANITIZE=$(SANITIZE) test/run $(TESTS)

# CHAOS_SECONDS, CHAOS_SEED, CHAOS_NEMESIS, CHAOS_WORKLOAD, CHAOS_MODE, CHAOS_LEADER, HA_NATS_SERVER: docs/reliability.md.
chaos:
	@scripts/install-deps --test
	@$(MAKE) -j$(JOBS) --no-print-directory $(BUILD)/test/ha
	@BUILD=$(BUILD) test/chaos/chaos.py

# The same suite, the program and all its tests instrumented. A finding ends the process that has it, which
# fails the test that started it.
check-asan:
	$(MAKE) test BUILD=build-asan SANITIZE=address,undefined

check-tsan:
	$(MAKE) test BUILD=build-tsan SANITIZE=thread

lint: export LINT_FLAGS = $(CPPFLAGS_ALL) $(SQLITE_INC) $(PKG_CFLAGS) $(PQ_CFLAGS) $(MY_CFLAGS)
lint:
	@scripts/install-deps --lint
	@$(MAKE) -j$(JOBS) --no-print-directory -s $(SQLITE_READY) $(BUILD)/libha.so $(BUILD)/ha-sync.so
	@BUILD=$(BUILD) scripts/lint

format:
	find src include test -name '*.[ch]' | xargs -r clang-format -i

# The configuration reference comes from the flag table; a test says so when it was forgotten.
docs: $(BUILD)/ha
	$(BUILD)/ha --help-markdown >docs/configuration.md.new
	mv docs/configuration.md.new docs/configuration.md

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include/ha \
	    $(DESTDIR)$(PREFIX)/share/doc/ha
	install -m 755 $(BUILD)/ha $(DESTDIR)$(PREFIX)/bin/ha
	install -m 644 $(BUILD)/libha.a $(DESTDIR)$(PREFIX)/lib/libha.a
	install -m 755 $(BUILD)/libha.so $(DESTDIR)$(PREFIX)/lib/libha.so.0
	ln -sf libha.so.0 $(DESTDIR)$(PREFIX)/lib/libha.so
	install -m 755 $(BUILD)/ha-sync.so $(DESTDIR)$(PREFIX)/lib/ha-sync.so
	set -- include/ha/*.h; [ ! -f "$$1" ] || install -m 644 "$$@" $(DESTDIR)$(PREFIX)/include/ha
	install -m 644 LICENSE $(wildcard README.md) $(wildcard docs/*.md) $(DESTDIR)$(PREFIX)/share/doc/ha
	set -e; for f in $(PROTO:proto/%=%); do install -D -m 644 proto/$$f $(DESTDIR)$(PREFIX)/share/ha/proto/$$f; done
	printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$${prefix}/lib' 'includedir=$${prefix}/include' '' 'Name: ha' \
	    'Description: highly available SQLite cluster' 'Version: $(VERSION)' 'Libs: -L$${libdir} -lha' \
	    'Libs.private: $(LIBS)' 'Cflags: -I$${includedir}' >$(DESTDIR)$(PREFIX)/lib/pkgconfig/ha.pc

clean:
	rm -rf $(BUILD) build-asan build-tsan
