/*
 * Transactions as MySQL has them, on top of core's. An error takes back its statement and leaves
 * the transaction as it is; a conflict (1213) ends it. BEGIN commits what is open, and so does DDL.
 */
#include <stdio.h>
#include <string.h>

#include "sql/mysql/lex.h"
#include "sql/quote.h"
#include "wire/mysql/session.h"

uint16_t mysql_status(const struct mysql_conn *c)
{
    unsigned status = c->autocommit ? MYSQLWIRE_AUTOCOMMIT : 0;
    const char *mode = mysql_variable(&c->variables, "sql_mode");

    if (c->session && session_state(c->session) != SESSION_IDLE)
        status |= MYSQLWIRE_IN_TRANS;
    if (c->more)
        status |= MYSQLWIRE_MORE_RESULTS;
    if (c->variables.values && strstr(mode, "NO_BACKSLASH_ESCAPES"))
        status |= MYSQLWIRE_NO_BACKSLASH;
    return (uint16_t)status;
}

void mysql_apply_read_only(struct mysql_conn *c)
{
    const char *value = mysql_variable(&c->variables, "transaction_read_only");

    if (c->session)
        session_set_read_only(c->session, c->read_only_once || strcmp(value, "ON") == 0);
}

static void ended(struct mysql_conn *c)
{
    c->in_block = false;
    if (c->read_only_once) {
        c->read_only_once = false;
        mysql_apply_read_only(c);
    }
}

void mysql_tx_rollback(struct mysql_conn *c)
{
    struct err ignored = ERR_INIT;

    if (c->session && session_state(c->session) != SESSION_IDLE)
        (void)mysql_exec(c, "ROLLBACK", &ignored);
    ended(c);
}

bool mysql_tx_commit(struct mysql_conn *c)
{
    struct err e = ERR_INIT;

    if (session_state(c->session) == SESSION_IDLE) {
        ended(c);
        return true;
    }
    if (mysql_exec(c, "COMMIT", &e) == ERR_OK) {
        ended(c);
        return true;
    }
    mysql_tx_rollback(c);
    mysql_error_core(c, &e);
    return false;
}

void mysql_tx_after_error(struct mysql_conn *c)
{
    if (session_state(c->session) == SESSION_TX_FAILED)
        mysql_tx_rollback(c);
    else if (session_state(c->session) == SESSION_IDLE)
        ended(c);
}

static bool begin(struct mysql_conn *c, const char *sql)
{
    struct err e = ERR_INIT;

    if (mysql_exec(c, sql, &e) != ERR_OK) {
        mysql_error_core(c, &e);
        return false;
    }
    c->in_block = true;
    return true;
}

bool mysql_tx_before(struct mysql_conn *c, const struct mysql_statement *t)
{
    if (t->command == MYSQL_COMMAND_DDL)
        return mysql_tx_commit(c);
    if (c->autocommit || t->command == MYSQL_COMMAND_SHOW ||
        session_state(c->session) != SESSION_IDLE)
        return true;
    const struct mysql_context x = mysql_context(c);
    if (!mysql_command_has_table(&x, t->sql, t->len))
        return true;
    return begin(c, "BEGIN");
}

bool mysql_set_autocommit(struct mysql_conn *c, bool on)
{
    if (on && !c->autocommit && !mysql_tx_commit(c))
        return false;
    c->autocommit = on;
    return true;
}

/* ---- the statements ---- */

/* Its words, without what stands between them. */
struct words {
    struct mysql_lexer x;
    struct mysql_token t;
    bool has;
};

static void advance(struct words *w)
{
    w->has = mysql_lex_next(&w->x, &w->t) && w->t.type != MYSQL_TOKEN_SEMI;
}

static struct words words_of(const struct mysql_statement *t)
{
    struct words w;

    mysql_lex_init(&w.x, t->sql, t->len);
    advance(&w);
    return w;
}

