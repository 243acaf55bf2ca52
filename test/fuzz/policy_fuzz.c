/*
 * Users' SQL on a writer, statement by statement, in a transaction that is rolled back afterwards.
 * Whatever it was: the ha_ tables are what they were, the settings of the connection too, no other
 * database is attached, no file has appeared beside it, and a statement that was called a read has
 * changed nothing.
 */
#include <dirent.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sql/conn.h"
#include "sql/policy.h"
#include "sql/stmt.h"

#define MAX_STATEMENTS 32
#define MAX_ROWS       200
#define MAX_POLLS      50 /* thousands of instructions of one statement */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/tmp/ha-policy-fuzz-XXXXXX";
static char path[64];
static struct conn *c;
static char settings[512];
static unsigned files;

#define check(ok) ((ok) ? (void)0 : failed(#ok, __LINE__))

static void failed(const char *what, int line)
{
    fprintf(stderr, "policy_fuzz.c:%d: %s\n", line, what);
    abort();
}

static unsigned count_files(void)
{
    DIR *d = opendir(dir);
    unsigned n = 0;

    check(d != NULL);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static int add_value(void *arg, int n, char **values, char **names)
{
    char *out = arg;

    (void)names;
    for (int i = 0; i < n; i++)
        snprintf(out + strlen(out), sizeof settings - strlen(out), "%s,", values[i]);
    return 0;
}

static void read_settings(char *out)
{
    static const char *const names[] = {
        "foreign_keys",
        "recursive_triggers",
        "query_only",
        "writable_schema",
        "journal_mode",
        "synchronous",
        "cache_size",
        "locking_mode",
        "temp_store",
        "reverse_unordered_selects",
        "read_uncommitted",
        "legacy_alter_table",
        "count_changes",
        "ignore_check_constraints",
        "wal_autocheckpoint",
        "journal_size_limit",
        "mmap_size",
        "trusted_schema",
        "secure_delete",
        "max_page_count",
        "threads",
        "analysis_limit",
        "automatic_index",
        "full_column_names",
        "database_list",
    };
    char sql[64];

    out[0] = '\0';
    conn_trust(c, true);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(sql, sizeof sql, "PRAGMA %s", names[i]);
        sqlite3_exec(conn_handle(c), sql, add_value, out, NULL);
    }
    conn_trust(c, false);
}

static void cleanup(void)
{
    char name[sizeof path + 8];

    conn_close(c);
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s%s", path, i == 0 ? "" : i == 1 ? "-wal" : "-shm");
        unlink(name);
    }
    rmdir(dir);
}

static void open_once(void)
{
    static const char schema[] =
        "CREATE TABLE ha_position(id INTEGER PRIMARY KEY, seq); INSERT INTO ha_position VALUES(1, "
        "7);"
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b); INSERT INTO t VALUES(1, 'x'), (2, 'y');"
        "CREATE TABLE u(a REFERENCES t ON DELETE CASCADE, b); INSERT INTO u VALUES(1, 'x');"
        "CREATE VIEW v AS SELECT * FROM t; CREATE VIRTUAL TABLE f USING fts5(x);"
        "CREATE TRIGGER w INSTEAD OF INSERT ON v BEGIN INSERT INTO t VALUES(new.a, new.b); END;"
        "CREATE TEMP TABLE here(a)"; /* so that database_list names temp from the beginning */
    struct conn_config cfg = {.path = path, .create = true, .foreign_keys = true};
    struct err e = ERR_INIT;

    if (c)
        return;
    check(mkdtemp(dir) != NULL);
    atexit(cleanup);
    snprintf(path, sizeof path, "%s/t.db", dir);
    check(conn_open(&c, &cfg, CONN_WRITER, &e) == ERR_OK);
    check(conn_exec(c, schema, &e) == ERR_OK);
    read_settings(settings);
    files = count_files();
}

/* Ends what would run for long, by the amount of work, so that an input always does the same. */
static int on_progress(void *arg)
{
    return ++*(int *)arg > MAX_POLLS;
}

static void run_one(struct stmt *s)
{
    sqlite3 *db = conn_handle(c);
    int64_t before = sqlite3_total_changes64(db);
    bool row = true;
    int polls = 0;
    struct err e = ERR_INIT;

    sqlite3_progress_handler(db, 1000, on_progress, &polls);
    for (int i = 0; row && i < MAX_ROWS; i++)
        if (stmt_step(s, &row, &e) != ERR_OK)
            break;
    sqlite3_progress_handler(db, 0, NULL, NULL);
    if (stmt_class(s) == STMT_READ)
        check(sqlite3_total_changes64(db) == before);
}

static int64_t ask(const char *sql)
{
    sqlite3_stmt *s;
    int64_t v;

    conn_trust(c, true);
    check(sqlite3_prepare_v2(conn_handle(c), sql, -1, &s, NULL) == SQLITE_OK);
    check(sqlite3_step(s) == SQLITE_ROW);
    v = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    conn_trust(c, false);
    return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data, *end = at + size;
    char now[sizeof settings];
    struct err e = ERR_INIT;
    struct stmt *s;

    open_once();
    check(conn_exec(c, "BEGIN", &e) == ERR_OK);
    for (int i = 0; at < end && i < MAX_STATEMENTS; i++) {
        if (stmt_prepare(c, at, (size_t)(end - at), &at, &s, &e) == ERR_OK && s)
            run_one(s);
        stmt_release(s);
    }
    check(ask("SELECT count(*) = 1 AND min(seq) = 7 FROM main.ha_position") == 1);
    check(ask("SELECT count(*) FROM main.sqlite_schema WHERE lower(substr(name, 1, 3)) = 'ha_'") ==
          1);
    check(ask("SELECT count(*) FROM temp.sqlite_schema WHERE lower(substr(name, 1, 3)) = 'ha_'") ==
          0);
    if (!sqlite3_get_autocommit(conn_handle(c)))
        check(conn_exec(c, "ROLLBACK", &e) == ERR_OK);
    read_settings(now);
    check(strcmp(now, settings) == 0);
    check(count_files() == files);
    return 0;
}
