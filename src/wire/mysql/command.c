/* Statements of our own: USE, KILL, databases, what is accepted and ignored, what is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sql/mysql/lex.h"
#include "wire/mysql/session.h"

struct words {
    struct mysql_conn *c;
    struct mysql_lexer x;
    struct mysql_token t;
    bool has;
};

static void advance(struct words *w)
{
    w->has = mysql_lex_next(&w->x, &w->t) && w->t.type != MYSQL_TOKEN_SEMI;
}

static bool skip(struct words *w, const char *word)
{
    if (!w->has || !mysql_lex_is(&w->t, word))
        return false;
    advance(w);
    return true;
}

static bool syntax(struct words *w)
{
    mysql_error(w->c, MYSQL_ER_PARSE, "You have an error in your SQL syntax; near '%.*s'",
                w->has ? (w->t.len < 80 ? (int)w->t.len : 80) : 0, w->has ? w->t.text : "");
    return false;
}

/* A name, or a DSN, which may hold points and question marks: up to the next blank. */
static bool take_name(struct words *w, char name[MYSQL_ID_BYTES])
{
    size_t n = 0;
    bool first = true;

    for (; w->has && (first || !w->t.space); advance(w)) {
        if (n + w->t.len >= MYSQL_ID_BYTES)
            return syntax(w);
        n += mysql_lex_value(&w->x, &w->t, name + n);
        first = false;
    }
    name[n] = '\0';
    return n > 0 || syntax(w);
}

bool mysql_use(struct mysql_conn *c, const char *name)
{
    struct err e = ERR_INIT;

    if (session_state(c->session) != SESSION_IDLE && strcmp(name, c->schema) == 0)
        return true;
    /* A transaction belongs to one database; MySQL's may go on, ours is committed. */
    if (!mysql_tx_commit(c))
        return false;
    if (mysql_use_database(c, name, &e) == ERR_OK) {
        c->schema_changed = true;
        return true;
    }
    mysql_error_core(c, &e);
    return false;
}

bool mysql_kill(struct mysql_conn *c, uint32_t id, bool connection)
{
    if (id == c->id && connection) {
        mysql_error(c, 1317, "Query execution was interrupted");
        c->closing = true;
        return false;
    }
    if (mysql_server_kill(c->server, id, connection))
        return true;
    mysql_error(c, MYSQL_ER_NO_SUCH_THREAD, "Unknown thread id: %u", id);
    return false;
}

static bool kill_statement(struct words *w)
{
    bool connection = true;
    char number[24];
    struct value v;

    advance(w);
    if (skip(w, "QUERY"))
        connection = false;
    else
        (void)skip(w, "CONNECTION");
    if (!w->has || w->t.len >= sizeof number)
        return syntax(w);
    if (w->t.type != MYSQL_TOKEN_NUMBER) {
        if (!mysql_value_of(w->c, w->t.text, w->t.len, &v))
            return false;
        return mysql_kill(w->c, v.type == VALUE_INTEGER ? (uint32_t)v.u.i : 0, connection);
    }
    memcpy(number, w->t.text, w->t.len);
    number[w->t.len] = '\0';
    return mysql_kill(w->c, (uint32_t)strtoul(number, NULL, 10), connection);
}

/* ---- databases ---- */

static bool create_database(struct words *w)
{
    char name[MYSQL_ID_BYTES];
    struct err e = ERR_INIT;
    bool if_not_exists = false;

    advance(w);
    advance(w);
    if (skip(w, "IF")) {
        if_not_exists = true;
        if (!skip(w, "NOT") || !skip(w, "EXISTS"))
            return syntax(w);
    }
    if (!take_name(w, name) || !mysql_tx_commit(w->c)) /* options of the character set follow */
        return false;
    if (node_create_database(w->c->server->node, name, &e) == ERR_OK)
        return true;
    if (e.code == ERR_DATABASE_EXISTS) {
        if (if_not_exists) {
            mysql_warn(w->c, "Note", MYSQL_ER_CREATE_EXISTS,
                       "Can't create database '%s'; database exists", name);
            return true;
        }
        mysql_error(w->c, MYSQL_ER_CREATE_EXISTS, "Can't create database '%s'; database exists",
                    name);
        return false;
    }
    mysql_error_core(w->c, &e);
    return false;
}

static bool drop_database(struct words *w)
{
    char name[MYSQL_ID_BYTES], with_suffix[MYSQL_ID_BYTES + 4];
    struct err e = ERR_INIT;
    bool if_exists = false;

    advance(w);
    advance(w);
    if (skip(w, "IF")) {
        if_exists = true;
        if (!skip(w, "EXISTS"))
            return syntax(w);
    }
    if (!take_name(w, name) || !mysql_tx_commit(w->c))
        return false;
    if (node_drop_database(w->c->server->node, name, &e) == ERR_OK)
        return true;
    if (e.code == ERR_NO_DATABASE) {
        err_clear(&e);
        (void)snprintf(with_suffix, sizeof with_suffix, "%s.db", name);
        if (node_drop_database(w->c->server->node, with_suffix, &e) == ERR_OK)
            return true;
    }
    if (e.code == ERR_NO_DATABASE && if_exists) {
        mysql_warn(w->c, "Note", MYSQL_ER_DROP_EXISTS,
                   "Can't drop database '%s'; database doesn't exist", name);
        return true;
    }
    if (e.code == ERR_NO_DATABASE)
        mysql_error(w->c, MYSQL_ER_DROP_EXISTS, "Can't drop database '%s'; database doesn't exist",
                    name);
    else
        mysql_error_core(w->c, &e);
    return false;
}

/* ---- which one ---- */

/* LOCK TABLES: transactions are serializable anyway; what it says about other sessions is not kept.
 */
static bool lock_tables(struct mysql_conn *c, bool lock)
{
    if (!mysql_tx_commit(c))
        return false;
    if (lock)
        mysql_warn(c, "Note", MYSQL_ER_UNSUPPORTED,
                   "LOCK TABLES locks nothing here: use a transaction");
    return true;
}

bool mysql_run_command(struct mysql_conn *c, const struct mysql_statement *t)
{
    struct words w = {.c = c};
    char name[MYSQL_ID_BYTES];

    mysql_lex_init(&w.x, t->sql, t->len);
    advance(&w);
    switch (t->command) {
    case MYSQL_COMMAND_USE:
        advance(&w);
        return take_name(&w, name) && mysql_use(c, name);
    case MYSQL_COMMAND_KILL:
        return kill_statement(&w);
    case MYSQL_COMMAND_CREATE_DATABASE:
        return create_database(&w);
    case MYSQL_COMMAND_DROP_DATABASE:
        return drop_database(&w);
    case MYSQL_COMMAND_LOCK:
    case MYSQL_COMMAND_UNLOCK:
        return lock_tables(c, t->command == MYSQL_COMMAND_LOCK);
    case MYSQL_COMMAND_IGNORED:
        mysql_warn(c, "Note", MYSQL_ER_UNSUPPORTED, "%.*s has no effect here", (int)w.t.len,
                   w.t.text);
        return true;
    default:
        mysql_error(c, MYSQL_ER_UNSUPPORTED, "This version of ha doesn't support '%.*s'",
                    w.t.len < 40 ? (int)w.t.len : 40, w.t.text);
        return false;
    }
}
