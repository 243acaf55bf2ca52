/* Reads ALTER statements. */
#include <string.h>

#include "sql/alter.h"
#include "sql/lex.h"
#include "sql/policy.h"

struct reader {
    struct alter *out;
    struct arena *arena;
    const char *at, *end;
    struct lex_token t; /* the current one */
    bool failed;        /* no memory */
};

static void step(struct reader *r)
{
    if (!lex_next(&r->at, r->end, &r->t)) {
        r->t.text = r->end;
        r->t.len = 0;
    }
}

static bool skip(struct reader *r, const char *keyword)
{
    if (!lex_is(&r->t, keyword))
        return false;
    step(r);
    return true;
}

static bool ends(const struct reader *r)
{
    return r->t.type == LEX_TOKEN_END || r->t.type == LEX_TOKEN_SEMI;
}

static bool is_name(const struct reader *r)
{
    return r->t.type == LEX_TOKEN_WORD || r->t.type == LEX_TOKEN_QUOTED;
}

static const char *read_name(struct reader *r)
{
    char *name;

    if (!is_name(r))
        return "";
    name = arena_alloc(r->arena, r->t.len + 1);
    if (!name) {
        r->failed = true;
        return "";
    }
    (void)lex_unquote(&r->t, name);
    step(r);
    return name;
}

/* IF EXISTS, IF NOT EXISTS */
static void read_if(struct reader *r)
{
    if (!skip(r, "IF"))
        return;
    skip(r, "NOT");
    skip(r, "EXISTS");
    r->out->if_exists = true;
}

/* The rest of the statement, without its semicolon; NOT VALID at its end is noted, and not part of
 * it. */
static void read_rest(struct reader *r)
{
    struct alter *x = r->out;
    const char *last = r->t.text;
    struct lex_token before = {.type = LEX_TOKEN_END};

    x->text = r->t.text;
    while (!ends(r)) {
        last = r->t.text + r->t.len;
        if (lex_is(&r->t, "VALID") && lex_is(&before, "NOT")) {
            x->not_valid = true;
            last = before.text;
        }
        before = r->t;
        step(r);
    }
    while (last > x->text && strchr(" \t\r\n", last[-1]))
        last--;
    x->len = (size_t)(last - x->text);
}

static void read_column(struct reader *r)
{
    struct alter *x = r->out;

    skip(r, "COLUMN");
    x->name = read_name(r);
    if (lex_is(&r->t, "TYPE") || lex_is(&r->t, "SET")) {
        bool set = skip(r, "SET");
        if (set && skip(r, "DEFAULT")) {
            x->kind = ALTER_SET_DEFAULT;
            read_rest(r);
            return;
        }
        if (set && lex_is(&r->t, "GENERATED")) {
            x->kind = ALTER_IDENTITY;
            return;
        }
        if (set && !skip(r, "DATA"))
            return;
        if (skip(r, "TYPE")) {
            x->kind = ALTER_TYPE;
            read_rest(r);
        }
    } else if (skip(r, "DROP")) {
        if (lex_is(&r->t, "DEFAULT"))
            x->kind = ALTER_DROP_DEFAULT;
        else if (lex_is(&r->t, "IDENTITY"))
            x->kind = ALTER_IDENTITY;
    } else if (skip(r, "ADD") && lex_is(&r->t, "GENERATED")) {
        x->kind = ALTER_IDENTITY;
    }
}

static void read_add(struct reader *r)
{
    struct alter *x = r->out;
    const char *begin = r->t.text;

    if (skip(r, "CONSTRAINT"))
        x->name = read_name(r);
    if (lex_is(&r->t, "FOREIGN")) {
        x->kind = ALTER_ADD_FOREIGN_KEY;
    } else if (lex_is(&r->t, "UNIQUE") || lex_is(&r->t, "PRIMARY")) {
        x->kind = ALTER_ADD_KEY;
        x->primary = lex_is(&r->t, "PRIMARY");
    } else {
        skip(r, "COLUMN");
        if (!lex_is(&r->t, "IF"))
            return;
        read_if(r);
        x->kind = ALTER_ADD_COLUMN;
        begin = r->t.text;
        x->name = read_name(r);
    }
    read_rest(r);
    x->len += (size_t)(x->text - begin);
    x->text = begin;
}

static void read_drop(struct reader *r)
{
    struct alter *x = r->out;
    bool constraint, cascades;

    if (lex_is(&r->t, "REFERENCES")) {
        step(r);
        if (ends(r))
            x->kind = ALTER_DROP_REFERENCES;
        return;
    }
    constraint = skip(r, "CONSTRAINT");
    if (!constraint)
        skip(r, "COLUMN");
    read_if(r);
    x->name = read_name(r);
    cascades = skip(r, "CASCADE") || skip(r, "RESTRICT");
    if (constraint)
        x->kind = ALTER_DROP_CONSTRAINT;
    else if (cascades || x->if_exists)
        x->kind = ALTER_DROP_COLUMN;
}

/* name, or schema.name */
static void read_qualified(struct reader *r)
{
    struct alter *x = r->out;

    x->name = read_name(r);
    if (r->t.type == LEX_TOKEN_PUNCT && *r->t.text == '.') {
        step(r);
        x->schema = x->name;
        x->name = read_name(r);
    }
}

