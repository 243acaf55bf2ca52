/*
 * Transactions as PostgreSQL has them, on top of core's. An error inside a block makes it fail:
 * only ROLLBACK (or COMMIT, which then rolls back), and ROLLBACK TO where there is a savepoint, are
 * heard. A failed block without savepoints gives its write connection back at once.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sql/lex.h"
#include "sql/pg/lex.h"
#include "wire/pg/session.h"

/* Core's writer knows them, too, and does the work. Here they say whether a failed block can be
 * mended, and which portals a savepoint takes along. */
struct pg_savepoint {
    struct pg_savepoint *outer;
    unsigned depth; /* the outermost one has 1 */
    size_t len;
    char name[];
};

char pg_status(const struct pg_conn *c)
{
    return c->tx == PG_TX_BLOCK ? 'T' : c->tx == PG_TX_FAILED ? 'E' : 'I';
}

void pg_apply_read_only(struct pg_conn *c)
{
    const char *by_default = pg_settings_get(&c->settings, "default_transaction_read_only", NULL);
    bool read_only = c->user->read_only || c->tx_read_only || strcmp(by_default, "on") == 0;

    session_set_read_only(c->session, read_only);
}

/* What portals have not read yet is not worth reading any more: that may be without end. */
static void roll_back(struct pg_conn *c)
{
    struct err ignored = ERR_INIT;

    pg_portals_end(c, false);
    if (session_state(c->session) != SESSION_IDLE)
        (void)pg_exec(c, "ROLLBACK", &ignored);
    pg_undo_end(c, false);
}

unsigned pg_tx_depth(const struct pg_conn *c)
{
    return c->savepoints ? c->savepoints->depth : 0;
}

/* All but the outermost `depth`. */
static void forget_savepoints(struct pg_conn *c, unsigned depth)
{
    while (pg_tx_depth(c) > depth) {
        struct pg_savepoint *s = c->savepoints;
        c->savepoints = s->outer;
        free(s);
    }
}

void pg_tx_clear(struct pg_conn *c)
{
    forget_savepoints(c, 0);
    pg_undo_clear(c);
}

static void ended(struct pg_conn *c, bool committed)
{
    c->tx = PG_TX_IDLE;
    forget_savepoints(c, 0);
    pg_undo_end(c, committed);
    if (c->tx_read_only) {
        c->tx_read_only = false;
        pg_apply_read_only(c);
    }
    pg_portals_end(c, committed);
}

void pg_tx_failed(struct pg_conn *c)
{
    if (c->tx == PG_TX_IMPLICIT) {
        roll_back(c);
        ended(c, false);
    } else if (c->tx == PG_TX_BLOCK) {
        c->tx = PG_TX_FAILED;
        if (!c->savepoints)
            roll_back(c);
    } else if (c->tx == PG_TX_IDLE) {
        pg_undo_end(c, false);
    }
}

bool pg_tx_allows(struct pg_conn *c, const struct pg_text *t)
{
    if (c->tx != PG_TX_FAILED || t->kind == PG_COMMIT || t->kind == PG_ROLLBACK ||
        t->kind == PG_ROLLBACK_TO || t->kind == PG_EMPTY)
        return true;
    pg_error(c, "25P02",
             "current transaction is aborted, commands ignored until end of transaction block");
    return false;
}

bool pg_begin_implicit(struct pg_conn *c)
{
    struct err e = ERR_INIT;

    if (c->tx != PG_TX_IDLE)
        return true;
    if (pg_exec(c, "BEGIN", &e) != ERR_OK) {
        pg_error_core(c, &e, NULL, 0);
        return false;
    }
    c->tx = PG_TX_IMPLICIT;
    return true;
}

static bool commit(struct pg_conn *c)
{
    struct err e = ERR_INIT;

    pg_portals_commit(c);
    if (pg_exec(c, "COMMIT", &e) == ERR_OK) {
        ended(c, true);
        return true;
    }
    /* A deferred foreign key: PostgreSQL's transaction is over, too. */
    roll_back(c);
    ended(c, false);
    pg_error_core(c, &e, NULL, 0);
    return false;
}

bool pg_end_implicit(struct pg_conn *c)
{
    return c->tx != PG_TX_IMPLICIT || commit(c);
}

/* ---- the statements ---- */

/* READ ONLY among BEGIN's words; isolation levels are all served by what there is. */
static bool asks_read_only(const struct pg_text *t)
{
    struct pg_lexer x;
    struct pg_token token;
    bool read = false, read_only = false;

    pg_lex_init(&x, t->sql, t->len);
    while (pg_lex_next(&x, &token)) {
        if (read && pg_lex_is(&token, "ONLY"))
            read_only = true;
        else if (read && pg_lex_is(&token, "WRITE"))
            read_only = false;
        read = pg_lex_is(&token, "READ");
    }
    return read_only;
}

static bool has_word(const struct pg_text *t, const char *word)
{
    struct pg_lexer x;
    struct pg_token token;

    pg_lex_init(&x, t->sql, t->len);
    while (pg_lex_next(&x, &token))
        if (pg_lex_is(&token, word))
            return true;
    return false;
}

static bool begin(struct pg_conn *c, const struct pg_text *t)
{
    struct err e = ERR_INIT;
    bool write = has_word(t, "IMMEDIATE") || has_word(t, "EXCLUSIVE");

    if (c->tx == PG_TX_BLOCK) {
        pg_notice(c, "WARNING", "25001", "there is already a transaction in progress");
        return true;
    }
    if (c->tx == PG_TX_IDLE && pg_exec(c, write ? "BEGIN IMMEDIATE" : "BEGIN", &e) != ERR_OK) {
        pg_error_core(c, &e, NULL, 0);
        return false;
    }
    c->tx = PG_TX_BLOCK;
    if (asks_read_only(t)) {
        c->tx_read_only = true;
        pg_apply_read_only(c);
    }
    return true;
}

