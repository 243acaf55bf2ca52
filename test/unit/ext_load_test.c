/*
 * The extension in a host with the SQLite that the project itself is built with: the newest one, in
 * its multi-thread mode; what sqlite3 and Python bring is older (test/ext). The process is a
 * node's, too, so nothing of the two gets in each other's way, either.
 */
#include <dlfcn.h>

/* Without its macros: the struct is all that is wanted. */
#define SQLITE_CORE 1
#include <sqlite3ext.h>

#include "support/nats_fixture.h"

#include "support/repl_fixture.h"

static char extension[512];

static sqlite3 *open_host(const struct peer *p, const char *name)
{
    char path[160];
    sqlite3 *db = NULL;
    char *why = NULL;

    (void)snprintf(path, sizeof path, "%s/%s", p->dir, name);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, NULL);
    if (sqlite3_load_extension(db, extension, NULL, &why) != SQLITE_OK)
        fail_msg("%s", why);
    return db;
}

static void run_at(sqlite3 *db, const char *sql, int line)
{
    char *why = NULL;

    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("line %d: %s: %s", line, sql, why);
}

#define run(db, sql) run_at(db, sql, __LINE__)

static int64_t number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *s = NULL;

    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK || sqlite3_step(s) != SQLITE_ROW)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    int64_t n = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return n;
}

static void follow(sqlite3 *db, const char *subject)
{
    char sql[512];

    (void)snprintf(sql, sizeof sql,
                   "CREATE VIRTUAL TABLE temp.ha USING ha(servers='%s', timeout=30000, "
                   "consistency=serializable);"
                   "INSERT INTO temp.ha(subject, durable) VALUES ('%s', 'host')",
                   server.url, subject);
    run(db, sql);
}

static void it_follows(void **state)
{
    struct peer *w = new_peer("w", "load", REPLICA_SERIALIZABLE);
    char sql[128];

    (void)state;
    peer_write(w, "CREATE TABLE t (v REAL, w TEXT); INSERT INTO t VALUES (0.1, 'x')");
    sqlite3 *db = open_host(w, "host.db");
    follow(db, "load.t.db");
    for (int i = 0; i < 50; i++) {
        uint64_t seq =
            peer_write(w, i % 10 == 0 ? "ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME TO t"
                                      : "INSERT INTO t VALUES (0.1, 'y')");
        (void)snprintf(sql, sizeof sql, "SELECT ha_wait(%llu, 30000)", (unsigned long long)seq);
        assert_int_equal(number(db, sql), 1);
        (void)snprintf(sql, sizeof sql, "SELECT count(*) = %d FROM t", 1 + i - i / 10);
        assert_int_equal(number(db, sql), 1);
    }
    assert_int_equal(number(db, "SELECT lag FROM ha_stats"), 0);
    assert_int_equal(sqlite3_exec(db, "DELETE FROM t", NULL, NULL, NULL), SQLITE_AUTH);
    /* Once more into the same connection, and its table goes on. */
    assert_int_equal(sqlite3_load_extension(db, extension, NULL, NULL), SQLITE_OK);
    assert_int_equal(number(db, "SELECT count(*) FROM temp.ha"), 1);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    free_peer(w);
}

/* A connection that is closed while a statement of it is open lives on until that is finalized. */
static void it_ends_with_the_last_statement(void **state)
{
    struct peer *w = new_peer("w", "zombie", REPLICA_SERIALIZABLE);
    sqlite3_stmt *s = NULL;

    (void)state;
    peer_write(w, "CREATE TABLE t (v); INSERT INTO t VALUES (1), (2)");
    sqlite3 *db = open_host(w, "host.db");
    follow(db, "zombie.t.db");
    assert_int_equal(number(db, "SELECT ha_wait(1, 30000)"), 1);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT v FROM t", -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    assert_int_equal(sqlite3_close_v2(db), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(s, 0), 2);
    assert_int_equal(sqlite3_finalize(s), SQLITE_OK);
    free_peer(w);
}