static void read_index(struct reader *r)
{
    struct alter *x = r->out;

    read_if(r);
    read_qualified(r);
    if (skip(r, "RENAME") && skip(r, "TO")) {
        x->kind = ALTER_RENAME_INDEX;
        x->to = read_name(r);
    }
}

static const char *read_label(struct reader *r)
{
    char *label = r->t.type == LEX_TOKEN_STRING ? arena_alloc(r->arena, r->t.len + 1) : NULL;

    if (!label)
        return "";
    (void)lex_unquote(&r->t, label);
    step(r);
    return label;
}

static void read_type(struct reader *r)
{
    struct alter *x = r->out;

    read_qualified(r);
    if (skip(r, "RENAME") && skip(r, "TO")) {
        x->kind = ALTER_ENUM_RENAME;
        x->to = read_name(r);
    } else if (skip(r, "ADD") && skip(r, "VALUE")) {
        x->kind = ALTER_ENUM_ADD;
        read_if(r);
        x->to = read_label(r);
        x->before = skip(r, "BEFORE");
        if (x->before || skip(r, "AFTER"))
            x->neighbor = read_label(r);
    }
}

static void read_table(struct reader *r)
{
    struct alter *x = r->out;
    bool exists;

    read_if(r);
    exists = x->if_exists;
    x->if_exists = false;
    x->table = read_name(r);
    if (r->t.type == LEX_TOKEN_PUNCT && *r->t.text == '.') {
        step(r);
        x->schema = x->table;
        x->table = read_name(r);
    }
    if (skip(r, "ALTER")) {
        read_column(r);
    } else if (skip(r, "ADD")) {
        read_add(r);
    } else if (skip(r, "DROP")) {
        read_drop(r);
    } else if (skip(r, "RENAME") && skip(r, "CONSTRAINT")) {
        x->kind = ALTER_RENAME_CONSTRAINT;
        x->name = read_name(r);
        skip(r, "TO");
        x->to = read_name(r);
    }
    if (exists && x->kind != ALTER_DROP_REFERENCES)
        x->kind = ALTER_NONE; /* SQLite has no IF EXISTS there, nor have we */
    x->if_exists = x->if_exists || exists;
}

bool alter_read(struct alter *x, struct arena *a, const char *sql, size_t len)
{
    struct reader r = {.out = x, .arena = a, .at = sql, .end = sql + len};

    *x = (struct alter){.schema = "", .table = "", .name = "", .to = "", .text = "", .len = 0};
    step(&r);
    if (!skip(&r, "ALTER"))
        return true;
    if (skip(&r, "TABLE"))
        read_table(&r);
    else if (skip(&r, "INDEX"))
        read_index(&r);
    else if (skip(&r, "TYPE"))
        read_type(&r);
    return !r.failed;
}

bool alter_is(const char *sql, size_t len)
{
    struct arena *a;
    struct alter x;
    struct lex_token t;
    const char *at = sql;
    bool is;

    if (!lex_next(&at, sql + len, &t) || !lex_is(&t, "ALTER"))
        return false;
    a = arena_new();
    is = a && alter_read(&x, a, sql, len) && x.kind != ALTER_NONE;
    arena_free(a);
    return is;
}

static enum err_code check(const struct alter *x, bool trusted, struct err *e)
{
    bool text = x->kind == ALTER_TYPE || x->kind == ALTER_SET_DEFAULT ||
                x->kind == ALTER_ADD_FOREIGN_KEY || x->kind == ALTER_ADD_KEY ||
                x->kind == ALTER_ADD_COLUMN;
    bool renames = x->kind == ALTER_RENAME_CONSTRAINT || x->kind == ALTER_RENAME_INDEX ||
                   x->kind == ALTER_ENUM_RENAME || x->kind == ALTER_ENUM_ADD;
    bool named = x->kind != ALTER_ADD_FOREIGN_KEY && x->kind != ALTER_ADD_KEY &&
                 x->kind != ALTER_DROP_REFERENCES;

    if ((text && x->len == 0) || (renames && x->to[0] == '\0') || (named && x->name[0] == '\0'))
        return err_set(e, ERR_SYNTAX, "syntax error in ALTER");
    if (x->schema[0] != '\0' && strcmp(x->schema, "main") != 0)
        return err_set(e, ERR_UNSUPPORTED, "only tables of main can be altered so");
    if (!trusted &&
        (policy_is_reserved(x->table) || policy_is_reserved(x->name) || policy_is_reserved(x->to)))
        return err_set(e, ERR_DENIED,
                       "%.100s is not permitted: what begins with ha_ belongs to the node",
                       policy_is_reserved(x->table) ? x->table : x->name);
    return ERR_OK;
}

enum err_code alter_check(const char *sql, size_t len, bool trusted, struct err *e)
{
    struct arena *a = arena_new();
    struct alter x;
    enum err_code code = ERR_OK;

    if (!a || !alter_read(&x, a, sql, len))
        code = err_set(e, ERR_NO_MEMORY, "out of memory");
    else
        code = check(&x, trusted, e);
    arena_free(a);
    return code;
}
