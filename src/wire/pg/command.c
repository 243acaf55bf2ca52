/*
 * Statements that never reach SQLite: settings, prepared statements by SQL, databases, and what is
 * accepted and ignored, with a NOTICE where that might surprise.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sql/lex.h"
#include "wire/pg/session.h"

#define WORD_BYTES 512

/* ---- words ---- */

/* A statement read word by word; strings and quoted names lose their quotes. */
struct words {
    const char *at, *end;
    struct lex_token t;
    char text[WORD_BYTES];
    bool has; /* `t` and `text` are valid, and no semicolon */
};

static void advance(struct words *w)
{
    w->has = lex_next(&w->at, w->end, &w->t) && w->t.type != LEX_TOKEN_SEMI;
    w->text[0] = '\0';
    if (!w->has)
        return;
    if (w->t.len >= sizeof w->text) {
        (void)snprintf(w->text, sizeof w->text, "%.*s", (int)sizeof w->text - 1, w->t.text);
    } else if (w->t.type == LEX_TOKEN_STRING || w->t.type == LEX_TOKEN_QUOTED) {
        (void)lex_unquote(&w->t, w->text);
    } else {
        memcpy(w->text, w->t.text, w->t.len);
        w->text[w->t.len] = '\0';
    }
}

static void begin_words(struct words *w, const struct pg_text *t)
{
    memset(w, 0, sizeof *w);
    w->at = t->sql;
    w->end = t->sql + t->len;
    advance(w);
}

static bool is(const struct words *w, const char *keyword)
{
    return w->has && w->t.type == LEX_TOKEN_WORD && lex_is(&w->t, keyword);
}

static bool skip(struct words *w, const char *keyword)
{
    if (!is(w, keyword))
        return false;
    advance(w);
    return true;
}

static bool syntax(struct pg_conn *c, const struct words *w)
{
    if (w->has)
        pg_error(c, "42601", "syntax error at or near \"%s\"", w->text);
    else
        pg_error(c, "42601", "syntax error at end of input");
    return false;
}

/* What is left, as text, without the semicolon. */
static void rest(const struct words *w, char *out, size_t size)
{
    const char *p = w->has ? w->t.text : w->end, *end = w->end;

    while (end > p && strchr("; \t\r\n", end[-1]))
        end--;
    (void)snprintf(out, size, "%.*s", (int)(end - p), p);
}

/* ---- SHOW ---- */

const char *pg_setting(struct pg_conn *c, const char *name, const char **canonical)
{
    static const char *const names[] = {"session_authorization", "ssl", "transaction_read_only"};

    if (strcasecmp(name, names[0]) == 0)
        return *canonical = names[0], c->user_name;
    if (strcasecmp(name, names[1]) == 0)
        return *canonical = names[1], c->server->tls ? "on" : "off";
    if (strcasecmp(name, names[2]) == 0 && (c->user->read_only || c->tx_read_only))
        return *canonical = names[2], "on";
    if (strcasecmp(name, names[2]) == 0)
        return *canonical = names[2],
               pg_settings_get(&c->settings, "default_transaction_read_only", NULL);
    return pg_settings_get(&c->settings, name, canonical);
}

const char *pg_front_setting(void *conn, const char *name)
{
    const char *canonical;

    return pg_setting(conn, name, &canonical);
}

/* While a statement runs, and perhaps in another thread: the client is told later. */
enum pg_set pg_front_set(void *conn, const char *name, const char *value, bool local)
{
    struct pg_conn *c = conn;
    enum pg_set set = pg_set(c, name, value, local);

    if (set == PG_SET_OK)
        pg_settings_untold(&c->settings, name);
    return set;
}

/* The name behind SHOW, SET and RESET, with their two-word spellings. */
static void setting_name(struct words *w, char *out, size_t size)
{
    if (is(w, "TIME")) {
        advance(w);
        (void)skip(w, "ZONE");
        (void)snprintf(out, size, "TimeZone");
    } else if (is(w, "TRANSACTION")) {
        advance(w);
        if (skip(w, "ISOLATION"))
            (void)skip(w, "LEVEL");
        (void)snprintf(out, size, "transaction_isolation");
    } else if (is(w, "SESSION")) {
        advance(w);
        (void)skip(w, "AUTHORIZATION");
        (void)snprintf(out, size, "session_authorization");
    } else if (is(w, "NAMES")) {
        advance(w);
        (void)snprintf(out, size, "client_encoding");
    } else {
        (void)snprintf(out, size, "%s", w->text);
        advance(w);
        while (w->has && w->t.type == LEX_TOKEN_PUNCT && *w->t.text == '.') {
            size_t n = strlen(out);
            advance(w);
            (void)snprintf(out + n, size - n, ".%s", w->text);
            advance(w);
        }
    }
}

