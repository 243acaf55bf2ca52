/* One statement of the client's: where it ends, what it is, and its tag. SQLite stays the only
 * parser: this looks at the first words. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "sql/cross_text.h"
#include "sql/lex.h"
#include "sql/pg/dialect.h"
#include "sql/pg/lex.h"
#include "wire/pg/session.h"

size_t pg_split(const char *sql, size_t len)
{
    return pg_dialect_split(sql, len);
}

static const struct first {
    const char *word;
    enum pg_kind kind;
    enum pg_count count;
    const char *tag;
} firsts[] = {
    {"SELECT", PG_READ, PG_COUNT_ROWS, "SELECT"},
    {"VALUES", PG_READ, PG_COUNT_ROWS, "SELECT"},
    {"TABLE", PG_READ, PG_COUNT_ROWS, "SELECT"},
    {"EXPLAIN", PG_READ, PG_COUNT_NONE, "EXPLAIN"},
    {"PRAGMA", PG_WRITE, PG_COUNT_ROWS, "SELECT"},
    {"INSERT", PG_WRITE, PG_COUNT_INSERT, "INSERT"},
    {"REPLACE", PG_WRITE, PG_COUNT_INSERT, "INSERT"},
    {"UPDATE", PG_WRITE, PG_COUNT_ROWS, "UPDATE"},
    {"DELETE", PG_WRITE, PG_COUNT_ROWS, "DELETE"},
    {"MERGE", PG_WRITE, PG_COUNT_ROWS, "MERGE"},
    {"CREATE", PG_WRITE, PG_COUNT_NONE, "CREATE"},
    {"DROP", PG_WRITE, PG_COUNT_NONE, "DROP"},
    {"ALTER", PG_WRITE, PG_COUNT_NONE, "ALTER"},
    {"TRUNCATE", PG_WRITE, PG_COUNT_NONE, "TRUNCATE TABLE"},
    {"ANALYZE", PG_WRITE, PG_COUNT_NONE, "ANALYZE"},
    {"ANALYSE", PG_WRITE, PG_COUNT_NONE, "ANALYZE"},
    {"REINDEX", PG_WRITE, PG_COUNT_NONE, "REINDEX"},
    {"COMMENT", PG_WRITE, PG_COUNT_NONE, "COMMENT"},
    {"CLUSTER", PG_WRITE, PG_COUNT_NONE, "CLUSTER"},
    {"DO", PG_WRITE, PG_COUNT_NONE, "DO"},
    {"CALL", PG_WRITE, PG_COUNT_NONE, "CALL"},
    {"REFRESH", PG_WRITE, PG_COUNT_NONE, "REFRESH MATERIALIZED VIEW"},
    {"VACUUM", PG_ALONE, PG_COUNT_NONE, "VACUUM"},
    {"BEGIN", PG_BEGIN, PG_COUNT_NONE, "BEGIN"},
    {"START", PG_BEGIN, PG_COUNT_NONE, "START TRANSACTION"},
    {"COMMIT", PG_COMMIT, PG_COUNT_NONE, "COMMIT"},
    {"END", PG_COMMIT, PG_COUNT_NONE, "COMMIT"},
    {"ROLLBACK", PG_ROLLBACK, PG_COUNT_NONE, "ROLLBACK"},
    {"ABORT", PG_ROLLBACK, PG_COUNT_NONE, "ROLLBACK"},
    {"SAVEPOINT", PG_SAVEPOINT, PG_COUNT_NONE, "SAVEPOINT"},
    {"RELEASE", PG_RELEASE, PG_COUNT_NONE, "RELEASE"},
    {"SET", PG_COMMAND, PG_COUNT_NONE, "SET"},
    {"SHOW", PG_COMMAND, PG_COUNT_NONE, "SHOW"},
    {"RESET", PG_COMMAND, PG_COUNT_NONE, "RESET"},
    {"UNSET", PG_COMMAND, PG_COUNT_NONE, "UNSET"},
    {"DISCARD", PG_COMMAND, PG_COUNT_NONE, "DISCARD"},
    {"DEALLOCATE", PG_COMMAND, PG_COUNT_NONE, "DEALLOCATE"},
    {"PREPARE", PG_COMMAND, PG_COUNT_NONE, "PREPARE"},
    {"EXECUTE", PG_COMMAND, PG_COUNT_NONE, "EXECUTE"},
    {"LISTEN", PG_COMMAND, PG_COUNT_NONE, "LISTEN"},
    {"UNLISTEN", PG_COMMAND, PG_COUNT_NONE, "UNLISTEN"},
    {"NOTIFY", PG_COMMAND, PG_COUNT_NONE, "NOTIFY"},
    {"LOCK", PG_COMMAND, PG_COUNT_NONE, "LOCK TABLE"},
    {"CHECKPOINT", PG_COMMAND, PG_COUNT_NONE, "CHECKPOINT"},
    {"GRANT", PG_COMMAND, PG_COUNT_NONE, "GRANT"},
    {"REVOKE", PG_COMMAND, PG_COUNT_NONE, "REVOKE"},
    {"HISTORY", PG_READ, PG_COUNT_ROWS, "SELECT"},
    {"UNDO", PG_ALONE, PG_COUNT_ROWS, "UNDO"},
    {"UNDOE", PG_ALONE, PG_COUNT_ROWS, "UNDO"},
    {"UNDOT", PG_ALONE, PG_COUNT_ROWS, "UNDO"},
    {"DECLARE", PG_CURSOR, PG_COUNT_NONE, "DECLARE CURSOR"},
    {"FETCH", PG_CURSOR, PG_COUNT_ROWS, "FETCH"},
    {"MOVE", PG_CURSOR, PG_COUNT_ROWS, "MOVE"},
    {"CLOSE", PG_CURSOR, PG_COUNT_NONE, "CLOSE CURSOR"},
    {"COPY", PG_COPY, PG_COUNT_ROWS, "COPY"},
};

static const struct first *find_first(const struct pg_token *t)
{
    for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++)
        if (pg_lex_is(t, firsts[i].word))
            return &firsts[i];
    return NULL;
}

static void take(struct pg_text *t, const struct first *f)
{
    t->kind = f->kind;
    t->count = f->count;
    (void)snprintf(t->tag, sizeof t->tag, "%s", f->tag);
}

/* CREATE [OR REPLACE] [TEMP] [UNIQUE] [VIRTUAL] TABLE …: the object's word joins the tag. */
static void object_tag(struct pg_text *t, struct pg_lexer *x)
{
    static const char *const skipped[] = {"OR",      "REPLACE", "TEMP",     "TEMPORARY", "UNIQUE",
                                          "VIRTUAL", "LOCAL",   "UNLOGGED", "GLOBAL"};
    struct pg_token token;

again:
    if (!pg_lex_next(x, &token) || token.type != PG_TOKEN_WORD)
        return;
    for (size_t i = 0; i < sizeof skipped / sizeof *skipped; i++)
        if (pg_lex_is(&token, skipped[i]))
            goto again;
    if (pg_lex_is(&token, "DATABASE"))
        t->kind = PG_COMMAND;
    if (pg_lex_is(&token, "ROLE") || pg_lex_is(&token, "USER") || pg_lex_is(&token, "GROUP"))
        t->kind = PG_COMMAND;
    size_t n = strlen(t->tag);
    (void)snprintf(t->tag + n, sizeof t->tag - n, " %.*s", (int)token.len, token.text);
    for (char *p = t->tag + n; *p; p++)
        *p = (char)toupper((unsigned char)*p);
}

