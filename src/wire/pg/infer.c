/*
 * Types that SQLite does not tell: of parameters, by what they meet (a column compared or assigned,
 * a cast, a number, LIMIT), and of expressions in a result, by their outermost part. It reads
 * tokens, not grammar: where it is not sure it answers PGTYPE_NONE, and a parameter is text, an
 * expression what its first row holds.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sql/pg/lex.h"
#include "wire/pg/infer.h"

#define TOKENS_MAX 20000 /* a longer statement is not looked at */
#define DEPTH_MAX  20

bool infer_open(struct infer *x, struct arena *a, const char *sql, size_t len)
{
    struct pg_lexer lex;
    struct pg_token t;
    size_t n = 0;

    memset(x, 0, sizeof *x);
    x->arena = a;
    pg_lex_init(&lex, sql, len);
    while (pg_lex_next(&lex, &t) && t.type != PG_TOKEN_SEMI)
        n++;
    if (n > TOKENS_MAX)
        return false;
    x->t = arena_alloc(a, (n + 1) * sizeof *x->t);
    if (!x->t)
        return false;
    pg_lex_init(&lex, sql, len);
    while (x->n < n && pg_lex_next(&lex, &x->t[x->n]))
        x->n++;
    return true;
}

static bool is(const struct infer *x, size_t i, const char *keyword)
{
    return i < x->n && x->t[i].type == PG_TOKEN_WORD && pg_lex_is(&x->t[i], keyword);
}

static bool op(const struct infer *x, size_t i, const char *text)
{
    return i < x->n && pg_lex_is_op(&x->t[i], text);
}

bool infer_is(const struct infer *x, size_t i, const char *keyword)
{
    return is(x, i, keyword);
}

bool infer_op(const struct infer *x, size_t i, const char *text)
{
    return op(x, i, text);
}

bool infer_is_name(const struct infer *x, size_t i)
{
    return i < x->n && (x->t[i].type == PG_TOKEN_WORD || x->t[i].type == PG_TOKEN_QUOTED);
}

/* Behind the parenthesis that opens at i; `to` where it does not close. */
size_t infer_behind(const struct infer *x, size_t i, size_t to)
{
    int depth = 0;

    for (; i < to; i++) {
        if (op(x, i, "("))
            depth++;
        else if (op(x, i, ")") && --depth == 0)
            return i + 1;
    }
    return to;
}

char *infer_name(const struct infer *x, size_t i)
{
    char *out = arena_alloc(x->arena, x->t[i].len + 1);
    size_t n = out ? pg_lex_value(&x->t[i], out) : SIZE_MAX;

    return n == SIZE_MAX ? NULL : out;
}

/* ---- tables ---- */

struct column_sink {
    struct sink sink;
    struct arena *arena;
    struct infer_table *table;
};

static void on_columns(struct sink *s, const struct sink_column *cols, unsigned n)
{
    struct column_sink *x = (struct column_sink *)s;

    x->table->columns = arena_alloc(x->arena, n * sizeof *x->table->columns);
    if (!x->table->columns)
        return;
    x->table->n = n;
    for (unsigned i = 0; i < n; i++) {
        const char *decl = cols[i].decltype;
        x->table->columns[i].name = arena_strdup(x->arena, cols[i].name);
        x->table->columns[i].type = pgtype_of_declared(decl, decl ? strlen(decl) : 0).oid;
    }
}

static void load(struct infer *x, struct session *session, struct infer_table *table)
{
    static const struct sink_ops ops = {.columns = on_columns};
    struct column_sink sink = {{&ops}, x->arena, table};
    struct buf sql = BUF_INIT;
    struct session_shape shape;
    struct err e = ERR_INIT;

    buf_puts(&sql, "SELECT * FROM \"");
    for (const char *p = table->name; *p; p++) {
        buf_putc(&sql, *p);
        if (*p == '"')
            buf_putc(&sql, '"');
    }
    buf_putc(&sql, '"');
    const struct query q = {.sql = buf_cstr(&sql), .len = sql.len};
    if (buf_ok(&sql))
        (void)session_describe(session, &q, &sink.sink, &shape, &e);
    buf_free(&sql);
}

