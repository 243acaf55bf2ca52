/* Opening, settings, DSN parameters, guard, errors. */
#include "sql/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "sql/error.h"
#include "sql_temp.h"

static struct temp t;

static int setup(void **state)
{
    (void)state;
    temp_init(&t);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    temp_fini(&t);
    return 0;
}

/* Enough work for minutes, unless somebody stops it. */
static const char endless[] =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

/* ---- opening ---- */

static void test_roles(void **state)
{
    struct conn *w, *r, *a;
    struct err e1 = ERR_INIT;
    char out[256];

    (void)state;
    t.cfg.foreign_keys = true;
    t.cfg.recursive_triggers = true;
    t.cfg.case_sensitive_like = true;
    t.cfg.cache_kib = 1234;
    w = temp_open(&t, CONN_WRITER);
    OK(conn_exec(w,
                 "CREATE TABLE u(a, b REFERENCES p(id)); CREATE TABLE p(id INTEGER PRIMARY KEY);"
                 "CREATE TABLE log(a);"
                 "CREATE TRIGGER tr AFTER INSERT ON u BEGIN INSERT INTO log VALUES(new.a); END",
                 e));
    r = temp_open(&t, CONN_READER);
    a = temp_open(&t, CONN_APPLIER);
    assert_int_equal(conn_role(w), CONN_WRITER);
    assert_int_equal(conn_role(r), CONN_READER);
    assert_int_equal(conn_role(a), CONN_APPLIER);

    assert_string_equal(temp_text(w, "PRAGMA foreign_keys", out), "1");
    assert_string_equal(temp_text(w, "PRAGMA recursive_triggers", out), "1");
    assert_string_equal(temp_text(w, "PRAGMA cache_size", out), "-1234");
    assert_string_equal(temp_text(w, "SELECT 'a' LIKE 'A'", out), "0");
    assert_string_equal(temp_text(r, "SELECT 'a' LIKE 'A'", out), "0");
    assert_string_equal(temp_text(r, "PRAGMA journal_mode", out), "wal");
    assert_string_equal(temp_text(a, "PRAGMA foreign_keys", out), "0");

    assert_int_equal(temp_run(w, "INSERT INTO u VALUES(1, 9)", &e1), ERR_FOREIGN_KEY);
    OK(temp_run(w, "INSERT INTO u VALUES(1, NULL)", e));
    assert_int_equal(temp_run(r, "INSERT INTO u VALUES(2, NULL)", &e1), ERR_READ_ONLY);
    OK(temp_run(a, "INSERT INTO u VALUES(3, 9)", e));
    assert_string_equal(temp_text(r, "SELECT group_concat(a) FROM log", out), "1");
    assert_string_equal(temp_text(r, "SELECT group_concat(a) FROM u", out), "1,3");
    conn_close(a);
    conn_close(r);
    conn_close(w);
    conn_close(NULL);
}

static void test_full_sync(void **state)
{
    struct conn *c = temp_open(&t, CONN_WRITER);
    char out[256];

    (void)state;
    assert_string_equal(temp_text(c, "PRAGMA synchronous", out), "1");
    conn_close(c);
    t.cfg.full_sync = true;
    c = temp_open(&t, CONN_WRITER);
    assert_string_equal(temp_text(c, "PRAGMA synchronous", out), "2");
    conn_close(c);
}

static enum err_code try_open(const char *path, enum conn_role role, struct err *e)
{
    struct conn_config cfg = t.cfg;
    struct conn *c = NULL;
    enum err_code code;

    cfg.path = path;
    code = conn_open(&c, &cfg, role, e);
    conn_close(c);
    return code;
}

