/* Where parameters and result columns stand, and what that says about their types; see infer.c. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "wire/pg/infer.h"

/* ---- parameters ---- */

/* k of $k and ?k, 0 for anything else. */
static unsigned param_number(const struct pg_token *t)
{
    unsigned n = 0;

    if (t->type != PG_TOKEN_PARAM || (t->text[0] != '$' && t->text[0] != '?'))
        return 0;
    for (size_t i = 1; i < t->len; i++) {
        if (t->text[i] < '0' || t->text[i] > '9' || n > PGWIRE_MAX_PARAMETERS)
            return 0;
        n = n * 10 + (unsigned)(t->text[i] - '0');
    }
    return n;
}

static bool compares(const struct infer *x, size_t i)
{
    static const char *const ops[] = {
        "=", "<>", "!=", "<", ">", "<=", ">=", "+", "-", "*", "/", "%"};

    for (size_t k = 0; k < sizeof ops / sizeof *ops; k++)
        if (infer_op(x, i, ops[k]))
            return true;
    return false;
}

/* The operand that ends before token `end`: a name, a literal, or a call of a known function. */
static uint32_t operand_before(const struct infer *x, size_t end)
{
    size_t from = end;
    int depth = 0;

    if (end == 0)
        return PGTYPE_NONE;
    if (infer_op(x, end - 1, ")")) {
        do {
            from--;
            if (infer_op(x, from, ")"))
                depth++;
            else if (infer_op(x, from, "("))
                depth--;
        } while (from > 0 && depth > 0);
        if (from > 0 && infer_is_name(x, from - 1) && !infer_is(x, from - 1, "AND") &&
            !infer_is(x, from - 1, "WHERE") && !infer_is(x, from - 1, "OR"))
            from--;
    } else {
        from--;
        while (from >= 2 && infer_op(x, from - 1, ".") && infer_is_name(x, from - 2))
            from -= 2;
    }
    return infer_expression(x, from, end);
}

static uint32_t operand_behind(const struct infer *x, size_t from)
{
    size_t end = from;

    while (infer_is_name(x, end) && infer_op(x, end + 1, "."))
        end += 2;
    if (infer_is_name(x, end) && infer_op(x, end + 1, "("))
        end = infer_behind(x, end + 1, x->n);
    else if (infer_op(x, end, "("))
        end = infer_behind(x, end, x->n);
    else
        end++;
    return end <= x->n ? infer_expression(x, from, end) : PGTYPE_NONE;
}

/* col IN ($1, …), col BETWEEN $1 AND $2: looks back from the parameter. */
static uint32_t in_list(const struct infer *x, size_t i)
{
    int depth = 0;

    for (size_t k = i; k-- > 0;) {
        if (infer_op(x, k, ")"))
            depth++;
        else if (infer_op(x, k, "(") && depth-- == 0)
            return k > 0 && infer_is(x, k - 1, "IN")
                       ? operand_before(x, k - 1 - infer_is(x, k - 2, "NOT"))
                       : PGTYPE_NONE;
    }
    return PGTYPE_NONE;
}

static uint32_t between(const struct infer *x, size_t i)
{
    size_t k = i - 1;

    if (infer_is(x, k, "AND"))
        for (k = k > 0 ? k - 1 : 0; k > 0 && !infer_is(x, k, "BETWEEN") && i - k < 8; k--)
            ;
    if (!infer_is(x, k, "BETWEEN") || k == 0)
        return PGTYPE_NONE;
    return operand_before(x, k - infer_is(x, k - 1, "NOT"));
}