static bool ends_alias(const struct infer *x, size_t i)
{
    static const char *const words[] = {
        "WHERE",  "SET",     "VALUES",    "ON",        "JOIN",      "LEFT",   "INNER",
        "CROSS",  "NATURAL", "GROUP",     "ORDER",     "LIMIT",     "USING",  "UNION",
        "SELECT", "DEFAULT", "RETURNING", "FULL",      "RIGHT",     "HAVING", "OFFSET",
        "FOR",    "WINDOW",  "EXCEPT",    "INTERSECT", "OVERRIDING"};

    for (size_t k = 0; k < sizeof words / sizeof *words; k++)
        if (is(x, i, words[k]))
            return true;
    return false;
}

/* [schema .] name [[AS] alias] at i; answers where it ends. */
static size_t add_table(struct infer *x, struct session *s, size_t i)
{
    struct infer_table *t = &x->tables[x->n_tables];
    bool call_like = i > 0 && is(x, i - 1, "INTO"); /* t (a, b): columns, no function */

    while (infer_is_name(x, i) && op(x, i + 1, ".") && infer_is_name(x, i + 2))
        i += 2;
    if (!infer_is_name(x, i) || (op(x, i + 1, "(") && !call_like) || x->n_tables == INFER_TABLES)
        return i + 1;
    memset(t, 0, sizeof *t);
    t->name = t->alias = infer_name(x, i);
    i++;
    if (is(x, i, "AS"))
        i++;
    if (infer_is_name(x, i) && !ends_alias(x, i))
        t->alias = infer_name(x, i++);
    if (!t->name || !t->alias)
        return i;
    load(x, s, t);
    if (t->n > 0)
        x->n_tables++;
    return i;
}

void infer_tables(struct infer *x, struct session *s)
{
    for (size_t i = 0; i < x->n; i++) {
        bool many = is(x, i, "FROM") || is(x, i, "USING");
        if (!many && !is(x, i, "JOIN") && !is(x, i, "INTO") && !is(x, i, "UPDATE"))
            continue;
        size_t at = i + 1;
        if (is(x, at, "ONLY") || is(x, at, "OR"))
            at += is(x, at, "OR") ? 2 : 1;
        at = add_table(x, s, at);
        while (many && op(x, at, ","))
            at = add_table(x, s, at + 1);
    }
}

uint32_t infer_table_column(const struct infer_table *t, const char *name)
{
    for (unsigned i = 0; i < t->n; i++)
        if (t->columns[i].name && strcasecmp(t->columns[i].name, name) == 0)
            return t->columns[i].type;
    return PGTYPE_NONE;
}

/* [q .] name, the name being token i. */
static uint32_t column_type(const struct infer *x, size_t i)
{
    char *name = infer_is_name(x, i) ? infer_name(x, i) : NULL;
    char *qualifier = NULL;

    if (!name)
        return PGTYPE_NONE;
    if (i >= 2 && op(x, i - 1, ".") && infer_is_name(x, i - 2))
        qualifier = infer_name(x, i - 2);
    for (unsigned k = 0; k < x->n_tables; k++) {
        const struct infer_table *t = &x->tables[k];
        if (qualifier && strcasecmp(t->alias, qualifier) != 0 &&
            strcasecmp(t->name, qualifier) != 0)
            continue;
        uint32_t type = infer_table_column(t, name);
        if (type != PGTYPE_NONE)
            return type;
    }
    return PGTYPE_NONE;
}

uint32_t infer_column(const struct infer *x, size_t i)
{
    return column_type(x, i);
}

/* ---- type names ---- */