static void test_cannot_open(void **state)
{
    struct err e = ERR_INIT;
    char path[128];
    FILE *f;

    (void)state;
    assert_int_equal(try_open(NULL, CONN_WRITER, &e), ERR_CONFIG);
    assert_int_equal(try_open("", CONN_WRITER, &e), ERR_CONFIG);
    assert_int_equal(try_open(":memory:", CONN_WRITER, &e), ERR_CONFIG);
    snprintf(path, sizeof path, "%s/none", t.dir);
    assert_int_equal(try_open(path, CONN_READER, &e), ERR_NO_DATABASE);
    assert_non_null(strstr(e.msg, path));
    t.cfg.create = false;
    assert_int_equal(try_open(path, CONN_WRITER, &e), ERR_NO_DATABASE);
    t.cfg.create = true;
    snprintf(path, sizeof path, "%s/none/x", t.dir);
    assert_int_equal(try_open(path, CONN_WRITER, &e), ERR_NO_DATABASE);
    assert_int_equal(try_open(t.dir, CONN_WRITER, &e), ERR_IO);
    snprintf(path, sizeof path, "%s/text", t.dir);
    f = fopen(path, "w");
    assert_non_null(f);
    for (int i = 0; i < 500; i++)
        fputs("this is not a database\n", f);
    fclose(f);
    assert_int_equal(try_open(path, CONN_WRITER, &e), ERR_CORRUPT);
    assert_non_null(strstr(e.msg, path));
}