static uint32_t param_type(const struct infer *x, size_t i)
{
    uint32_t type = PGTYPE_NONE;

    if (i + 1 < x->n && x->t[i + 1].type == PG_TOKEN_CAST)
        return infer_type_name(x, i + 2, x->n);
    if (i >= 2 && infer_is(x, i - 2, "CAST") && infer_is(x, i + 1, "AS"))
        return infer_type_name(x, i + 2, x->n);
    if (i > 0 && (infer_is(x, i - 1, "LIMIT") || infer_is(x, i - 1, "OFFSET")))
        return PGTYPE_INT8;
    if (i > 3 && infer_op(x, i - 1, "(") && infer_op(x, i + 1, ")") &&
        (infer_is(x, i - 2, "ANY") || infer_is(x, i - 2, "ALL") || infer_is(x, i - 2, "SOME")) &&
        compares(x, i - 3))
        return pgtype_array_of(operand_before(x, i - 3));
    if (i > 1 && compares(x, i - 1))
        type = operand_before(x, i - 1);
    if (type == PGTYPE_NONE && compares(x, i + 1))
        type = operand_behind(x, i + 2);
    if (type == PGTYPE_NONE && i > 2)
        type = between(x, i);
    if (type == PGTYPE_NONE && i > 2)
        type = in_list(x, i);
    return type == PGTYPE_INT4 && !infer_is_name(x, i > 1 ? i - 2 : 0) ? PGTYPE_INT8 : type;
}

/* INSERT INTO t (a, b) VALUES ($1, …), (…): by place. */
static void insert_params(const struct infer *x, uint32_t *types, unsigned n)
{
    const struct infer_table *t = x->n_tables > 0 ? &x->tables[0] : NULL;
    size_t at = 0, list = 0;

    while (at < x->n && !infer_is(x, at, "INTO"))
        at++;
    if (!t || at == x->n)
        return;
    while (at < x->n && !infer_op(x, at, "(") && !infer_is(x, at, "VALUES"))
        at++;
    if (infer_op(x, at, "(")) {
        list = at + 1;
        at = infer_behind(x, at, x->n);
    }
    while (at < x->n && !infer_is(x, at, "VALUES") && !infer_is(x, at, "SELECT"))
        at++;
    if (!infer_is(x, at, "VALUES"))
        return;
    for (at++; infer_op(x, at, "("); at += infer_op(x, at, ",")) {
        size_t end = infer_behind(x, at, x->n), place = 0, name = list;
        for (size_t i = at + 1; i + 1 < end; i++) {
            unsigned number = param_number(&x->t[i]);
            if (infer_op(x, i, "(")) {
                i = infer_behind(x, i, end) - 1;
            } else if (infer_op(x, i, ",")) {
                place++;
                while (list && name < x->n && !infer_op(x, name, ",") && !infer_op(x, name, ")"))
                    name++;
                name += list && infer_op(x, name, ",");
            } else if (number > 0 && number <= n && types[number - 1] == PGTYPE_NONE &&
                       (infer_op(x, i - 1, "(") || infer_op(x, i - 1, ",")) &&
                       (infer_op(x, i + 1, ")") || infer_op(x, i + 1, ","))) {
                char *column = list && infer_is_name(x, name) ? infer_name(x, name) : NULL;
                if (column)
                    types[number - 1] = infer_table_column(t, column);
                else if (!list && place < t->n)
                    types[number - 1] = t->columns[place].type;
            }
        }
        at = end;
    }
}

void pg_infer_params(struct pg_conn *c, const struct pg_text *t, uint32_t *types, unsigned n)
{
    struct infer *x;
    bool open = false;

    for (unsigned i = 0; i < n; i++)
        open = open || types[i] == PGTYPE_NONE;
    if (!open)
        return;
    x = arena_alloc(c->arena, sizeof *x);
    if (!x || !infer_open(x, c->arena, t->sql, t->len))
        return;
    infer_tables(x, c->session);
    insert_params(x, types, n);
    for (size_t i = 0; i < x->n; i++) {
        unsigned number = param_number(&x->t[i]);
        if (number > 0 && number <= n && types[number - 1] == PGTYPE_NONE)
            types[number - 1] = param_type(x, i);
    }
}

/* ---- UUIDs ---- */

#define UUID_CHARS ((size_t)36)

/* Does a UUID stand between quotes at `s`, and with a letter that is not as it is kept? */
static bool is_upper_uuid(const char *s, size_t len)
{
    bool upper = false;

    if (len < UUID_CHARS + 2 || s[0] != '\'' || s[UUID_CHARS + 1] != '\'' || s[9] != '-')
        return false;
    for (size_t i = 1; i <= UUID_CHARS; i++) {
        bool dash = i == 9 || i == 14 || i == 19 || i == 24;
        if (dash ? s[i] != '-' : !isxdigit((unsigned char)s[i]))
            return false;
        upper = upper || (s[i] >= 'A' && s[i] <= 'F');
    }
    return upper;
}

