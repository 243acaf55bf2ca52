/* ALTER TYPE: the labels of an enumerated type are those of a view, see pg/enum.c. */
#include <string.h>

#include "sql/alter_impl.h"

static enum err_code find(struct alter_run *r, const char **name, struct err *e)
{
    enum err_code code = alter_value(r, name, e,
                                     "SELECT name FROM main.sqlite_schema WHERE type = 'view' AND "
                                     "name = %Q COLLATE NOCASE AND sql LIKE 'CREATE VIEW %%"
                                     "(enumlabel, enumsortorder) AS VALUES %%'",
                                     r->x.name);

    if (!code && !*name)
        code = err_set(e, ERR_NO_OBJECT, "type \"%.100s\" does not exist", r->x.name);
    return code;
}

static enum err_code put(struct alter_run *r, const char *name, const char *new_name,
                         const char *values, struct err *e)
{
    const char *sql = values ? alter_format(r,
                                            "CREATE VIEW \"%w\"(enumlabel, enumsortorder) AS "
                                            "VALUES %s",
                                            new_name, values)
                             : NULL;

    return sql ? alter_put(r, "view", name, new_name, sql, e) : alter_no_memory(e);
}

/* The labels as VALUES lists them, with one more at `place` where `label` is not NULL. */
static enum err_code list(struct alter_run *r, const char *name, const char *label,
                          const char *place, const char **out, struct err *e)
{
    const char *more = label ? alter_format(r, "UNION ALL SELECT %Q, %s", label, place) : "";

    if (!more)
        return alter_no_memory(e);
    return alter_value(r, out, e,
                       "SELECT group_concat('(' || quote(l) || ', ' || n || ')', ', ' ORDER BY n) "
                       "FROM (SELECT l, row_number() OVER (ORDER BY p) AS n FROM "
                       "(SELECT enumlabel AS l, enumsortorder AS p FROM main.\"%w\" %s))",
                       name, more);
}

enum err_code alter_enum_rename(struct alter_run *r, struct err *e)
{
    const char *name, *taken, *values = NULL;
    enum err_code code = find(r, &name, e);

    if (!code)
        code =
            alter_value(r, &taken, e,
                        "SELECT 1 FROM main.sqlite_schema WHERE name = %Q COLLATE NOCASE", r->x.to);
    if (!code && taken)
        code = err_set(e, ERR_TABLE_EXISTS, "type \"%.100s\" already exists", r->x.to);
    if (!code)
        code = list(r, name, NULL, NULL, &values, e);
    return code ? code : put(r, name, r->x.to, values, e);
}

enum err_code alter_enum_add(struct alter_run *r, struct err *e)
{
    const char *name, *there = NULL, *place = "1e9", *values = NULL;
    enum err_code code = find(r, &name, e);

    if (!code)
        code = alter_value(r, &there, e, "SELECT 1 FROM main.\"%w\" WHERE enumlabel = %Q", name,
                           r->x.to);
    if (!code && there)
        return r->x.if_exists
                   ? ERR_OK
                   : err_set(e, ERR_TABLE_EXISTS, "enum label \"%.100s\" already exists", r->x.to);
    if (!code && r->x.neighbor) {
        code = alter_value(r, &place, e,
                           "SELECT enumsortorder %s 0.5 FROM main.\"%w\" WHERE enumlabel = %Q",
                           r->x.before ? "-" : "+", name, r->x.neighbor);
        if (!code && !place)
            code = err_set(e, ERR_NO_OBJECT, "\"%.100s\" is not an existing enum label",
                           r->x.neighbor);
    }
    if (!code)
        code = list(r, name, r->x.to, place, &values, e);
    return code ? code : put(r, name, name, values, e);
}