static bool show_all(struct pg_conn *c, bool describe)
{
    static const char *const columns[] = {"name", "setting", "description"};
    const char *row[3] = {NULL, NULL, ""};
    bool reported;

    if (describe)
        pg_write_text_columns(c, columns, 3);
    for (size_t i = 0; pg_settings_at(&c->settings, i, &row[0], &row[1], &reported); i++)
        pg_write_text_row(c, row, 3);
    return true;
}

static bool show_databases(struct pg_conn *c, bool describe)
{
    static const char *const columns[] = {"name"};
    char id[PG_ID_BYTES];

    if (describe)
        pg_write_text_columns(c, columns, 1);
    for (size_t i = 0; node_database_at(c->server->node, i, id, sizeof id); i++) {
        const char *row[] = {id};
        pg_write_text_row(c, row, 1);
    }
    return true;
}

static bool show(struct pg_conn *c, struct words *w, bool describe)
{
    char name[WORD_BYTES];
    const char *canonical = NULL, *value;

    advance(w);
    if (!w->has)
        return syntax(c, w);
    if (is(w, "ALL"))
        return show_all(c, describe);
    if (is(w, "DATABASES"))
        return show_databases(c, describe);
    setting_name(w, name, sizeof name);
    value = pg_setting(c, name, &canonical);
    if (!value) {
        pg_error(c, "42704", "unrecognized configuration parameter \"%s\"", name);
        return false;
    }
    if (describe)
        pg_write_text_columns(c, &canonical, 1);
    pg_write_text_row(c, &value, 1);
    return true;
}

/* ---- SET and RESET ---- */

static bool set_value(struct pg_conn *c, const char *name, const char *value, bool local)
{
    switch (pg_set(c, name, value, local)) {
    case PG_SET_OK:
        pg_report(c, name);
        if (strcasecmp(name, "default_transaction_read_only") == 0)
            pg_apply_read_only(c);
        return true;
    case PG_SET_UNKNOWN:
        pg_error(c, "42704", "unrecognized configuration parameter \"%s\"", name);
        return false;
    case PG_SET_FIXED:
        pg_error(c, "55P02", "parameter \"%s\" cannot be changed", name);
        return false;
    case PG_SET_INVALID:
        pg_error(c, "22023", "invalid value for parameter \"%s\": \"%s\"", name,
                 value ? value : "");
        return false;
    case PG_SET_NO_MEMORY:
        break;
    }
    pg_error(c, "53200", "out of memory");
    return false;
}

/* SET TRANSACTION and SET SESSION CHARACTERISTICS AS TRANSACTION: modes. */
static bool set_modes(struct pg_conn *c, struct words *w, bool session)
{
    while (w->has) {
        if (skip(w, "READ")) {
            bool only = is(w, "ONLY");
            if (session) {
                if (!set_value(c, "default_transaction_read_only", only ? "on" : "off", false))
                    return false;
            } else if (c->tx == PG_TX_BLOCK || c->tx == PG_TX_IMPLICIT) {
                c->tx_read_only = only;
                pg_apply_read_only(c);
            }
        }
        advance(w); /* isolation levels: all are served as serializable */
    }
    return true;
}

static bool use_database(struct pg_conn *c, const char *name)
{
    struct err e = ERR_INIT;

    pg_portals_park(c);
    if (pg_use_database(c, name, &e) == ERR_OK)
        return true;
    if (e.code == ERR_NO_DATABASE)
        pg_error(c, "3D000", "database \"%s\" does not exist", name);
    else
        pg_error_core(c, &e, NULL, 0);
    return false;
}

/* TO value, = value, value, value…: one text. */
static bool read_value(struct words *w, char *out, size_t size)
{
    size_t n = 0;

    if (!skip(w, "TO") && w->has && w->t.type == LEX_TOKEN_PUNCT && *w->t.text == '=')
        advance(w);
    out[0] = '\0';
    while (w->has) {
        if (w->t.type == LEX_TOKEN_PUNCT && *w->t.text == ',')
            n += (size_t)snprintf(out + n, size - n, ", ");
        else
            n += (size_t)snprintf(out + n, size - n, "%s", w->text);
        if (n >= size)
            return false;
        advance(w);
    }
    return n > 0;
}

/* Nothing else is in the query string: nobody sees what it sets for the transaction alone. */
static bool is_alone(const struct pg_conn *c, const struct words *w)
{
    const char *behind = w->end;
    struct lex_token t;

    if (!c->query)
        return true;
    return c->query + pg_split(c->query, strlen(c->query)) == w->end &&
           !lex_next(&behind, behind + strlen(behind), &t);
}