static bool has_upper_uuid(const struct pg_text *t)
{
    const char *end = t->sql + t->len, *s = t->sql;

    while ((s = memchr(s, '\'', (size_t)(end - s)))) {
        if (is_upper_uuid(s, (size_t)(end - s)))
            return true;
        s++;
    }
    return false;
}

const char *pg_lower_uuids(struct pg_conn *c, const struct pg_text *t)
{
    struct infer *x = has_upper_uuid(t) ? arena_alloc(c->arena, sizeof *x) : NULL;
    char *copy = x ? arena_strndup(c->arena, t->sql, t->len) : NULL;

    if (!copy || !infer_open(x, c->arena, t->sql, t->len))
        return t->sql;
    pg_portals_park(c);
    infer_tables(x, c->session);
    for (size_t i = 1; i < x->n; i++) {
        const struct pg_token *token = &x->t[i];
        if (token->type == PG_TOKEN_STRING && token->len == UUID_CHARS + 2 &&
            is_upper_uuid(token->text, token->len) && param_type(x, i) == PGTYPE_UUID)
            for (size_t k = 1; k <= UUID_CHARS; k++)
                copy[token->text - t->sql + (ptrdiff_t)k] |= token->text[k] != '-' ? 0x20 : 0;
    }
    return copy;
}

/* ---- result columns ---- */

size_t infer_list_start(const struct infer *x, size_t i)
{
    i++;
    if (infer_is(x, i, "ALL"))
        return i + 1;
    if (!infer_is(x, i, "DISTINCT"))
        return i;
    return infer_is(x, i + 1, "ON") ? infer_behind(x, i + 2, x->n) : i + 1;
}

/* Where the list begins that the result's columns come from; n = there is none to be understood. */
static size_t find_list(const struct infer *x)
{
    size_t found = x->n;

    for (size_t i = 0; i < x->n; i++) {
        if (infer_op(x, i, "("))
            i = infer_behind(x, i, x->n) - 1;
        else if (infer_is(x, i, "RETURNING"))
            return i + 1;
        else if (infer_is(x, i, "SELECT") && found == x->n)
            found = infer_list_start(x, i);
    }
    return found;
}

static bool ends_list(const struct infer *x, size_t i)
{
    static const char *const words[] = {"FROM",      "WHERE",  "GROUP",  "ORDER",
                                        "LIMIT",     "UNION",  "HAVING", "EXCEPT",
                                        "INTERSECT", "WINDOW", "OFFSET", "FOR"};

    for (size_t k = 0; k < sizeof words / sizeof *words; k++)
        if (infer_is(x, i, words[k]))
            return true;
    return false;
}

/* Without "AS name", or a bare name behind an operand. */
static size_t without_alias(const struct infer *x, size_t from, size_t to)
{
    if (to - from >= 3 && infer_is_name(x, to - 1) && infer_is(x, to - 2, "AS"))
        return to - 2;
    if (to - from >= 2 && infer_is_name(x, to - 1) && !infer_is(x, to - 1, "END") &&
        !infer_is(x, to - 1, "NULL") && !infer_is(x, to - 1, "ISNULL") &&
        !infer_is(x, to - 1, "TRUE") && !infer_is(x, to - 1, "FALSE") &&
        (infer_op(x, to - 2, ")") || x->t[to - 2].type == PG_TOKEN_NUMBER ||
         x->t[to - 2].type == PG_TOKEN_STRING || infer_is(x, to - 2, "TRUE") ||
         infer_is(x, to - 2, "FALSE") || infer_is(x, to - 2, "NULL")))
        return to - 1;
    return to;
}

/* Ends an item at token `to`. */
static void end_item(const struct infer *x, struct infer_item *item, size_t to)
{
    item->to = without_alias(x, item->from, to);
    item->name = to > item->from ? to - 1 : item->from;
    item->star = to > item->from && infer_op(x, to - 1, "*") &&
                 (to - 1 == item->from || infer_op(x, to - 2, "."));
}

