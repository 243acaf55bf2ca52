/*
 * Statements that never reach SQLite: settings (set.c), prepared statements by SQL, databases, and
 * what is accepted and ignored, with a NOTICE where that might surprise.
 */
#include <stdio.h>
#include <string.h>

#include "wire/pg/words.h"

/* ---- prepared statements by SQL ---- */

static bool deallocate(struct pg_conn *c, struct pg_words *w, char tag[PG_TAG_BYTES])
{
    char name[PG_WORD_BYTES];

    pg_words_next(w);
    (void)pg_words_skip(w, "PREPARE");
    if (pg_words_is(w, "ALL")) {
        pg_tag(tag, "DEALLOCATE ALL");
        pg_prepared_clear(c);
        return true;
    }
    if (!pg_words_name(w, name, sizeof name))
        return pg_words_syntax(c, w);
    if (!pg_prepared_find(c, name)) {
        pg_error(c, "26000", "prepared statement \"%s\" does not exist", name);
        return false;
    }
    pg_prepared_remove(c, name);
    return true;
}

static bool discard(struct pg_conn *c, struct pg_words *w, char tag[PG_TAG_BYTES])
{
    pg_words_next(w);
    if (!pg_words_is(w, "ALL")) {
        (void)snprintf(tag, PG_TAG_BYTES, "DISCARD %.40s", w->text);
        return true;
    }
    pg_tag(tag, "DISCARD ALL");
    if (c->tx != PG_TX_IDLE) {
        pg_error(c, "25001", "DISCARD ALL cannot run inside a transaction block");
        return false;
    }
    pg_prepared_clear(c);
    return pg_reset_all(c);
}

/* ---- databases ---- */

static bool in_block(struct pg_conn *c, const char *what)
{
    if (c->tx != PG_TX_BLOCK && c->tx != PG_TX_IMPLICIT)
        return false;
    pg_error(c, "25001", "%s cannot run inside a transaction block", what);
    return true;
}

/* A DSN may hold points, question marks … */
static void read_name(const struct pg_words *w, char name[PG_WORD_BYTES])
{
    if (pg_words_is_quoted(w)) {
        (void)snprintf(name, PG_WORD_BYTES, "%s", w->text);
        return;
    }
    pg_words_rest(w, name, PG_WORD_BYTES);
    name[strcspn(name, " \t\r\n")] = '\0';
}

static bool create_database(struct pg_conn *c, struct pg_words *w)
{
    char name[PG_WORD_BYTES];
    struct err e = ERR_INIT;

    pg_words_next(w); /* CREATE */
    pg_words_next(w); /* DATABASE */
    if (!w->has)
        return pg_words_syntax(c, w);
    if (in_block(c, "CREATE DATABASE"))
        return false;
    if (c->user->read_only) {
        pg_error(c, "42501", "permission denied to create database");
        return false;
    }
    read_name(w, name);
    if (node_create_database(c->server->node, name, &e) == ERR_OK)
        return true;
    pg_error_core(c, &e, NULL, 0);
    return false;
}

static bool drop_database(struct pg_conn *c, struct pg_words *w)
{
    char name[PG_WORD_BYTES], with_suffix[PG_WORD_BYTES + 4];
    struct err e = ERR_INIT;
    bool if_exists;

    pg_words_next(w);
    pg_words_next(w);
    if_exists = pg_words_skip(w, "IF");
    if (if_exists)
        (void)pg_words_skip(w, "EXISTS");
    if (!w->has)
        return pg_words_syntax(c, w);
    if (in_block(c, "DROP DATABASE"))
        return false;
    if (c->user->read_only) {
        pg_error(c, "42501", "permission denied to drop database");
        return false;
    }
    read_name(w, name);
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
    return pg_database_failed(c, name, &e);
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
    struct pg_words w;

    pg_words_begin(&w, t);
    pg_tag(tag, t->tag);
    if (pg_words_is(&w, "SHOW"))
        return pg_run_show(c, &w, describe);
    if (pg_words_is(&w, "SET"))
        return pg_run_set(c, &w);
    if (pg_words_is(&w, "RESET"))
        return pg_run_reset(c, &w);
    if (pg_words_is(&w, "UNSET"))
        return pg_set_database(c, "");
    if (pg_words_is(&w, "DEALLOCATE"))
        return deallocate(c, &w, tag);
    if (pg_words_is(&w, "DISCARD"))
        return discard(c, &w, tag);
    if (strcmp(t->tag, "CREATE DATABASE") == 0)
        return create_database(c, &w);
    if (strcmp(t->tag, "DROP DATABASE") == 0)
        return drop_database(c, &w);
    if (pg_words_is(&w, "LISTEN") || pg_words_is(&w, "NOTIFY") || pg_words_is(&w, "PREPARE") ||
        pg_words_is(&w, "EXECUTE"))
        return unsupported(c, t->tag);
    if (pg_words_is(&w, "UNLISTEN") || pg_words_is(&w, "CHECKPOINT"))
        return true;
    /* Whoever says this counts on it: psql's \password, above all. */
    if (strstr(t->tag, " ROLE") || strstr(t->tag, " USER") || strstr(t->tag, " GROUP"))
        return no_users(c);
    return ignored(c, t->tag);
}
