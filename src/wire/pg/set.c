/* SHOW, SET and RESET; what settings there are says settings.c. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "wire/pg/words.h"

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
static void setting_name(struct pg_words *w, char *out, size_t size)
{
    if (pg_words_is(w, "TIME")) {
        pg_words_next(w);
        (void)pg_words_skip(w, "ZONE");
        (void)snprintf(out, size, "TimeZone");
    } else if (pg_words_is(w, "TRANSACTION")) {
        pg_words_next(w);
        if (pg_words_skip(w, "ISOLATION"))
            (void)pg_words_skip(w, "LEVEL");
        (void)snprintf(out, size, "transaction_isolation");
    } else if (pg_words_is(w, "SESSION")) {
        pg_words_next(w);
        (void)pg_words_skip(w, "AUTHORIZATION");
        (void)snprintf(out, size, "session_authorization");
    } else if (pg_words_is(w, "NAMES")) {
        pg_words_next(w);
        (void)snprintf(out, size, "client_encoding");
    } else {
        (void)snprintf(out, size, "%s", w->text);
        pg_words_next(w);
        while (pg_words_is_op(w, ".")) {
            size_t n = strlen(out);
            pg_words_next(w);
            (void)snprintf(out + n, size - n, ".%s", w->text);
            pg_words_next(w);
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

bool pg_run_show(struct pg_conn *c, struct pg_words *w, bool describe)
{
    char name[PG_WORD_BYTES];
    const char *canonical = NULL, *value;

    pg_words_next(w);
    if (!w->has)
        return pg_words_syntax(c, w);
    if (pg_words_is(w, "ALL"))
        return show_all(c, describe);
    if (pg_words_is(w, "DATABASES"))
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
static bool set_modes(struct pg_conn *c, struct pg_words *w, bool session)
{
    while (w->has) {
        if (pg_words_skip(w, "READ")) {
            bool only = pg_words_is(w, "ONLY");
            if (session) {
                if (!set_value(c, "default_transaction_read_only", only ? "on" : "off", false))
                    return false;
            } else if (c->tx == PG_TX_BLOCK || c->tx == PG_TX_IMPLICIT) {
                c->tx_read_only = only;
                pg_apply_read_only(c);
            }
        }
        pg_words_next(w); /* isolation levels: all are served as serializable */
    }
    return true;
}

bool pg_database_failed(struct pg_conn *c, const char *name, const struct err *e)
{
    if (e->code == ERR_NO_DATABASE)
        pg_error(c, "3D000", "database \"%s\" does not exist", name);
    else
        pg_error_core(c, e, NULL, 0);
    return false;
}

bool pg_set_database(struct pg_conn *c, const char *name)
{
    struct err e = ERR_INIT;

    pg_portals_park(c);
    if (pg_use_database(c, name, &e) == ERR_OK)
        return true;
    return pg_database_failed(c, name, &e);
}

/* TO value, = value, value, value…: one text. */
static bool read_value(struct pg_words *w, char *out, size_t size)
{
    size_t n = 0;

    if (!pg_words_skip(w, "TO") && pg_words_is_op(w, "="))
        pg_words_next(w);
    out[0] = '\0';
    while (w->has) {
        if (pg_words_is_op(w, ","))
            n += (size_t)snprintf(out + n, size - n, ", ");
        else
            n += (size_t)snprintf(out + n, size - n, "%s", w->text);
        if (n >= size)
            return false;
        pg_words_next(w);
    }
    return n > 0;
}

/* Nothing else is in the query string: nobody sees what it sets for the transaction alone. */
static bool is_alone(const struct pg_conn *c, const struct pg_words *w)
{
    const char *behind = w->lex.end;

    if (!c->query)
        return true;
    return c->query + pg_split(c->query, strlen(c->query)) == behind &&
           pg_lex_blank(behind, strlen(behind)) == strlen(behind);
}

bool pg_run_set(struct pg_conn *c, struct pg_words *w)
{
    char name[PG_WORD_BYTES], value[PG_WORD_BYTES];
    bool session = false, local = false;

    pg_words_next(w);
    if (pg_words_is(w, "DATABASE")) {
        pg_words_next(w);
        (void)pg_words_skip(w, "TO");
        pg_words_rest(w, value, sizeof value);
        if (pg_words_is_quoted(w))
            (void)snprintf(value, sizeof value, "%s", w->text);
        return *value ? pg_set_database(c, value) : pg_words_syntax(c, w);
    }
    if (pg_words_is(w, "CONSTRAINTS")) /* deferred ones are declared so in SQLite */
        return true;
    if (pg_words_is(w, "TRANSACTION")) {
        pg_words_next(w);
        return set_modes(c, w, false);
    }
    if (pg_words_is(w, "SESSION") || pg_words_is(w, "LOCAL")) {
        session = pg_words_is(w, "SESSION");
        local = !session;
        struct pg_words ahead = *w;
        pg_words_next(&ahead);
        if (session && pg_words_is(&ahead, "CHARACTERISTICS")) {
            *w = ahead;
            pg_words_next(w);
            (void)pg_words_skip(w, "AS");
            (void)pg_words_skip(w, "TRANSACTION");
            return set_modes(c, w, true);
        }
        if (!(session && pg_words_is(&ahead, "AUTHORIZATION")))
            pg_words_next(w);
    }
    if (!w->has)
        return pg_words_syntax(c, w);
    bool role = pg_words_is(w, "ROLE") || pg_words_is(w, "SESSION");
    setting_name(w, name, sizeof name);
    if (!read_value(w, value, sizeof value))
        return pg_words_syntax(c, w);
    if (role) {
        pg_notice(c, "NOTICE", "00000", "roles are not changed here: SET %s is ignored", name);
        return true;
    }
    if (local && c->tx == PG_TX_IDLE && is_alone(c, w))
        pg_notice(c, "WARNING", "25P01", "SET LOCAL can only be used in transaction blocks");
    return set_value(c, name, strcasecmp(value, "default") == 0 ? NULL : value, local);
}

bool pg_reset_all(struct pg_conn *c)
{
    const char *name, *value;
    bool reported;

    for (size_t i = 0; pg_settings_at(&c->settings, i, &name, &value, &reported); i++)
        if (pg_settings_own(&c->settings, name) && !set_value(c, name, NULL, false))
            return false;
    return true;
}

bool pg_run_reset(struct pg_conn *c, struct pg_words *w)
{
    char name[PG_WORD_BYTES];

    pg_words_next(w);
    if (!w->has)
        return pg_words_syntax(c, w);
    if (pg_words_is(w, "ALL"))
        return pg_reset_all(c);
    bool role = pg_words_is(w, "ROLE") || pg_words_is(w, "SESSION");
    setting_name(w, name, sizeof name);
    return role || set_value(c, name, NULL, false);
}

unsigned pg_show_columns(struct pg_conn *c, const struct pg_text *t, const char **names,
                         unsigned max)
{
    struct pg_words w;
    char name[PG_WORD_BYTES];
    const char *canonical = NULL;

    pg_words_begin(&w, t);
    if (!pg_words_is(&w, "SHOW") || max < 3)
        return 0;
    pg_words_next(&w);
    names[0] = "name";
    names[1] = "setting";
    names[2] = "description";
    if (pg_words_is(&w, "ALL"))
        return 3;
    if (pg_words_is(&w, "DATABASES"))
        return 1;
    setting_name(&w, name, sizeof name);
    if (pg_setting(c, name, &canonical))
        names[0] = canonical;
    return 1;
}
