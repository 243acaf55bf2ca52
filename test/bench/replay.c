/*
 * The bare limit of a follower: a loop of inserts with one cached statement, `group` to a
 * transaction, into a file that is configured as a node's file is (WAL, synchronous=NORMAL).
 *
 *   replay file=/somewhere/bare.db transactions=1000000 group=64
 *
 * Prints {"transactions", "seconds"}; the clock runs from the open file to the last commit.
 */
#include <sqlite3.h>

#include "support/item.h"
#include "support/measure.h"

static void must(sqlite3 *db, int rc, const char *doing)
{
    if (rc != SQLITE_OK && rc != SQLITE_DONE)
        measure_fail("%s: %s", doing, sqlite3_errmsg(db));
}

static void run(sqlite3 *db, const char *sql)
{
    must(db, sqlite3_exec(db, sql, NULL, NULL, NULL), sql);
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st = NULL;
    must(db, sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL), sql);
    return st;
}

static void step(sqlite3 *db, sqlite3_stmt *st)
{
    must(db, sqlite3_step(st), sqlite3_sql(st));
    sqlite3_reset(st);
}

static void insert(sqlite3 *db, sqlite3_stmt *st, int64_t id)
{
    char name[ITEM_NAME_SIZE];
    item_name(name, id);
    sqlite3_bind_int64(st, 1, id);
    sqlite3_bind_text(st, 2, name, -1, SQLITE_STATIC);
    sqlite3_bind_double(st, 3, item_value(id));
    step(db, st);
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"file", "transactions", "group", NULL};
    measure_check(argc, argv, names);
    const char *file = measure_text(argc, argv, "file", "");
    long transactions = measure_number(argc, argv, "transactions", 1000, 1, 100000000);
    long group = measure_number(argc, argv, "group", 64, 1, 1000000);
    sqlite3 *db = NULL;

    if (sqlite3_open(file, &db) != SQLITE_OK)
        measure_fail("%s: %s", file, db ? sqlite3_errmsg(db) : "out of memory");
    run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL");
    run(db, ITEM_SCHEMA);
    sqlite3_stmt *begin = prepare(db, "BEGIN IMMEDIATE");
    sqlite3_stmt *commit = prepare(db, "COMMIT");
    sqlite3_stmt *st = prepare(db, "INSERT INTO item VALUES (?, ?, ?)");
    int64_t start = measure_now_ns();
    for (long at = 0; at < transactions; at += group) {
        step(db, begin);
        for (long i = at; i < at + group && i < transactions; i++)
            insert(db, st, i + 1);
        step(db, commit);
    }
    double seconds = (double)(measure_now_ns() - start) / 1e9;
    printf("{\"transactions\":%ld,\"seconds\":%.4f}\n", transactions, seconds);
    sqlite3_finalize(begin);
    sqlite3_finalize(commit);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return 0;
}