static bool set(struct pg_conn *c, struct words *w)
{
    char name[WORD_BYTES], value[WORD_BYTES];
    bool session = false, local = false;

    advance(w);
    if (is(w, "DATABASE")) {
        advance(w);
        (void)skip(w, "TO");
        rest(w, value, sizeof value);
        if (w->t.type == LEX_TOKEN_STRING || w->t.type == LEX_TOKEN_QUOTED)
            (void)snprintf(value, sizeof value, "%s", w->text);
        return *value ? use_database(c, value) : syntax(c, w);
    }
    if (is(w, "CONSTRAINTS")) /* deferred ones are declared so in SQLite */
        return true;
    if (is(w, "TRANSACTION")) {
        advance(w);
        return set_modes(c, w, false);
    }
    if (is(w, "SESSION") || is(w, "LOCAL")) {
        session = is(w, "SESSION");
        local = !session;
        struct words ahead = *w;
        advance(&ahead);
        if (session && is(&ahead, "CHARACTERISTICS")) {
            *w = ahead;
            advance(w);
            (void)skip(w, "AS");
            (void)skip(w, "TRANSACTION");
            return set_modes(c, w, true);
        }
        if (!(session && is(&ahead, "AUTHORIZATION")))
            advance(w);
    }
    if (!w->has)
        return syntax(c, w);
    bool role = is(w, "ROLE") || is(w, "SESSION");
    setting_name(w, name, sizeof name);
    if (!read_value(w, value, sizeof value))
        return syntax(c, w);
    if (role) {
        pg_notice(c, "NOTICE", "00000", "roles are not changed here: SET %s is ignored", name);
        return true;
    }
    if (local && c->tx == PG_TX_IDLE && is_alone(c, w))
        pg_notice(c, "WARNING", "25P01", "SET LOCAL can only be used in transaction blocks");
    return set_value(c, name, strcasecmp(value, "default") == 0 ? NULL : value, local);
}

static bool reset_all(struct pg_conn *c)
{
    const char *name, *value;
    bool reported;

    for (size_t i = 0; pg_settings_at(&c->settings, i, &name, &value, &reported); i++)
        if (pg_settings_own(&c->settings, name) && !set_value(c, name, NULL, false))
            return false;
    return true;
}

static bool reset(struct pg_conn *c, struct words *w)
{
    char name[WORD_BYTES];

    advance(w);
    if (!w->has)
        return syntax(c, w);
    if (is(w, "ALL"))
        return reset_all(c);
    bool role = is(w, "ROLE") || is(w, "SESSION");
    setting_name(w, name, sizeof name);
    return role || set_value(c, name, NULL, false);
}

/* ---- prepared statements by SQL ---- */

static bool deallocate(struct pg_conn *c, struct words *w, char tag[PG_TAG_BYTES])
{
    advance(w);
    (void)skip(w, "PREPARE");
    if (is(w, "ALL")) {
        pg_tag(tag, "DEALLOCATE ALL");
        pg_prepared_clear(c);
        return true;
    }
    if (!w->has)
        return syntax(c, w);
    if (!pg_prepared_find(c, w->text)) {
        pg_error(c, "26000", "prepared statement \"%s\" does not exist", w->text);
        return false;
    }
    pg_prepared_remove(c, w->text);
    return true;
}

static bool discard(struct pg_conn *c, struct words *w, char tag[PG_TAG_BYTES])
{
    advance(w);
    if (!is(w, "ALL")) {
        (void)snprintf(tag, PG_TAG_BYTES, "DISCARD %.40s", w->text);
        return true;
    }
    pg_tag(tag, "DISCARD ALL");
    if (c->tx != PG_TX_IDLE) {
        pg_error(c, "25001", "DISCARD ALL cannot run inside a transaction block");
        return false;
    }
    pg_prepared_clear(c);
    return reset_all(c);
}

/* ---- databases ---- */

static bool in_block(struct pg_conn *c, const char *what)
{
    if (c->tx != PG_TX_BLOCK && c->tx != PG_TX_IMPLICIT)
        return false;
    pg_error(c, "25001", "%s cannot run inside a transaction block", what);
    return true;
}

static bool create_database(struct pg_conn *c, struct words *w)
{
    char name[WORD_BYTES];
    struct err e = ERR_INIT;

    advance(w); /* CREATE */
    advance(w); /* DATABASE */
    if (!w->has)
        return syntax(c, w);
    if (in_block(c, "CREATE DATABASE"))
        return false;
    if (c->user->read_only) {
        pg_error(c, "42501", "permission denied to create database");
        return false;
    }
    rest(w, name, sizeof name); /* a DSN may hold points, question marks … */
    if (w->t.type == LEX_TOKEN_STRING || w->t.type == LEX_TOKEN_QUOTED)
        (void)snprintf(name, sizeof name, "%s", w->text);
    else
        name[strcspn(name, " \t\r\n")] = '\0';
    if (node_create_database(c->server->node, name, &e) == ERR_OK)
        return true;
    pg_error_core(c, &e, NULL, 0);
    return false;
}