/* An SQLite file in another journal mode becomes a WAL file. */
static void test_takes_over(void **state)
{
    sqlite3 *db;
    struct conn *c;
    char out[256];

    (void)state;
    OK(conn_library_init(e));
    assert_int_equal(sqlite3_open(t.path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE u(a); INSERT INTO u VALUES(5)", 0, 0, 0), 0);
    sqlite3_close(db);
    c = temp_open(&t, CONN_WRITER);
    assert_string_equal(temp_text(c, "PRAGMA journal_mode", out), "wal");
    assert_string_equal(temp_text(c, "SELECT a FROM u", out), "5");
    conn_close(c);
}

static void test_extension(void **state)
{
    const char *const missing[] = {"no-such-extension", NULL};
    struct err e = ERR_INIT;
    struct conn *c;
    char *why = NULL;

    (void)state;
    t.cfg.extensions = missing;
    assert_int_equal(conn_open(&c, &t.cfg, CONN_WRITER, &e), ERR_CONFIG);
    assert_null(c);
    assert_non_null(strstr(e.msg, "no-such-extension"));
    t.cfg.extensions = NULL;
    c = temp_open(&t, CONN_WRITER);
    assert_int_equal(sqlite3_load_extension(conn_handle(c), "no-such-extension", NULL, &why),
                     SQLITE_ERROR);
    assert_non_null(strstr(why, "not authorized"));
    sqlite3_free(why);
    conn_close(c);
}

static void test_rowid_and_checkpoint(void **state)
{
    struct conn *c = temp_open(&t, CONN_WRITER);
    struct conn *r;
    struct stmt *s;
    struct stat st;
    char wal[128], out[256];
    bool row;

    (void)state;
    OK(conn_exec(c, "CREATE TABLE u(a INTEGER PRIMARY KEY); INSERT INTO u VALUES(41)", e));
    assert_int_equal(conn_last_rowid(c), 41);
    conn_set_last_rowid(c, INT64_MIN);
    assert_string_equal(temp_text(c, "SELECT last_insert_rowid()", out), "-9223372036854775808");

    /* A reader in the middle of a read keeps the log from being truncated, which is no error. */
    r = temp_open(&t, CONN_READER);
    OK(temp_prepare(r, "SELECT * FROM u", &s, e));
    OK(stmt_step(s, &row, e));
    OK(conn_exec(c, "INSERT INTO u VALUES(42)", e));
    t.cfg.busy_ms = 5000;
    OK(conn_checkpoint(c, true, e));
    OK(conn_checkpoint(c, false, e));
    stmt_release(s);
    OK(conn_checkpoint(c, true, e));
    snprintf(wal, sizeof wal, "%s-wal", t.path);
    assert_int_equal(stat(wal, &st), 0);
    assert_int_equal(st.st_size, 0);
    OK(conn_exec(c, "BEGIN IMMEDIATE; INSERT INTO u VALUES(43)", e));
    OK(conn_checkpoint(c, true, e));
    OK(conn_exec(c, "COMMIT", e));
    conn_close(r);
    conn_close(c);
}

/* ---- DSN parameters ---- */

static const struct {
    const char *params;
    const char *refused; /* NULL = taken */
} params[] = {
    {"", NULL},
    {"?", NULL},
    {"_foreign_keys=1&_busy_timeout=5000", NULL},
    {"?_fk=on&&_timeout=0&", NULL},
    {"foreign_keys=off", NULL},
    {"_pragma=foreign_keys(1)&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)", NULL},
    {"_pragma=foreign_keys%281%29&_pragma=synchronous%3DNORMAL", NULL},
    {"_pragma=journal_mode('wal')", NULL},
    {"_journal=WAL&_journal_mode=wal&_sync=1&_synchronous=full", NULL},
    {"mode=rwc&cache=private&_txlock=immediate&_loc=auto&_mutex=no", NULL},
    {"cache_size=-64000&_cache_size=100&mmap_size=268435456", NULL},
    {"_case_sensitive_like=true&_cslike=0&_recursive_triggers=yes&_rt=no", NULL},
    {"_query_only=0&_locking=NORMAL&_auto_vacuum=none&nolock=0&immutable=0", NULL},
    {"_time_format=sqlite&_texttotime=1&_inttotime=1", NULL},

    {"_journal_mode=DELETE", "_journal_mode"},
    {"_journal=MEMORY", "_journal"},
    {"_pragma=journal_mode(off)", "journal_mode"},
    {"mode=memory", "mode"},
    {"mode=ro", "mode"},
    {"cache=shared", "cache"},
    {"immutable=1", "immutable"},
    {"nolock=1", "nolock"},
    {"vfs=unix-none", "vfs"},
    {"_locking_mode=EXCLUSIVE", "locking_mode"},
    {"_pragma=locking_mode(exclusive)", "locking_mode"},
    {"_synchronous=OFF", "synchronous"},
    {"_sync=0", "sync"},
    {"_query_only=1", "query_only"},
    {"_writable_schema=1", "writable_schema"},
    {"_ignore_check_constraints=1", "ignore_check_constraints"},
    {"_defer_fk=1", "defer_fk"},
    {"_auto_vacuum=full", "auto_vacuum"},
    {"_secure_delete=1", "secure_delete"},
    {"_foreign_keys=maybe", "foreign_keys"},
    {"_foreign_keys=", "foreign_keys"},
    {"_foreign_keys", "_foreign_keys"},
    {"_busy_timeout=-1", "busy_timeout"},
    {"_busy_timeout=5s", "busy_timeout"},
    {"_busy_timeout=99999999999", "busy_timeout"},
    {"_cache_size=lots", "cache_size"},
    {"mmap_size=-1", "mmap_size"},
    {"unheard_of=1", "unheard_of"},
    {"_foreign_keys=1&unheard_of=1", "unheard_of"},
    {"_pragma=user_version(3)", "user_version"},
    {"_pragma=fk(1)", "fk"},
    {"_pragma=mode(rw)", "mode"},
    {"_pragma=pragma(x)", "pragma"},
    {"_pragma=foreign_keys", "_pragma"},
    {"_pragma=(1)", "_pragma"},
    {"_foreign%zz=1", "_foreign%zz"},
    {"_foreign_keys=%0", "_foreign_keys"},
    {"_foreign_keys=1%00", "_foreign_keys"},
};

static void test_params(void **state)
{
    struct conn_config cfg;
    char longer[400];
    struct err e1 = ERR_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof params / sizeof params[0]; i++) {
        struct err e = ERR_INIT;
        enum err_code code;

        cfg = (struct conn_config){0};
        code = conn_parse_params(&cfg, params[i].params, &e);
        if (!params[i].refused != (code == ERR_OK) || (code != ERR_OK && code != ERR_CONFIG))
            fail_msg("%s: %s '%s'", params[i].params, err_name(code), e.msg);
        if (params[i].refused && !strstr(e.msg, params[i].refused + (params[i].refused[0] == '_')))
            fail_msg("%s: '%s' does not name it", params[i].params, e.msg);
    }
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    memcpy(longer, "_fk=", 4);
    assert_int_equal(conn_parse_params(&cfg, longer, &e1), ERR_CONFIG);

    cfg = (struct conn_config){0};
    OK(conn_parse_params(&cfg,
                         "_foreign_keys=1&_rt=1&_cslike=1&_timeout=77&_sync=FULL&mmap_size=4096"
                         "&_cache_size=-64000&mode=rwc",
                         e));
    assert_true(cfg.foreign_keys && cfg.recursive_triggers && cfg.case_sensitive_like);
    assert_true(cfg.full_sync && cfg.create);
    assert_int_equal(cfg.busy_ms, 77);
    assert_int_equal(cfg.mmap_bytes, 4096);
    assert_int_equal(cfg.cache_kib, 64000);
    OK(conn_parse_params(&cfg, "cache_size=100&_sync=NORMAL&mode=rw&_fk=0", e));
    assert_int_equal(cfg.cache_kib, 400);
    assert_false(cfg.full_sync || cfg.create || cfg.foreign_keys);
}

/* ---- guard ---- */

static void test_deadline(void **state)
{
    struct conn *c = temp_open(&t, CONN_WRITER);
    struct conn_guard g = {.deadline_ns = clock_deadline(30 * CLOCK_MS)};
    struct err e = ERR_INIT;
    int64_t start = clock_mono_ns();
    char out[256];

    (void)state;
    conn_guard(c, &g);
    assert_int_equal(temp_run(c, endless, &e), ERR_TIMEOUT);
    assert_true(clock_mono_ns() - start < 10 * CLOCK_S);
    conn_unguard(c);
    assert_string_equal(temp_text(c, "SELECT 1", out), "1");
    g.deadline_ns = CLOCK_EVER;
    conn_guard(c, &g);
    assert_string_equal(temp_text(c, "SELECT 2", out), "2");
    conn_unguard(c);
    conn_unguard(c);
    conn_close(c);
}

static bool set_and_stay(void *arg)
{
    atomic_store((atomic_bool *)arg, true);
    return false;
}

/* Once it runs, somebody sets the flag. */
static void test_cancel(void **state)
{
    struct conn *c = temp_open(&t, CONN_WRITER);
    atomic_bool cancel = false;
    struct conn_guard g = {CLOCK_EVER, &cancel, set_and_stay, &cancel};
    struct err e = ERR_INIT;

    (void)state;
    conn_guard(c, &g);
    assert_int_equal(temp_run(c, endless, &e), ERR_INTERRUPTED);
    assert_true(atomic_load(&cancel));
    conn_close(c);
}

static bool gone_at_third(void *arg)
{
    return ++*(int *)arg >= 3;
}

static void test_gone(void **state)
{
    struct conn *c = temp_open(&t, CONN_WRITER);
    int asked = 0;
    struct conn_guard g = {.deadline_ns = CLOCK_EVER, .gone = gone_at_third, .arg = &asked};
    struct err e = ERR_INIT;
    int64_t start = clock_mono_ns();

    (void)state;
    conn_guard(c, &g);
    assert_int_equal(temp_run(c, endless, &e), ERR_INTERRUPTED);
    assert_int_equal(asked, 3);
    assert_true(clock_mono_ns() - start >= 150 * CLOCK_MS);
    conn_close(c);
}

static void *interrupt(void *conn)
{
    conn_interrupt(conn);
    return NULL;
}

/* From another thread, before or while the statement runs; it lasts until it is taken back. */
static void test_interrupt(void **state)
{
    struct conn *c = temp_open(&t, CONN_WRITER);
    struct conn_guard g = {.deadline_ns = CLOCK_EVER};
    struct err e = ERR_INIT;
    pthread_t th;

    (void)state;
    conn_guard(c, &g);
    pthread_create(&th, NULL, interrupt, c);
    assert_int_equal(temp_run(c, endless, &e), ERR_INTERRUPTED);
    pthread_join(th, NULL);
    conn_unguard(c);
    assert_int_equal(temp_run(c, "SELECT 1", &e), ERR_OK);
    conn_guard(c, &g);
    assert_int_equal(temp_run(c, endless, &e), ERR_INTERRUPTED);
    conn_resume(c);
    conn_guard(c, &g);
    assert_int_equal(
        temp_run(
            c, "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 10000) SELECT i FROM n",
            &e),
        ERR_OK);
    conn_close(c);
}

/* Waiting for a foreign writer: as long as configured, and no longer than the guard says. */
static void test_busy(void **state)
{
    struct conn *c, *other;
    struct conn_guard g = {.deadline_ns = CLOCK_EVER};
    struct err e1 = ERR_INIT;
    int64_t start;

    (void)state;
    t.cfg.busy_ms = 60;
    c = temp_open(&t, CONN_WRITER);
    other = temp_open(&t, CONN_APPLIER);
    OK(conn_exec(c, "CREATE TABLE u(a)", e));
    OK(conn_exec(other, "BEGIN IMMEDIATE", e));
    start = clock_mono_ns();
    assert_int_equal(temp_run(c, "INSERT INTO u VALUES(1)", &e1), ERR_BUSY);
    assert_true(clock_mono_ns() - start >= 60 * CLOCK_MS);
    conn_close(c);

    t.cfg.busy_ms = 3600 * 1000;
    c = temp_open(&t, CONN_WRITER);
    g.deadline_ns = clock_deadline(20 * CLOCK_MS);
    conn_guard(c, &g);
    assert_int_equal(temp_run(c, "INSERT INTO u VALUES(1)", &e1), ERR_TIMEOUT);
    conn_unguard(c);
    conn_close(c);
    conn_close(other);
}

/* ---- errors ---- */

static const char errors_schema[] =
    "CREATE TABLE p(id INTEGER PRIMARY KEY, x UNIQUE, y NOT NULL DEFAULT 0, z CHECK (z <> 3));"
    "CREATE TABLE k(p REFERENCES p(id));"
    "CREATE TABLE w(a PRIMARY KEY) WITHOUT ROWID;"
    "CREATE TABLE s(i INTEGER) STRICT;"
    "CREATE TABLE g(a);"
    "CREATE TRIGGER tr BEFORE INSERT ON g BEGIN SELECT RAISE(ABORT, 'no such table: mine'); END;"
    "CREATE VIEW v AS SELECT 1 AS a;"
    "INSERT INTO p VALUES(1, 1, 1, 1);"
    "INSERT INTO w VALUES(1);";

static const struct {
    const char *sql;
    enum err_code code;
    int sqlite_code;
} errors[] = {
    {"INSERT INTO p VALUES(1, 2, 2, 2)", ERR_UNIQUE, SQLITE_CONSTRAINT_PRIMARYKEY},
    {"INSERT INTO p VALUES(2, 1, 2, 2)", ERR_UNIQUE, SQLITE_CONSTRAINT_UNIQUE},
    {"INSERT INTO w VALUES(1)", ERR_UNIQUE, SQLITE_CONSTRAINT_PRIMARYKEY},
    {"INSERT INTO g(rowid, a) VALUES(1, 1)", ERR_RAISED, SQLITE_CONSTRAINT_TRIGGER},
    {"INSERT INTO p VALUES(2, 2, NULL, 2)", ERR_NOT_NULL, SQLITE_CONSTRAINT_NOTNULL},
    {"INSERT INTO p VALUES(2, 2, 2, 3)", ERR_CHECK, SQLITE_CONSTRAINT_CHECK},
    {"INSERT INTO k VALUES(9)", ERR_FOREIGN_KEY, SQLITE_CONSTRAINT_FOREIGNKEY},
    {"INSERT INTO s VALUES('x')", ERR_MISMATCH, SQLITE_CONSTRAINT_DATATYPE},
    {"INSERT INTO p(id) VALUES('x')", ERR_MISMATCH, SQLITE_MISMATCH},
    {"SELECT * FROM nope", ERR_NO_TABLE, SQLITE_ERROR},
    {"DROP TABLE nope", ERR_NO_TABLE, SQLITE_ERROR},
    {"DROP VIEW nope", ERR_NO_TABLE, SQLITE_ERROR},
    {"ALTER TABLE nope ADD a", ERR_NO_TABLE, SQLITE_ERROR},
    {"SELECT nope FROM p", ERR_NO_COLUMN, SQLITE_ERROR},
    {"SELECT p.nope FROM p", ERR_NO_COLUMN, SQLITE_ERROR},
    {"SELECT \"already exists\"", ERR_NO_COLUMN, SQLITE_ERROR},
    {"INSERT INTO p(nope) VALUES(1)", ERR_NO_COLUMN, SQLITE_ERROR},
    {"UPDATE p SET nope = 1", ERR_NO_COLUMN, SQLITE_ERROR},
    {"SELECT nope()", ERR_NO_FUNCTION, SQLITE_ERROR},
    {"SELECT * FROM nope()", ERR_NO_TABLE, SQLITE_ERROR},
    {"CREATE TABLE p(a)", ERR_TABLE_EXISTS, SQLITE_ERROR},
    {"CREATE VIEW p AS SELECT 1", ERR_TABLE_EXISTS, SQLITE_ERROR},
    {"CREATE TRIGGER tr AFTER INSERT ON g BEGIN SELECT 1; END", ERR_TABLE_EXISTS, SQLITE_ERROR},
    {"ALTER TABLE p RENAME TO k", ERR_TABLE_EXISTS, SQLITE_ERROR},
    {"SELECT 1 FROM", ERR_SYNTAX, SQLITE_ERROR},
    {"SELEC 1", ERR_SYNTAX, SQLITE_ERROR},
    {"SELECT 1 1", ERR_SYNTAX, SQLITE_ERROR},
    {"SELECT 'x", ERR_SYNTAX, SQLITE_ERROR},
    {"SELECT 1abc", ERR_SYNTAX, SQLITE_ERROR},
    {"CREATE TRIGGER x AFTER INSERT ON p BEGIN SELECT 1;", ERR_SYNTAX, SQLITE_ERROR},
    {"SELECT 1 UNION SELECT 1, 2", ERR_SQL, SQLITE_ERROR},
    {"SELECT abs()", ERR_SQL, SQLITE_ERROR},
    {"SELECT json('{')", ERR_SQL, SQLITE_ERROR},
    {"INSERT INTO v VALUES(1)", ERR_SQL, SQLITE_ERROR},
    {"SELECT 1 COLLATE nope", ERR_OK, 0},
    {"SELECT 'a' = 'b' COLLATE nope", ERR_SQL, SQLITE_ERROR},
    {"SELECT abs(-9223372036854775808)", ERR_SQL, SQLITE_ERROR},
    {"SELECT zeroblob(2000000000)", ERR_TOO_BIG, SQLITE_TOOBIG},
    {"ATTACH 'x' AS y", ERR_DENIED, SQLITE_AUTH},
};

static void test_errors(void **state)
{
    struct conn *c;

    (void)state;
    t.cfg.foreign_keys = true;
    c = temp_open(&t, CONN_WRITER);
    OK(conn_exec(c, errors_schema, e));
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct err e = ERR_INIT;
        enum err_code code = temp_run(c, errors[i].sql, &e);

        if (code != errors[i].code ||
            (e.sqlite_code & errors[i].sqlite_code) != errors[i].sqlite_code)
            fail_msg("%s: %s %d '%s'", errors[i].sql, err_name(code), e.sqlite_code, e.msg);
    }
    conn_close(c);
}