uint32_t infer_type_name(const struct infer *x, size_t i, size_t to)
{
    char text[96];
    size_t n = 0;

    while (infer_is_name(x, i) && op(x, i + 1, ".")) /* pg_catalog.int4 */
        i += 2;
    for (; i < to && n < sizeof text - 1; i++) {
        const struct pg_token *t = &x->t[i];
        bool word = t->type == PG_TOKEN_WORD;
        bool second = n > 0 && word;
        if (!word && !op(x, i, "[") && !op(x, i, "]"))
            break;
        /* Only the words that continue a type's name do. */
        if (second && !is(x, i, "PRECISION") && !is(x, i, "VARYING") && !is(x, i, "WITHOUT") &&
            !is(x, i, "WITH") && !is(x, i, "TIME") && !is(x, i, "ZONE"))
            break;
        if (n + t->len + 1 >= sizeof text)
            return PGTYPE_NONE;
        if (second)
            text[n++] = ' ';
        memcpy(text + n, t->text, t->len);
        n += t->len;
        if (op(x, i + 1, "("))
            i = infer_behind(x, i + 1, to) - 1;
    }
    if (n == 7 && strncasecmp(text, "integer", 7) == 0) /* a cast's, not a declaration's */
        return PGTYPE_INT4;
    if (n == 3 && strncasecmp(text, "int", 3) == 0)
        return PGTYPE_INT4;
    return pgtype_of_declared(text, n).oid;
}

/* ---- expressions ---- */

static uint32_t wider(uint32_t a, uint32_t b)
{
    static const uint32_t order[] = {PGTYPE_INT2,    PGTYPE_INT4,   PGTYPE_INT8,
                                     PGTYPE_NUMERIC, PGTYPE_FLOAT4, PGTYPE_FLOAT8};
    int at_a = -1, at_b = -1;

    for (int i = 0; i < 6; i++) {
        at_a = order[i] == a ? i : at_a;
        at_b = order[i] == b ? i : at_b;
    }
    return at_a < 0 || at_b < 0 ? PGTYPE_NONE : order[at_a > at_b ? at_a : at_b];
}

static uint32_t number_type(const struct pg_token *t)
{
    for (size_t i = 0; i < t->len; i++)
        if (t->text[i] < '0' || t->text[i] > '9')
            return t->len > 1 && (t->text[1] | 32) == 'x' ? PGTYPE_INT8 : PGTYPE_NUMERIC;
    return t->len < 10 ? PGTYPE_INT4 : PGTYPE_INT8;
}