static bool drop_database(struct pg_conn *c, struct words *w)
{
    char name[WORD_BYTES], with_suffix[WORD_BYTES + 4];
    struct err e = ERR_INIT;
    bool if_exists;

    advance(w);
    advance(w);
    if_exists = skip(w, "IF");
    if (if_exists)
        (void)skip(w, "EXISTS");
    if (!w->has)
        return syntax(c, w);
    if (in_block(c, "DROP DATABASE"))
        return false;
    if (c->user->read_only) {
        pg_error(c, "42501", "permission denied to drop database");
        return false;
    }
    rest(w, name, sizeof name);
    if (w->t.type == LEX_TOKEN_STRING || w->t.type == LEX_TOKEN_QUOTED)
        (void)snprintf(name, sizeof name, "%s", w->text);
    else
        name[strcspn(name, " \t\r\n")] = '\0';
    if (node_drop_database(c->server->node, name, &e) == ERR_OK)
        return true;
    if (e.code == ERR_NO_DATABASE) {
        err_clear(&e);
        (void)snprintf(with_suffix, sizeof with_suffix, "%s.db", name);
        if (node_drop_database(c->server->node, with_suffix, &e) == ERR_OK)
            return true;
    }
    if (e.code == ERR_NO_DATABASE && if_exists) {
        pg_notice(c, "NOTICE", "00000", "database \"%s\" does not exist, skipping", name);
        return true;
    }
    if (e.code == ERR_NO_DATABASE)
        pg_error(c, "3D000", "database \"%s\" does not exist", name);
    else
        pg_error_core(c, &e, NULL, 0);
    return false;
}

/* ---- which one ---- */

static bool ignored(struct pg_conn *c, const char *what)
{
    pg_notice(c, "NOTICE", "00000", "%s has no effect here", what);
    return true;
}

static bool unsupported(struct pg_conn *c, const char *what)
{
    pg_error(c, "0A000", "%s is not available yet", what);
    return false;
}

static bool no_users(struct pg_conn *c)
{
    pg_error(c, "0A000",
             "users are not kept in the database: --pg-user, --pg-pass and --pg-users tell a node");
    return false;
}

bool pg_run_command(struct pg_conn *c, const struct pg_text *t, bool describe,
                    char tag[PG_TAG_BYTES])
{
    struct words w;

    begin_words(&w, t);
    pg_tag(tag, t->tag);
    if (is(&w, "SHOW"))
        return show(c, &w, describe);
    if (is(&w, "SET"))
        return set(c, &w);
    if (is(&w, "RESET"))
        return reset(c, &w);
    if (is(&w, "UNSET"))
        return use_database(c, "");
    if (is(&w, "DEALLOCATE"))
        return deallocate(c, &w, tag);
    if (is(&w, "DISCARD"))
        return discard(c, &w, tag);
    if (strcmp(t->tag, "CREATE DATABASE") == 0)
        return create_database(c, &w);
    if (strcmp(t->tag, "DROP DATABASE") == 0)
        return drop_database(c, &w);
    if (is(&w, "HISTORY") || is(&w, "UNDO") || is(&w, "UNDOE") || is(&w, "UNDOT"))
        return unsupported(c, w.text);
    if (is(&w, "LISTEN") || is(&w, "NOTIFY") || is(&w, "PREPARE") || is(&w, "EXECUTE"))
        return unsupported(c, t->tag);
    if (is(&w, "UNLISTEN") || is(&w, "CHECKPOINT"))
        return true;
    /* Whoever says this counts on it: psql's \password, above all. */
    if (strstr(t->tag, " ROLE") || strstr(t->tag, " USER") || strstr(t->tag, " GROUP"))
        return no_users(c);
    return ignored(c, t->tag);
}

unsigned pg_command_columns(struct pg_conn *c, const struct pg_text *t, const char **names,
                            unsigned max)
{
    struct words w;
    char name[WORD_BYTES];
    const char *canonical = NULL;

    begin_words(&w, t);
    if (!is(&w, "SHOW") || max < 3)
        return 0;
    advance(&w);
    names[0] = "name";
    names[1] = "setting";
    names[2] = "description";
    if (is(&w, "ALL"))
        return 3;
    if (is(&w, "DATABASES"))
        return 1;
    setting_name(&w, name, sizeof name);
    if (pg_setting(c, name, &canonical))
        names[0] = canonical;
    return 1;
}
