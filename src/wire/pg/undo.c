/*
 * What a transaction has set, and how it was before. A rollback takes all of it back, a commit what
 * is LOCAL; ROLLBACK TO what has been set since the savepoint.
 *
 * Statements outside a block are noted, too: they may be one transaction with what follows in their
 * query string, or until Sync. The message loop ends it where no block is open.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "wire/pg/session.h"

enum extent { LOCAL, SESSION, SESSION_THEN_LOCAL };

/* One setting at one depth of savepoints. */
struct pg_undo {
    struct pg_undo *older;
    const char *name; /* borrowed: the settings never forget one */
    char *before;     /* as it was; NULL = the start value */
    char *kept;       /* SESSION_THEN_LOCAL: what a commit returns to; NULL = the start value */
    unsigned depth;
    enum extent extent;
};

static void undo_free(struct pg_undo *u)
{
    if (!u)
        return;
    free(u->before);
    free(u->kept);
    free(u);
}

static char *take(char **from)
{
    char *s = *from;

    *from = NULL;
    return s;
}

/* ---- noting ---- */

/* `u` happened after `to`, to the same setting at the same depth. */
static void fold(struct pg_undo *to, struct pg_undo *u)
{
    if (u->extent != LOCAL) {
        free(to->kept);
        to->kept = take(&u->kept);
        to->extent = u->extent;
    } else if (to->extent == SESSION) {
        to->kept = take(&u->before);
        to->extent = SESSION_THEN_LOCAL;
    }
    undo_free(u);
}

static void note(struct pg_conn *c, struct pg_undo *u)
{
    struct pg_undo *last = c->undo;

    while (last && strcasecmp(last->name, u->name) != 0)
        last = last->older;
    if (last && last->depth == u->depth) {
        fold(last, u);
        return;
    }
    u->older = c->undo;
    c->undo = u;
}

static struct pg_undo *undo_new(struct pg_conn *c, const char *name, bool local)
{
    const char *before = pg_settings_own(&c->settings, name);
    struct pg_undo *u = calloc(1, sizeof *u);

    if (!u)
        return NULL;
    u->depth = pg_tx_depth(c);
    u->extent = local ? LOCAL : SESSION;
    if (before && !(u->before = strdup(before))) {
        free(u);
        return NULL;
    }
    return u;
}

enum pg_set pg_set(struct pg_conn *c, const char *name, const char *value, bool local)
{
    struct pg_undo *u = undo_new(c, name, local);
    enum pg_set set = u ? pg_settings_set(&c->settings, name, value) : PG_SET_NO_MEMORY;

    if (set == PG_SET_OK && pg_settings_get(&c->settings, name, &u->name))
        note(c, u);
    else
        undo_free(u);
    return set;
}

/* ---- undoing ---- */

void pg_report(struct pg_conn *c, const char *name)
{
    const char *canonical = name;
    const char *value = pg_settings_get(&c->settings, name, &canonical);

    pg_settings_told(&c->settings, name);
    if (value && pg_settings_is_reported(name))
        pgwire_write_parameter(&c->io.out, canonical, value);
}

void pg_report_untold(struct pg_conn *c)
{
    const char *name;

    while ((name = pg_settings_next_untold(&c->settings))) {
        pg_report(c, name);
        if (strcmp(name, "default_transaction_read_only") == 0)
            pg_apply_read_only(c);
    }
}

/* Takes `value` over. */
static void put_back(struct pg_conn *c, const char *name, char *value)
{
    pg_settings_put_back(&c->settings, name, value);
    pg_report(c, name);
    if (strcmp(name, "default_transaction_read_only") == 0)
        pg_apply_read_only(c);
}

static struct pg_undo *pop(struct pg_conn *c)
{
    struct pg_undo *u = c->undo;

    c->undo = u->older;
    return u;
}

void pg_undo_roll_back_to(struct pg_conn *c, unsigned depth)
{
    while (c->undo && c->undo->depth >= depth) { /* the deepest are the latest */
        struct pg_undo *u = pop(c);
        put_back(c, u->name, take(&u->before));
        undo_free(u);
    }
}

void pg_undo_release(struct pg_conn *c, unsigned depth)
{
    struct pg_undo *inner = NULL, *u;

    while (c->undo && c->undo->depth >= depth) {
        u = pop(c);
        u->older = inner;
        inner = u;
    }
    while ((u = inner)) { /* the earliest first */
        inner = u->older;
        u->depth = depth - 1;
        note(c, u);
    }
}

static void commit(struct pg_conn *c)
{
    pg_undo_release(c, 1);
    while (c->undo) {
        struct pg_undo *u = pop(c);
        if (u->extent != SESSION)
            put_back(c, u->name, take(u->extent == LOCAL ? &u->before : &u->kept));
        undo_free(u);
    }
}

void pg_undo_end(struct pg_conn *c, bool committed)
{
    if (committed)
        commit(c);
    else
        pg_undo_roll_back_to(c, 0);
}

void pg_undo_clear(struct pg_conn *c)
{
    while (c->undo)
        undo_free(pop(c));
}