/* What functions answer, whatever they are given. */
static const struct {
    const char *name;
    uint32_t type;
} functions[] = {
    {"count", PGTYPE_INT8},
    {"row_number", PGTYPE_INT8},
    {"rank", PGTYPE_INT8},
    {"dense_rank", PGTYPE_INT8},
    {"last_insert_rowid", PGTYPE_INT8},
    {"changes", PGTYPE_INT8},
    {"lastval", PGTYPE_INT8},
    {"nextval", PGTYPE_INT8},
    {"currval", PGTYPE_INT8},
    {"ntile", PGTYPE_INT4},
    {"length", PGTYPE_INT4},
    {"char_length", PGTYPE_INT4},
    {"octet_length", PGTYPE_INT4},
    {"strpos", PGTYPE_INT4},
    {"position", PGTYPE_INT4},
    {"instr", PGTYPE_INT4},
    {"pg_backend_pid", PGTYPE_INT4},
    {"pg_advisory_unlock_all", PGTYPE_VOID},
    {"lower", PGTYPE_TEXT},
    {"upper", PGTYPE_TEXT},
    {"trim", PGTYPE_TEXT},
    {"ltrim", PGTYPE_TEXT},
    {"rtrim", PGTYPE_TEXT},
    {"btrim", PGTYPE_TEXT},
    {"substr", PGTYPE_TEXT},
    {"substring", PGTYPE_TEXT},
    {"replace", PGTYPE_TEXT},
    {"concat", PGTYPE_TEXT},
    {"concat_ws", PGTYPE_TEXT},
    {"string_agg", PGTYPE_TEXT},
    {"group_concat", PGTYPE_TEXT},
    {"to_char", PGTYPE_TEXT},
    {"format", PGTYPE_TEXT},
    {"printf", PGTYPE_TEXT},
    {"md5", PGTYPE_TEXT},
    {"hex", PGTYPE_TEXT},
    {"quote", PGTYPE_TEXT},
    {"typeof", PGTYPE_TEXT},
    {"strftime", PGTYPE_TEXT},
    {"quote_ident", PGTYPE_TEXT},
    {"quote_literal", PGTYPE_TEXT},
    {"version", PGTYPE_TEXT},
    {"current_setting", PGTYPE_TEXT},
    {"set_config", PGTYPE_TEXT},
    {"pg_get_userbyid", PGTYPE_NAME},
    {"current_schema", PGTYPE_NAME},
    {"current_database", PGTYPE_NAME},
    {"format_type", PGTYPE_TEXT},
    {"now", PGTYPE_TIMESTAMPTZ},
    {"clock_timestamp", PGTYPE_TIMESTAMPTZ},
    {"statement_timestamp", PGTYPE_TIMESTAMPTZ},
    {"transaction_timestamp", PGTYPE_TIMESTAMPTZ},
    {"date", PGTYPE_DATE},
    {"datetime", PGTYPE_TIMESTAMP},
    {"date_part", PGTYPE_FLOAT8},
    {"extract", PGTYPE_NUMERIC},
    {"julianday", PGTYPE_FLOAT8},
    {"sqrt", PGTYPE_FLOAT8},
    {"power", PGTYPE_FLOAT8},
    {"pi", PGTYPE_FLOAT8},
    {"exp", PGTYPE_FLOAT8},
    {"exists", PGTYPE_BOOL},
    {"bool_and", PGTYPE_BOOL},
    {"bool_or", PGTYPE_BOOL},
    {"every", PGTYPE_BOOL},
    {"pg_is_in_recovery", PGTYPE_BOOL},
    {"pg_table_is_visible", PGTYPE_BOOL},
    {"gen_random_uuid", PGTYPE_UUID},
    {"string_to_array", 1009},
    {"json_object", PGTYPE_JSON},
    {"json_array", PGTYPE_JSON},
    {"json_build_object", PGTYPE_JSON},
    {"json_group_array", PGTYPE_JSON},
    {"json_group_object", PGTYPE_JSON},
    {"json_agg", PGTYPE_JSON},
    {"row_to_json", PGTYPE_JSON},
    {"to_json", PGTYPE_JSON},
    {"to_jsonb", PGTYPE_JSONB},
};

static uint32_t expression(const struct infer *x, size_t from, size_t to, unsigned depth);

/* The first argument of the call that opens at `open`. */
static uint32_t first_argument(const struct infer *x, size_t open, size_t to, unsigned depth)
{
    size_t i = open + 1;
    size_t end = infer_behind(x, open, to) - 1;

    if (is(x, i, "DISTINCT"))
        i++;
    for (size_t k = i; k < end; k++) {
        if (op(x, k, "("))
            k = infer_behind(x, k, end) - 1;
        else if (op(x, k, ",") || is(x, k, "ORDER"))
            return expression(x, i, k, depth);
    }
    return expression(x, i, end, depth);
}

/* Catalogs' columns of type name: some drivers leave arrays of them as they are sent, and what asks
 * the catalogs counts on it. */
static bool is_catalog_name(const struct infer *x, size_t i)
{
    static const char *const names[] = {"attname", "relname", "conname",  "nspname",
                                        "typname", "rolname", "enumlabel"};

    const char *name = infer_is_name(x, i) ? infer_name(x, i) : NULL;

    for (size_t k = 0; name && k < sizeof names / sizeof *names; k++)
        if (strcasecmp(names[k], name) == 0)
            return true;
    return false;
}

