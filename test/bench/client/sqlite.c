/* No server at all: SQLite in this process, a connection for each thread. WAL, every commit synced.
 */
#include <sqlite3.h>

#include "../support/measure.h"
#include "client.h"

#define STATEMENTS_MAX 8
#define FILE_BYTES     4096

struct connection {
    sqlite3 *db;
    const char *text[STATEMENTS_MAX];
    sqlite3_stmt *prepared[STATEMENTS_MAX];
    int count;
    struct text parameters, value;
};

static void sqlite_close(struct connection *c)
{
    if (!c)
        return;
    for (int i = 0; i < c->count; i++)
        sqlite3_finalize(c->prepared[i]);
    sqlite3_close(c->db);
    text_free(&c->parameters);
    text_free(&c->value);
    free(c);
}

static struct connection *sqlite_open(const struct target *target, struct text *why)
{
    struct connection *c = measure_alloc(1, sizeof *c);
    char file[FILE_BYTES];
    if (target->port)
        snprintf(file, sizeof file, "%s.%u", target->database, target->port);
    else
        snprintf(file, sizeof file, "%s", target->database);
    if (sqlite3_open(file, &c->db) == SQLITE_OK &&
        sqlite3_busy_timeout(c->db, CLIENT_TIMEOUT_S * 1000) == SQLITE_OK &&
        sqlite3_exec(c->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL", NULL, NULL,
                     NULL) == SQLITE_OK)
        return c;
    text_append(why, sqlite3_errmsg(c->db), strlen(sqlite3_errmsg(c->db)));
    sqlite_close(c);
    return NULL;
}

static sqlite3_stmt *prepare(struct connection *c, const char *sql)
{
    for (int i = 0; i < c->count; i++)
        if (c->text[i] == sql)
            return c->prepared[i];
    if (c->count == STATEMENTS_MAX)
        measure_fail("too many statements");
    c->text[c->count] = sql;
    if (sqlite3_prepare_v2(c->db, sql, -1, &c->prepared[c->count], NULL) != SQLITE_OK)
        return NULL;
    return c->prepared[c->count++];
}

/* Runs one statement to its end; the first value of its first row is kept. */
static bool execute(struct connection *c, const struct work *w, struct numbers *n, struct answer *a)
{
    sqlite3_stmt *stmt = prepare(c, w->sql);
    bool first = true;
    int rc = SQLITE_OK, place = 1;
    if (!stmt)
        return false;
    if (w->body)
        text_fill(&c->parameters, w->body, n, 1);
    for (char *p = w->body ? c->parameters.bytes : NULL; p;) {
        char *tab = strchr(p, '\t');
        int len = tab ? (int)(tab - p) : (int)strlen(p);
        sqlite3_bind_text(stmt, place++, p, len, SQLITE_TRANSIENT);
        p = tab ? tab + 1 : NULL;
    }
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(stmt); i++)
            a->bytes += (size_t)sqlite3_column_bytes(stmt, i);
        if (first) {
            const char *value = (const char *)sqlite3_column_text(stmt, 0);
            c->value.len = 0;
            text_append(&c->value, value ? value : "", value ? strlen(value) : 0);
            a->text = c->value.bytes;
            first = false;
        }
    }
    sqlite3_reset(stmt);
    return rc == SQLITE_DONE;
}

static bool sqlite_run(struct connection *c, const struct work *w, struct numbers *n,
                       struct answer *a)
{
    *a = (struct answer){.text = ""};
    if (w->batch <= 1) {
        if (execute(c, w, n, a))
            return true;
        a->text = sqlite3_errmsg(c->db);
        return false;
    }
    bool ok = sqlite3_exec(c->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK;
    for (long i = 0; i < w->batch && ok; i++)
        ok = execute(c, w, n, a);
    ok = ok && sqlite3_exec(c->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK;
    if (!ok) {
        a->text = sqlite3_errmsg(c->db);
        sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    }
    return ok;
}

const struct protocol protocol_sqlite = {"sqlite", sqlite_open, sqlite_run, sqlite_close};
