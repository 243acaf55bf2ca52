/*
 * Enumerated types. SQLite has no types of users, so that one is kept as a view that lists its
 * labels, and a column of it is declared as TEXT and its name. The catalogs show both for what they
 * are (pg/catalog_fill.c); ALTER TYPE is left to alter.h.
 *
 *   CREATE TYPE mood AS ENUM ('sad', 'ok')
 *   CREATE VIEW mood(enumlabel, enumsortorder) AS VALUES ('sad', 1), ('ok', 2)
 */
#include <string.h>

#include "sql/pg/ddl.h"

/* CREATE TYPE name AS ENUM (…) */
static void create(struct pg_rewrite *r, size_t i, bool if_not_exists)
{
    size_t end = pg_skip_name(r, i), list = end + 2, n = 0;

    if (!pg_words(r, end, "AS", "ENUM") || !pg_punct(r, list, "(")) {
        pg_fail(r, i, ERR_UNSUPPORTED, "of CREATE TYPE there is AS ENUM only");
        return;
    }
    r->schema = true;
    pg_put(r, if_not_exists ? "CREATE VIEW IF NOT EXISTS" : "CREATE VIEW");
    pg_range(r, i, end);
    pg_put(r, "(enumlabel, enumsortorder) AS VALUES");
    for (i = list + 1; i < r->match[list] && !r->failed; i += 2) {
        size_t len;
        const char *label = pg_string(r, i, &len);
        if (!pg_is_string(r, i) || (i + 1 < r->match[list] && !pg_punct(r, i + 1, ",")))
            pg_fail(r, i, ERR_SYNTAX, "syntax error in the labels of an enum");
        pg_put(r, n ? ", (" : "(");
        pg_put_string(r, label, len);
        pg_putf(r, ", %zu)", ++n);
    }
    if (n == 0)
        pg_fail(r, list, ERR_UNSUPPORTED, "an enum without labels is not supported");
}

bool pg_ddl_create_type(struct pg_rewrite *r)
{
    if (!pg_words(r, 0, "CREATE", "TYPE"))
        return false;
    create(r, 2, false);
    return true;
}

bool pg_ddl_alter_type(struct pg_rewrite *r)
{
    size_t end = pg_skip_name(r, 2);

    if (!pg_words(r, 0, "ALTER", "TYPE"))
        return false;
    if (pg_word(r, end, "OWNER"))
        return true;
    if (!pg_words(r, end, "ADD", "VALUE") && !pg_words(r, end, "RENAME", "TO")) {
        pg_fail(r, end, ERR_UNSUPPORTED, "this form of ALTER TYPE is not supported");
        return true;
    }
    pg_range(r, 0, 2);
    pg_range(r, 2, r->n);
    return true;
}

/* ---- DO ---- */

/* BEGIN CREATE TYPE …; EXCEPTION WHEN duplicate_object THEN NULL; END: how a type is created that
 * may be there, since CREATE TYPE knows no IF NOT EXISTS. */
static bool is_guarded_type(const struct pg_rewrite *b, size_t *type)
{
    size_t i = pg_word(b, 0, "BEGIN") ? 1 : 0;

    *type = i + 2;
    if (i == 0 || !pg_words(b, i, "CREATE", "TYPE"))
        return false;
    i = pg_find(b, i, b->n, "EXCEPTION");
    return pg_words(b, i + 1, "WHEN", "DUPLICATE_OBJECT") && pg_words(b, i + 3, "THEN", "NULL") &&
           pg_word(b, i + 5, "END");
}

bool pg_do(struct pg_rewrite *r)
{
    size_t body = pg_word(r, 1, "LANGUAGE") ? 3 : 1, len, type;
    struct pg_rewrite b = {.in = NULL};
    struct buf out = BUF_INIT;
    const char *text;

    if (!pg_word(r, 0, "DO"))
        return false;
    text = pg_string(r, body, &len);
    if (!r->failed && pg_is_string(r, body) && pg_rewrite_init(&b, text, len, r->e) &&
        is_guarded_type(&b, &type)) {
        create(&b, type, true);
        pg_rewrite_emit(&b, &out, 0);
        if (b.failed || !buf_ok(&out))
            r->failed = true;
        else
            pg_putf(r, "%s", buf_cstr(&out));
    } else {
        pg_fail(r, 0, ERR_UNSUPPORTED, "there is no procedural language here");
    }
    buf_free(&out);
    pg_rewrite_fini(&b);
    return true;
}
