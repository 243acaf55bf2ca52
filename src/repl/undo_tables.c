#include "repl/undo_tables.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/array.h"
#include "sql/alter.h"
#include "sql/ddl_text.h"
#include "sql/revert.h"

#define MARKS_MAX ((size_t)100000) /* schema statements in a range */

void table_marks_fini(struct table_marks *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->at[i].name);
    free(t->at);
    free(t->last);
    *t = (struct table_marks){0};
}

void table_marks_again(struct table_marks *t)
{
    free(t->last);
    t->last = NULL;
}

/* ---- noting ---- */

static enum err_code mark(struct table_marks *t, const char *name, uint64_t place,
                          const struct address *by, struct err *e)
{
    struct table_mark *room;

    if (!*name)
        return ERR_OK;
    if (t->n >= MARKS_MAX)
        return err_set(e, ERR_TOO_BIG, "more than %zu schema statements lie in between", MARKS_MAX);
    room = array_room(t->at, t->n, &t->cap, sizeof *room);
    if (!room)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    t->at = room;
    room[t->n] = (struct table_mark){strdup(name), place, *by};
    if (!room[t->n].name)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    t->n++;
    return ERR_OK;
}

/* Those that leave rows, columns and their order as they are. */
static bool is_harmless(enum alter_kind kind)
{
    switch (kind) {
    case ALTER_SET_DEFAULT:
    case ALTER_DROP_DEFAULT:
    case ALTER_ADD_FOREIGN_KEY:
    case ALTER_RENAME_CONSTRAINT:
    case ALTER_DROP_REFERENCES:
    case ALTER_IDENTITY:
    case ALTER_RENAME_INDEX:
    case ALTER_ENUM_ADD:
    case ALTER_ENUM_RENAME:
        return true;
    default:
        return false;
    }
}

static enum err_code alters_rows(const struct change *c, bool *alters, struct err *e)
{
    struct arena *a = arena_new();
    struct alter x;
    bool read = a && alter_read(&x, a, c->command, c->command_len);

    *alters = read && !is_harmless(x.kind);
    arena_free(a);
    return read ? ERR_OK : err_set(e, ERR_NO_MEMORY, "out of memory");
}

enum err_code table_marks_note(struct table_marks *t, const struct change *c, uint64_t place,
                               const struct address *by, struct err *e)
{
    struct ddl_text d;
    bool marks = false;
    enum err_code code = ERR_OK;

    if (!ddl_text_read(&d, c->command, c->command_len))
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    switch (d.ddl.kind) {
    case DDL_CREATE_TABLE:
    case DDL_CREATE_VTABLE:
    case DDL_DROP_TABLE:
        marks = true;
        break;
    case DDL_ALTER:
        code = alters_rows(c, &marks, e);
        break;
    default:
        break;
    }
    if (code == ERR_OK && marks)
        code = mark(t, d.ddl.name, place, by, e);
    if (code == ERR_OK && marks)
        code = mark(t, d.ddl.rename, place, by, e);
    ddl_text_free(&d);
    return code;
}

void table_marks_cut(struct table_marks *t, uint64_t place)
{
    for (size_t i = t->n; i > 0 && t->at[i - 1].place > place; i--)
        t->at[i - 1].place = place;
}

/* ---- asking ---- */

/* Behind a virtual table v stand tables v_data, v_node … */
static bool may_be_behind(const char *table, const char *name)
{
    size_t n = strlen(name);

    return strncasecmp(table, name, n) == 0 && table[n] == '_';
}

static enum err_code look(struct table_marks *t, struct conn *c, const char *table, struct err *e)
{
    bool known = false, shadow = false;

    t->last = strdup(table);
    t->last_place = 0;
    if (!t->last)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    for (size_t i = t->n; i > 0; i--) {
        const struct table_mark *m = &t->at[i - 1];
        bool same = strcasecmp(m->name, table) == 0;
        if (!same && !may_be_behind(table, m->name))
            continue;
        if (!same && !known) {
            if (revert_is_shadow(c, table, &shadow, e) != ERR_OK)
                return e->code;
            known = true;
        }
        if (same || shadow) {
            t->last_place = m->place;
            t->last_by = m->by;
            return ERR_OK;
        }
    }
    return ERR_OK;
}

enum err_code table_marks_check(struct table_marks *t, struct conn *c, const struct inverse *x,
                                struct err *e)
{
    const char *table = x->change.table;
    char name[ADDRESS_SIZE], by[ADDRESS_SIZE];

    if (t->n == 0)
        return ERR_OK;
    if (!t->last || strcmp(t->last, table) != 0) {
        table_marks_again(t);
        if (look(t, c, table, e) != ERR_OK)
            return e->code;
    }
    if (x->place >= t->last_place)
        return ERR_OK;
    address_print(&(struct address){x->seq, x->index}, name);
    address_print(&t->last_by, by);
    return err_set(e, ERR_SCHEMA_CHANGED,
                   "transaction %s has changed rows of table %.100s, which transaction %s has "
                   "created, altered or dropped since: the rows of that time fit it no more",
                   name, table, by);
}