/* SQLite has one code for a file that has no more rowids and a disk that has no more room. */
static void test_full(void **state)
{
    typedef ssize_t write_fn(int fd, const void *bytes, size_t n);
    static const char *const last[] = {
        "INSERT INTO f VALUES (9223372036854775807, 1); INSERT INTO f(v) VALUES (2)",
        "INSERT INTO f(v) VALUES (3), (4)",
    };
    struct conn *c = temp_open(&t, CONN_WRITER);
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    struct err why = ERR_INIT;

    (void)state;
    OK(conn_exec(c, "CREATE TABLE f(id INTEGER PRIMARY KEY AUTOINCREMENT, v)", e));
    for (size_t i = 0; i < sizeof last / sizeof *last; i++) {
        assert_int_equal(conn_exec(c, last[i], &why), ERR_TOO_BIG);
        assert_int_equal(why.sqlite_code, SQLITE_FULL);
        assert_non_null(strstr(why.msg, "AUTOINCREMENT"));
    }
    /* As SQLite writes. */
    assert_int_equal(((write_fn *)vfs->xGetSystemCall(vfs, "write"))(fd, "x", 1), -1);
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(conn_exec(c, last[1], &why), ERR_DISK_FULL);
    close(fd);
    conn_close(c);
}

/* What no statement can be made to say here. */
static void test_error_codes(void **state)
{
    static const struct {
        int rc;
        const char *msg;
        int sys_errno;
        enum err_code code;
    } cases[] = {
        {SQLITE_OK, NULL, 0, ERR_OK},
        {SQLITE_ROW, NULL, 0, ERR_OK},
        {SQLITE_DONE, NULL, ENOSPC, ERR_OK},
        {SQLITE_CONSTRAINT, NULL, 0, ERR_CONSTRAINT},
        {SQLITE_CONSTRAINT_VTAB, NULL, 0, ERR_CONSTRAINT},
        {SQLITE_CONSTRAINT_ROWID, NULL, 0, ERR_UNIQUE},
        {SQLITE_CONSTRAINT_COMMITHOOK, NULL, 0, ERR_CONSTRAINT},
        {SQLITE_BUSY, NULL, 0, ERR_BUSY},
        {SQLITE_BUSY_SNAPSHOT, NULL, 0, ERR_BUSY},
        {SQLITE_BUSY_RECOVERY, NULL, 0, ERR_BUSY},
        {SQLITE_LOCKED, NULL, 0, ERR_BUSY},
        {SQLITE_LOCKED_SHAREDCACHE, NULL, 0, ERR_BUSY},
        {SQLITE_PROTOCOL, NULL, 0, ERR_BUSY},
        {SQLITE_SCHEMA, NULL, 0, ERR_BUSY},
        {SQLITE_READONLY, NULL, 0, ERR_READ_ONLY},
        {SQLITE_READONLY_DBMOVED, NULL, 0, ERR_READ_ONLY},
        {SQLITE_INTERRUPT, NULL, 0, ERR_INTERRUPTED},
        {SQLITE_ABORT, NULL, 0, ERR_INTERRUPTED},
        {SQLITE_ABORT_ROLLBACK, NULL, 0, ERR_TX_ABORTED},
        {SQLITE_TOOBIG, NULL, 0, ERR_TOO_BIG},
        {SQLITE_NOMEM, NULL, 0, ERR_NO_MEMORY},
        {SQLITE_IOERR_NOMEM, NULL, 0, ERR_NO_MEMORY},
        {SQLITE_FULL, NULL, 0, ERR_TOO_BIG},
        {SQLITE_FULL, NULL, ENOSPC, ERR_DISK_FULL},
        {SQLITE_IOERR, NULL, 0, ERR_IO},
        {SQLITE_IOERR_WRITE, NULL, EIO, ERR_IO},
        {SQLITE_IOERR_WRITE, NULL, ENOSPC, ERR_DISK_FULL},
        {SQLITE_IOERR_WRITE, NULL, EDQUOT, ERR_DISK_FULL},
        {SQLITE_IOERR_SHMSIZE, NULL, 0, ERR_DISK_FULL},
        {SQLITE_IOERR_WRITE, NULL, EROFS, ERR_READ_ONLY},
        {SQLITE_IOERR_READ, NULL, ENOMEM, ERR_NO_MEMORY},
        {SQLITE_IOERR_CORRUPTFS, NULL, 0, ERR_CORRUPT},
        {SQLITE_IOERR_DATA, NULL, 0, ERR_CORRUPT},
        {SQLITE_CANTOPEN, NULL, EACCES, ERR_IO},
        {SQLITE_CANTOPEN, NULL, ENOSPC, ERR_DISK_FULL},
        {SQLITE_PERM, NULL, 0, ERR_IO},
        {SQLITE_CORRUPT, NULL, 0, ERR_CORRUPT},
        {SQLITE_CORRUPT_VTAB, NULL, 0, ERR_CORRUPT},
        {SQLITE_NOTADB, NULL, 0, ERR_CORRUPT},
        {SQLITE_AUTH, "not authorized", 0, ERR_DENIED},
        {SQLITE_MISMATCH, NULL, 0, ERR_MISMATCH},
        {SQLITE_RANGE, NULL, 0, ERR_PARAM},
        {SQLITE_MISUSE, NULL, 0, ERR_INTERNAL},
        {SQLITE_INTERNAL, NULL, 0, ERR_INTERNAL},
        {SQLITE_ERROR, NULL, 0, ERR_SQL},
        {SQLITE_ERROR, "anything", ENOSPC, ERR_SQL},
        {SQLITE_ERROR, "no such savepoint: a", 0, ERR_SAVEPOINT},
        {SQLITE_ERROR, "cannot start a transaction within a transaction", 0, ERR_TX_ACTIVE},
        {SQLITE_ERROR, "cannot commit - no transaction is active", 0, ERR_TX_NONE},
        {SQLITE_ERROR, "cannot rollback - no transaction is active", 0, ERR_TX_NONE},
        {SQLITE_ERROR, "near \"x already exists\": syntax error", 0, ERR_SYNTAX},
        {SQLITE_ERROR, "incomplete input", 0, ERR_SYNTAX},
        {SQLITE_ERROR, "unrecognized token: \"'x already exists\"", 0, ERR_SYNTAX},
        {SQLITE_ERROR, "there is already an index named x", 0, ERR_TABLE_EXISTS},
        {SQLITE_ERROR, "no such index: x", 0, ERR_SQL},
        {SQLITE_ERROR, "error in view x: no such table: main.y", 0, ERR_SQL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum err_code code = error_from_sqlite(cases[i].rc, cases[i].msg, cases[i].sys_errno);
        if (code != cases[i].code)
            fail_msg("%d '%s': %s", cases[i].rc, cases[i].msg ? cases[i].msg : "", err_name(code));
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_roles),      TEST(test_full_sync),   TEST(test_cannot_open),
        TEST(test_takes_over), TEST(test_extension),   TEST(test_rowid_and_checkpoint),
        TEST(test_params),     TEST(test_deadline),    TEST(test_cancel),
        TEST(test_gone),       TEST(test_interrupt),   TEST(test_busy),
        TEST(test_errors),     TEST(test_error_codes), TEST(test_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