/* Of the elements whose expression ends with token `last`. */
static uint32_t array_of(const struct infer *x, size_t last, uint32_t element)
{
    if (is_catalog_name(x, last))
        return PGTYPE_NAME_ARRAY;
    switch (element) {
    case PGTYPE_INT2:
    case PGTYPE_INT4:
        return PGTYPE_INT4_ARRAY;
    case PGTYPE_INT8:
        return PGTYPE_INT8_ARRAY;
    default:
        return PGTYPE_TEXT_ARRAY;
    }
}

/* ARRAY[a, …], ARRAY(SELECT a FROM …) */
static uint32_t array(const struct infer *x, size_t i, size_t to, unsigned depth)
{
    size_t from = is(x, i + 2, "SELECT") ? i + 3 : i + 2, end = from;

    while (end < to && !op(x, end, ",") && !op(x, end, "]") && !op(x, end, ")") &&
           !is(x, end, "FROM"))
        end = op(x, end, "(") ? infer_behind(x, end, to) : end + 1;
    return array_of(x, end - 1, expression(x, from, end, depth + 1));
}

static uint32_t call(const struct infer *x, size_t i, size_t to, unsigned depth)
{
    static const char *const same[] = {"min",         "max",        "coalesce", "ifnull",
                                       "nullif",      "abs",        "lag",      "lead",
                                       "first_value", "last_value", "greatest", "least"};
    char *name = infer_name(x, i);
    uint32_t type;

    if (!name)
        return PGTYPE_NONE;
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++)
        if (strcasecmp(functions[k].name, name) == 0)
            return functions[k].type;
    for (size_t k = 0; k < sizeof same / sizeof *same; k++)
        if (strcasecmp(same[k], name) == 0)
            return first_argument(x, i + 1, to, depth);
    if (strcasecmp(name, "cast") == 0) {
        size_t end = infer_behind(x, i + 1, to) - 1;
        for (size_t k = end; k-- > i + 2;)
            if (is(x, k, "AS"))
                return infer_type_name(x, k + 1, end);
    }
    if (strcasecmp(name, "sum") == 0) {
        type = first_argument(x, i + 1, to, depth);
        return type == PGTYPE_INT2 || type == PGTYPE_INT4 ? PGTYPE_INT8
               : type == PGTYPE_INT8                      ? PGTYPE_NUMERIC
                                                          : type;
    }
    if (strcasecmp(name, "array_agg") == 0)
        return array_of(x, infer_op(x, i + 3, ".") ? i + 4 : i + 2,
                        first_argument(x, i + 1, to, depth));
    if (strcasecmp(name, "avg") == 0) {
        type = first_argument(x, i + 1, to, depth);
        return type == PGTYPE_INT2 || type == PGTYPE_INT4 || type == PGTYPE_INT8 ? PGTYPE_NUMERIC
                                                                                 : type;
    }
    return PGTYPE_NONE;
}