static bool has_words(const struct mysql_statement *t, const char *a, const char *b)
{
    bool before = false;

    for (struct words w = words_of(t); w.has; advance(&w)) {
        if (before && mysql_lex_is(&w.t, b))
            return true;
        before = mysql_lex_is(&w.t, a);
    }
    return false;
}

static bool start(struct mysql_conn *c, const struct mysql_statement *t)
{
    bool write = has_words(t, "BEGIN", "IMMEDIATE") || has_words(t, "BEGIN", "EXCLUSIVE");

    if (!mysql_tx_commit(c) || !begin(c, write ? "BEGIN IMMEDIATE" : "BEGIN"))
        return false;
    if (has_words(t, "READ", "ONLY")) {
        c->read_only_once = true;
        mysql_apply_read_only(c);
    }
    return true;
}

static bool finish(struct mysql_conn *c, const struct mysql_statement *t)
{
    if (t->command == MYSQL_COMMAND_COMMIT) {
        if (!mysql_tx_commit(c))
            return false;
    } else {
        mysql_tx_rollback(c);
    }
    if (has_words(t, "AND", "CHAIN"))
        return begin(c, "BEGIN");
    if (has_words(t, "RELEASE", "RELEASE") ||
        (!has_words(t, "NO", "RELEASE") &&
         (has_words(t, "COMMIT", "RELEASE") || has_words(t, "ROLLBACK", "RELEASE") ||
          has_words(t, "WORK", "RELEASE") || has_words(t, "CHAIN", "RELEASE"))))
        c->closing = true;
    return true;
}

/* SAVEPOINT a, RELEASE SAVEPOINT a, ROLLBACK [WORK] TO [SAVEPOINT] a: the last word is the name. */
static bool savepoint(struct mysql_conn *c, const struct mysql_statement *t)
{
    static const char *const verbs[] = {[MYSQL_COMMAND_SAVEPOINT] = "SAVEPOINT ",
                                        [MYSQL_COMMAND_RELEASE] = "RELEASE ",
                                        [MYSQL_COMMAND_ROLLBACK_TO] = "ROLLBACK TO "};
    struct mysql_token last = {.type = MYSQL_TOKEN_END};
    struct words w = words_of(t);
    struct buf b = BUF_INIT;
    struct err e = ERR_INIT;
    char *name;

    for (; w.has; advance(&w))
        last = w.t;
    name = arena_alloc(c->arena, last.len + 1);
    if (!name) {
        mysql_error(c, MYSQL_ER_OUT_OF_MEMORY, "Out of memory");
        return false;
    }
    size_t n = mysql_lex_value(&w.x, &last, name);
    if (session_state(c->session) == SESSION_IDLE) {
        /* With autocommit a savepoint is over with its own statement. */
        if (c->autocommit && t->command == MYSQL_COMMAND_SAVEPOINT)
            return true;
        if (c->autocommit || t->command != MYSQL_COMMAND_SAVEPOINT) {
            mysql_error(c, 1305, "SAVEPOINT %.*s does not exist", n < 64 ? (int)n : 64, name);
            return false;
        }
        if (!begin(c, "BEGIN"))
            return false;
    }
    buf_puts(&b, verbs[t->command]);
    quote_put(&b, name, n, '"');
    bool ok = buf_ok(&b) && mysql_exec(c, buf_cstr(&b), &e) == ERR_OK;
    buf_free(&b);
    if (ok)
        return true;
    mysql_tx_after_error(c);
    if (e.code == ERR_SAVEPOINT)
        mysql_error(c, 1305, "SAVEPOINT %.*s does not exist", n < 64 ? (int)n : 64, name);
    else
        mysql_error_core(c, &e);
    return false;
}

bool mysql_control(struct mysql_conn *c, const struct mysql_statement *t)
{
    switch (t->command) {
    case MYSQL_COMMAND_BEGIN:
        return start(c, t);
    case MYSQL_COMMAND_COMMIT:
    case MYSQL_COMMAND_ROLLBACK:
        return finish(c, t);
    default:
        return savepoint(c, t);
    }
}