unsigned infer_items(const struct infer *x, size_t from, size_t to, struct infer_item *items,
                     unsigned max)
{
    unsigned n = 0, brackets = 0;
    size_t i = from;

    if (from >= to)
        return 0;
    items[0].from = from;
    for (; i < to && !infer_op(x, i, ")") && (brackets > 0 || !ends_list(x, i)); i++) {
        if (infer_op(x, i, "(")) {
            i = infer_behind(x, i, to) - 1;
        } else if (infer_op(x, i, "[")) {
            brackets++;
        } else if (infer_op(x, i, "]")) {
            brackets -= brackets > 0;
        } else if (brackets == 0 && infer_op(x, i, ",")) {
            end_item(x, &items[n], i);
            if (max == 1)
                return 1;
            if (++n == max)
                return 0;
            items[n].from = i + 1;
        }
    }
    end_item(x, &items[n], i);
    return n + 1;
}

/* RETURNING *, of which SQLite tells no declared types, and SELECT * from a query: by name. */
static void star(const struct infer *x, struct pg_column *columns, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        for (unsigned k = 0; k < x->n_tables && columns[i].name; k++)
            if (columns[i].type.oid == PGTYPE_NONE)
                columns[i].type.oid = infer_table_column(&x->tables[k], columns[i].name);
}

static struct infer *open_text(struct pg_conn *c, const struct pg_text *t)
{
    struct infer *x = arena_alloc(c->arena, sizeof *x);

    return x && infer_open(x, c->arena, t->sql, t->len) ? x : NULL;
}

static bool is_column(const struct infer *x, const struct infer_item *item)
{
    size_t i = item->from;

    while (i + 2 < item->to && infer_is_name(x, i) && infer_op(x, i + 1, "."))
        i += 2;
    return i + 1 == item->to && infer_is_name(x, i);
}

/* SQLite tells the types of columns, and many an expression tells its own: do tables tell more? */
static bool tables_tell(struct infer *x)
{
    struct infer_item items[INFER_ITEMS];
    unsigned n = infer_items(x, find_list(x), x->n, items, INFER_ITEMS);
    bool missed = false;

    x->missed = &missed;
    for (unsigned i = 0; i < n && !missed; i++) {
        if (items[i].star || is_column(x, &items[i]))
            missed = infer_has_queries(x);
        else
            (void)infer_expression(x, items[i].from, items[i].to);
    }
    x->missed = NULL;
    return missed;
}

/* Without it, a statement that writes answers no rows. */
static bool has_returning(const struct pg_text *t)
{
    static const char word[] = "returning";

    for (size_t i = 0; i + sizeof word - 1 <= t->len; i++)
        if ((t->sql[i] | 0x20) == 'r' && strncasecmp(t->sql + i, word, sizeof word - 1) == 0)
            return true;
    return false;
}

struct infer *pg_infer_ahead(struct pg_conn *c, struct pg_text *t)
{
    if (t->ahead == PG_AHEAD_IDLE)
        return NULL;
    bool answers = t->kind == PG_READ || (t->kind == PG_WRITE && has_returning(t)) ||
                   (t->kind == PG_WRITE && strcmp(t->tag, "SELECT") == 0);
    struct infer *x = answers ? open_text(c, t) : NULL;
    if (answers && !x)
        return NULL; /* no memory now, or too long */
    if (t->ahead == PG_AHEAD_UNKNOWN)
        t->ahead = answers && tables_tell(x) ? PG_AHEAD_TELLS : PG_AHEAD_IDLE;
    if (t->ahead == PG_AHEAD_IDLE)
        return NULL;
    infer_tables(x, c->session);
    return x;
}

void pg_infer_columns(struct pg_conn *c, const struct pg_text *t, struct infer *ahead,
                      struct pg_column *columns, unsigned n)
{
    struct infer_item items[INFER_ITEMS];
    const struct infer *x = ahead ? ahead : open_text(c, t);
    unsigned n_items = x ? infer_items(x, find_list(x), x->n, items, INFER_ITEMS) : 0;

    for (unsigned i = 0; i < n_items; i++) {
        if (items[i].star) { /* places do not tell any more */
            star(x, columns, n);
            return;
        }
    }
    for (unsigned i = 0; i < n && n == n_items; i++)
        if (columns[i].type.oid == PGTYPE_NONE)
            columns[i].type.oid = infer_expression(x, items[i].from, items[i].to);
}