/* AND CHAIN: another block follows at once. */
static bool chain(struct pg_conn *c, const struct pg_text *t)
{
    struct err e = ERR_INIT;

    if (!has_word(t, "CHAIN") || has_word(t, "NO"))
        return true;
    if (pg_exec(c, "BEGIN", &e) != ERR_OK) {
        pg_error_core(c, &e, NULL, 0);
        return false;
    }
    c->tx = PG_TX_BLOCK;
    return true;
}

static bool end_block(struct pg_conn *c, const struct pg_text *t, char tag[PG_TAG_BYTES])
{
    bool committing = t->kind == PG_COMMIT && c->tx != PG_TX_FAILED;

    pg_tag(tag, committing ? "COMMIT" : "ROLLBACK");
    if (c->tx == PG_TX_IDLE || c->tx == PG_TX_IMPLICIT) {
        pg_notice(c, "WARNING", "25P01", "there is no transaction in progress");
        if (c->tx == PG_TX_IDLE)
            return true;
    }
    if (committing)
        return commit(c) && chain(c, t);
    roll_back(c);
    ended(c, false);
    return chain(c, t);
}

/* By core, which has the session to itself meanwhile. */
static bool run_savepoint(struct pg_conn *c, const char *sql)
{
    struct err e = ERR_INIT;

    pg_portals_park(c);
    if (pg_exec(c, sql, &e) == ERR_OK)
        return true;
    pg_error_core(c, &e, NULL, 0);
    return false;
}

static bool open_savepoint(struct pg_conn *c, const char *sql, const struct lex *lex)
{
    struct pg_savepoint *s = malloc(sizeof *s + lex->name_len);

    if (!s) {
        pg_error(c, "53200", "out of memory");
        return false;
    }
    if (!run_savepoint(c, sql)) {
        free(s);
        return false;
    }
    s->outer = c->savepoints;
    s->depth = pg_tx_depth(c) + 1;
    s->len = lex->name_len;
    memcpy(s->name, lex->name, s->len);
    c->savepoints = s;
    return true;
}

/* The innermost of the name, as core finds it; NULL: none. */
static const struct pg_savepoint *find_savepoint(const struct pg_conn *c, const struct lex *lex)
{
    const struct pg_savepoint *s = c->savepoints;

    while (s && (s->len != lex->name_len || strncasecmp(s->name, lex->name, s->len) != 0))
        s = s->outer;
    return s;
}

/* RELEASE, ROLLBACK TO. What the latter removes is not read before. */
static bool close_savepoint(struct pg_conn *c, const char *sql, const struct lex *lex)
{
    bool back = lex->kind == LEX_ROLLBACK_TO;
    const struct pg_savepoint *s = find_savepoint(c, lex);

    if (!s) {
        pg_error(c, "3B001", "savepoint \"%.*s\" does not exist",
                 (int)(lex->name_len < 100 ? lex->name_len : 100), lex->name);
        return false;
    }
    if (back)
        pg_portals_roll_back_to(c, s->depth);
    if (!run_savepoint(c, sql))
        return false;
    if (back) {
        pg_undo_roll_back_to(c, s->depth);
    } else {
        pg_portals_release(c, s->depth);
        pg_undo_release(c, s->depth);
    }
    forget_savepoints(c, back ? s->depth : s->depth - 1);
    if (back)
        c->tx = PG_TX_BLOCK;
    return true;
}

/* The statement without its comments, which SQLite may end elsewhere; NULL: no memory. */
static const char *without_comments(struct pg_conn *c, const struct pg_text *t)
{
    struct buf b = BUF_INIT;
    struct pg_lexer x;
    struct pg_token token;

    pg_lex_init(&x, t->sql, t->len);
    while (pg_lex_next(&x, &token) && token.type != PG_TOKEN_SEMI) {
        if (token.space && b.len > 0)
            buf_putc(&b, ' ');
        buf_put(&b, token.text, token.len);
    }
    const char *sql = buf_ok(&b) ? arena_strndup(c->arena, buf_cstr(&b), b.len) : NULL;
    buf_free(&b);
    return sql;
}

static bool savepoint(struct pg_conn *c, const struct pg_text *t, char tag[PG_TAG_BYTES])
{
    const char *sql = without_comments(c, t);
    struct lex lex = lex_statement(sql ? sql : "", sql ? strlen(sql) : 0);

    pg_tag(tag, t->tag);
    if (c->tx != PG_TX_BLOCK && c->tx != PG_TX_FAILED) {
        pg_error(c, "25P01", "%s can only be used in transaction blocks", t->tag);
        return false;
    }
    if (!sql) {
        pg_error(c, "53200", "out of memory");
        return false;
    }
    switch (lex.kind) {
    case LEX_SAVEPOINT:
        return open_savepoint(c, sql, &lex);
    case LEX_RELEASE:
    case LEX_ROLLBACK_TO:
        return close_savepoint(c, sql, &lex);
    default: /* malformed: core says so */
        return run_savepoint(c, sql);
    }
}

bool pg_control(struct pg_conn *c, const struct pg_text *t, char tag[PG_TAG_BYTES])
{
    switch (t->kind) {
    case PG_BEGIN:
        pg_tag(tag, t->tag);
        return begin(c, t);
    case PG_COMMIT:
    case PG_ROLLBACK:
        return end_block(c, t, tag);
    default:
        return savepoint(c, t, tag);
    }
}