/* A table that was made, and a row that was inserted, in a transaction that is rolled back. */
static void a_rollback_leaves_nothing_odd(void **state)
{
    struct peer *w = new_peer("w", "back", REPLICA_SERIALIZABLE);

    (void)state;
    uint64_t seq = peer_write(w, "CREATE TABLE t (v); INSERT INTO t VALUES (1), (2)");
    sqlite3 *db = open_host(w, "host.db");
    run(db, "BEGIN");
    follow(db, "back.t.db");
    run(db, "ROLLBACK");
    assert_int_equal(sqlite3_exec(db, "SELECT * FROM temp.ha", NULL, NULL, NULL), SQLITE_ERROR);
    follow(db, "back.t.db");
    assert_int_equal(number(db, "SELECT ha_wait(1, 30000)"), 1);
    assert_int_equal(number(db, "SELECT count(*) FROM t"), 2);
    assert_int_equal(seq, 1);
    run(db, "DROP TABLE temp.ha; INSERT INTO t VALUES (3)");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    free_peer(w);
}

/* All calls go to the SQLite that has loaded it: there can be one in a process. */
static void another_sqlite_is_refused(void **state)
{
    struct peer *w = new_peer("w", "other", REPLICA_SERIALIZABLE);
    void *lib = dlopen("libsqlite3.so.0", RTLD_NOW | RTLD_LOCAL);
    sqlite3 *db = NULL;
    char *why = NULL;

    (void)state;
    sqlite3 *first = open_host(w, "host.db");
    if (!lib) {
        skip();
        return;
    }
    int (*other_open)(const char *, sqlite3 **) =
        (int (*)(const char *, sqlite3 **))(uintptr_t)dlsym(lib, "sqlite3_open");
    if (other_open == sqlite3_open) /* make SQLITE=system */
        skip();
    int (*other_enable)(sqlite3 *, int) =
        (int (*)(sqlite3 *, int))(uintptr_t)dlsym(lib, "sqlite3_enable_load_extension");
    int (*other_load)(sqlite3 *, const char *, const char *, char **) =
        (int (*)(sqlite3 *, const char *, const char *, char **))(uintptr_t)dlsym(
            lib, "sqlite3_load_extension");
    int (*other_close)(sqlite3 *) = (int (*)(sqlite3 *))(uintptr_t)dlsym(lib, "sqlite3_close");
    void (*other_free)(void *) = (void (*)(void *))(uintptr_t)dlsym(lib, "sqlite3_free");
    assert_int_equal(other_open(":memory:", &db), SQLITE_OK);
    other_enable(db, 1);
    assert_int_equal(other_load(db, extension, NULL, &why), SQLITE_ERROR);
    assert_non_null(strstr(why, "in use by another SQLite"));
    other_free(why);
    other_close(db);
    (void)dlclose(lib);
    assert_int_equal(sqlite3_close(first), SQLITE_OK);
    free_peer(w);
}

static int old_version(void)
{
    return 3037002;
}

static void an_old_sqlite_is_refused(void **state)
{
    const sqlite3_api_routines old = {.libversion_number = old_version, .mprintf = sqlite3_mprintf};
    char path[sizeof extension + 4], *why = NULL;

    (void)state;
    (void)snprintf(path, sizeof path, "%s.so", extension);
    void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!lib) {
        fail_msg("%s", dlerror());
        return;
    }
    int (*init)(sqlite3 *, char **, const sqlite3_api_routines *) =
        (int (*)(sqlite3 *, char **, const sqlite3_api_routines *))(uintptr_t)dlsym(
            lib, "sqlite3_hasync_init");
    assert_int_equal(init(NULL, &why, &old), SQLITE_ERROR);
    assert_string_equal(why, "ha-sync needs SQLite 3.38.0 or newer");
    sqlite3_free(why);
    (void)dlclose(lib);
}

int main(void)
{
    const char *build = getenv("BUILD");

    (void)snprintf(extension, sizeof extension, "%s/ha-sync", build ? build : "build");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_follows),
        cmocka_unit_test(it_ends_with_the_last_statement),
        cmocka_unit_test(a_rollback_leaves_nothing_odd),
        cmocka_unit_test(another_sqlite_is_refused),
        cmocka_unit_test(an_old_sqlite_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