/* One operand: literal, name, call, parentheses, CASE. */
static uint32_t operand(const struct infer *x, size_t i, size_t to, unsigned depth)
{
    if (i >= to || depth > DEPTH_MAX)
        return PGTYPE_NONE;
    switch (x->t[i].type) {
    case PG_TOKEN_NUMBER:
        return i + 1 == to ? number_type(&x->t[i]) : PGTYPE_NONE;
    case PG_TOKEN_STRING:
    case PG_TOKEN_ESCAPED:
    case PG_TOKEN_DOLLAR:
        return i + 1 == to ? PGTYPE_TEXT : PGTYPE_NONE;
    case PG_TOKEN_BITS:
        return PGTYPE_BYTEA;
    case PG_TOKEN_PARAM:
        return PGTYPE_NONE;
    default:
        break;
    }
    if (op(x, i, "("))
        return infer_behind(x, i, to) == to && !is(x, i + 1, "SELECT")
                   ? expression(x, i + 1, to - 1, depth + 1)
                   : PGTYPE_NONE;
    if (is(x, i, "ARRAY") && (op(x, i + 1, "[") || op(x, i + 1, "(")))
        return array(x, i, to, depth);
    if (is(x, i, "CASE")) {
        for (size_t k = i; k < to; k++) {
            if (!is(x, k, "THEN"))
                continue;
            size_t end = k + 1;
            while (end < to && !is(x, end, "WHEN") && !is(x, end, "ELSE") && !is(x, end, "END"))
                end = op(x, end, "(") ? infer_behind(x, end, to) : end + 1;
            return expression(x, k + 1, end, depth + 1);
        }
        return PGTYPE_NONE;
    }
    if (i + 1 == to && (is(x, i, "TRUE") || is(x, i, "FALSE")))
        return PGTYPE_BOOL;
    if (i + 1 == to && (is(x, i, "CURRENT_TIMESTAMP")))
        return PGTYPE_TIMESTAMPTZ;
    if (i + 1 == to && is(x, i, "CURRENT_DATE"))
        return PGTYPE_DATE;
    if (i + 1 == to && (is(x, i, "CURRENT_USER") || is(x, i, "SESSION_USER") || is(x, i, "USER")))
        return PGTYPE_NAME;
    while (infer_is_name(x, i) && op(x, i + 1, ".") && i + 2 < to)
        i += 2;
    if (!infer_is_name(x, i))
        return PGTYPE_NONE;
    if (op(x, i + 1, "("))
        return call(x, i, to, depth + 1);
    return i + 1 == to ? column_type(x, i) : PGTYPE_NONE;
}

static bool is_comparison(const struct infer *x, size_t i)
{
    static const char *const ops[] = {
        "=", "<>", "!=", "<", ">", "<=", ">=", "~", "!~", "~*", "!~*", "=="};
    static const char *const words[] = {"AND",   "OR",      "NOT",  "IS",      "IN",     "LIKE",
                                        "ILIKE", "BETWEEN", "GLOB", "SIMILAR", "ISNULL", "NOTNULL"};

    for (size_t k = 0; k < sizeof ops / sizeof *ops; k++)
        if (op(x, i, ops[k]))
            return true;
    for (size_t k = 0; k < sizeof words / sizeof *words; k++)
        if (is(x, i, words[k]))
            return true;
    return false;
}

/* By the loosest operator outside parentheses: comparison, ||, + - * / %, ::. */
static uint32_t expression(const struct infer *x, size_t from, size_t to, unsigned depth)
{
    size_t sum = 0, concat = 0, arrow = 0, cast = 0;
    unsigned cases = 0;

    if (from >= to || depth > DEPTH_MAX)
        return PGTYPE_NONE;
    for (size_t i = from; i < to; i++) {
        if (op(x, i, "(")) {
            i = infer_behind(x, i, to) - 1;
            continue;
        }
        if (is(x, i, "CASE"))
            cases++;
        else if (is(x, i, "END") && cases > 0)
            cases--;
        if (cases > 0)
            continue;
        if (is_comparison(x, i))
            return PGTYPE_BOOL;
        if (op(x, i, "||"))
            concat = i;
        else if (op(x, i, "->") || op(x, i, "->>"))
            arrow = i;
        else if (i > from && (op(x, i, "+") || op(x, i, "-") || op(x, i, "*") || op(x, i, "/") ||
                              op(x, i, "%")))
            sum = i;
        else if (x->t[i].type == PG_TOKEN_CAST)
            cast = i;
    }
    if (concat > 0)
        return PGTYPE_TEXT;
    if (sum > 0)
        return wider(expression(x, from, sum, depth + 1), expression(x, sum + 1, to, depth + 1));
    if (arrow > 0)
        return op(x, arrow, "->>") ? PGTYPE_TEXT : PGTYPE_JSON;
    if (cast > 0)
        return infer_type_name(x, cast + 1, to);
    if (op(x, from, "-") || op(x, from, "+"))
        return expression(x, from + 1, to, depth + 1);
    return operand(x, from, to, depth);
}

uint32_t infer_expression(const struct infer *x, size_t from, size_t to)
{
    return expression(x, from, to, 0);
}