/* WITH … : the first verb outside parentheses, behind the first pair of them. */
static void with_tag(struct pg_text *t, struct pg_lexer *x)
{
    struct pg_token token;
    int depth = 0;
    bool seen = false;

    while (pg_lex_next(x, &token)) {
        if (pg_lex_is_op(&token, "(")) {
            depth++;
            seen = true;
        } else if (pg_lex_is_op(&token, ")")) {
            depth--;
        } else if (depth == 0 && seen && token.type == PG_TOKEN_WORD) {
            const struct first *f = find_first(&token);
            if (f && f->kind <= PG_WRITE && f->kind != PG_EMPTY) {
                take(t, f);
                t->kind = PG_WRITE; /* its parts may write, too: the executor finds out */
                return;
            }
        }
    }
}

void pg_classify(struct pg_text *t, const char *sql, size_t len)
{
    const struct first *f;
    struct pg_lexer x;
    struct pg_token token;

    memset(t, 0, sizeof *t);
    t->sql = t->run = sql;
    t->len = t->run_len = len;
    pg_lex_init(&x, sql, len);
    do {
        if (!pg_lex_next(&x, &token))
            return; /* PG_EMPTY */
    } while (token.type == PG_TOKEN_SEMI);
    t->kind = PG_WRITE;
    t->count = PG_COUNT_ROWS;
    (void)snprintf(t->tag, sizeof t->tag, "SELECT");
    f = token.type == PG_TOKEN_WORD ? find_first(&token) : NULL;
    if (pg_lex_is_op(&token, "(")) {
        t->kind = PG_READ;
    } else if (pg_lex_is(&token, "WITH")) {
        with_tag(t, &x);
    } else if (f) {
        take(t, f);
        if (pg_lex_is(&token, "CREATE") || pg_lex_is(&token, "DROP") ||
            pg_lex_is(&token, "ALTER")) {
            object_tag(t, &x);
        } else if (t->kind == PG_ROLLBACK) {
            while (pg_lex_next(&x, &token))
                if (pg_lex_is(&token, "TO"))
                    t->kind = PG_ROLLBACK_TO;
        } else if (t->kind == PG_COMMIT || t->kind == PG_BEGIN || t->kind == PG_ALONE) {
            (void)pg_lex_next(&x, &token);
            if (pg_lex_is(&token,
                          "PREPARED")) /* COMMIT PREPARED: SQLite says what it thinks of it */
                t->kind = PG_WRITE;
        }
    }
}

struct query pg_query_of(const struct pg_text *t)
{
    return (struct query){.sql = t->run,
                          .len = t->run_len,
                          .numbered = true,
                          .written = t->sql,
                          .written_len = t->len,
                          .written_in = "postgresql"};
}

enum err_code pg_translate(struct pg_conn *c, struct pg_text *t, struct err *e)
{
    const char *sql = pg_lower_uuids(c, t);
    struct buf out = BUF_INIT;
    bool changed = false;
    enum err_code code = pg_dialect(sql, t->len, &out, &changed, e);

    if (code == ERR_OK && changed) {
        cross_hint_keep(&out, sql, t->len);
        char *run = arena_strndup(c->arena, buf_cstr(&out), out.len);
        if (!run || !buf_ok(&out)) {
            code = err_set(e, ERR_NO_MEMORY, "out of memory");
        } else {
            t->run = run;
            t->run_len = out.len;
            t->changed = true;
            t->compound = lex_length(run, out.len) < out.len;
            if (out.len == 0) /* it means nothing here */
                t->kind = PG_COMMAND;
        }
    }
    if (code == ERR_OK && !changed)
        t->run = sql;
    buf_free(&out);
    return code;
}
