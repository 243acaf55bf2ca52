/*
 * For the tests of src/sql: a temporary directory and connections to a file in it. Every function
 * fails the running test when it cannot do its work.
 */
#ifndef HA_TEST_SQL_TEMP_H
#define HA_TEST_SQL_TEMP_H

/* cmocka wants these four before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "sql/conn.h"
#include "sql/stmt.h"

#define OK(call)                                                                                   \
    do {                                                                                           \
        struct err ok_err = ERR_INIT;                                                              \
        struct err *e = &ok_err;                                                                   \
        enum err_code ok_code = (call);                                                            \
        if (ok_code != ERR_OK)                                                                     \
            fail_msg("%s: %s: %s", #call, err_name(ok_code), ok_err.msg);                          \
    } while (0)

struct temp {
    char dir[64];
    char path[96]; /* of the database file t.db */
    struct conn_config cfg;
};

static inline void temp_init(struct temp *t)
{
    const char *base = getenv("TMPDIR");

    snprintf(t->dir, sizeof t->dir, "%.40s/ha-sql-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(t->dir));
    snprintf(t->path, sizeof t->path, "%s/t.db", t->dir);
    t->cfg = (struct conn_config){.path = t->path, .create = true};
}

static inline int temp_remove_one(const char *path, const struct stat *st, int type,
                                  struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void temp_fini(struct temp *t)
{
    nftw(t->dir, temp_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline struct conn *temp_open(struct temp *t, enum conn_role role)
{
    struct conn *c = NULL;

    OK(conn_open(&c, &t->cfg, role, e));
    return c;
}

static inline enum err_code temp_prepare(struct conn *c, const char *sql, struct stmt **s,
                                         struct err *e)
{
    const char *tail;

    return stmt_prepare(c, sql, strlen(sql), &tail, s, e);
}

/* Prepares, runs to the end and releases a user's statement. */
static inline enum err_code temp_run(struct conn *c, const char *sql, struct err *e)
{
    struct stmt *s = NULL;
    bool row = true;
    enum err_code code = temp_prepare(c, sql, &s, e);

    while (code == ERR_OK && s && row)
        code = stmt_step(s, &row, e);
    stmt_release(s);
    return code;
}

/* The first column of the first row as text, "" for NULL or no row; `out` has 256 bytes. */
static inline const char *temp_text(struct conn *c, const char *sql, char *out)
{
    struct stmt *s = NULL;
    bool row;
    struct value v;

    out[0] = '\0';
    OK(temp_prepare(c, sql, &s, e));
    OK(stmt_step(s, &row, e));
    if (row) {
        v = stmt_column(s, 0);
        if (v.type == VALUE_INTEGER)
            snprintf(out, 256, "%lld", (long long)v.u.i);
        else if (v.type == VALUE_REAL)
            snprintf(out, 256, "%.17g", v.u.r);
        else if (v.type != VALUE_NULL)
            snprintf(out, 256, "%.*s", (int)v.u.s.len, v.u.s.data);
    }
    stmt_release(s);
    return out;
}

#endif
