/*
 * Types that SQLite does not tell: of parameters, by what they meet (a column compared or assigned,
 * a cast, a number, LIMIT), and of expressions in a result, by their outermost part. It reads
 * tokens, not grammar: where it is not sure it answers PGTYPE_NONE, and a parameter is text, an
 * expression what its first row holds.
 */
#include <string.h>
#include <strings.h>

#include "sql/pg/lex.h"
#include "wire/pg/infer.h"

#define TOKENS_FEW 64
#define TOKENS_MAX 20000 /* about; a longer statement is not looked at */
#define DEPTH_MAX  20

bool infer_open(struct infer *x, struct arena *a, const char *sql, size_t len)
{
    struct pg_lexer lex;
    struct pg_token t;
    size_t room = 0;

    memset(x, 0, sizeof *x);
    x->arena = a;
    pg_lex_init(&lex, sql, len);
    while (pg_lex_next(&lex, &t) && t.type != PG_TOKEN_SEMI) {
        if (x->n == room) {
            size_t more = room == 0 ? TOKENS_FEW : 2 * room;
            struct pg_token *to = x->n < TOKENS_MAX ? arena_alloc(a, more * sizeof *to) : NULL;
            if (!to)
                return false;
            if (x->n > 0)
                memcpy(to, x->t, x->n * sizeof *to);
            x->t = to;
            room = more;
        }
        x->t[x->n++] = t;
    }
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
    {"random", PGTYPE_INT8},
    {"unixepoch", PGTYPE_INT8},
    {"ntile", PGTYPE_INT4},
    {"ascii", PGTYPE_INT4},
    {"cardinality", PGTYPE_INT4},
    {"array_length", PGTYPE_INT4},
    {"json_array_length", PGTYPE_INT4},
    {"length", PGTYPE_INT4},
    {"char_length", PGTYPE_INT4},
    {"octet_length", PGTYPE_INT4},
    {"strpos", PGTYPE_INT4},
    {"position", PGTYPE_INT4},
    {"instr", PGTYPE_INT4},
    {"pg_backend_pid", PGTYPE_INT4},
    {"pg_advisory_unlock_all", PGTYPE_VOID},
    {"lower", PGTYPE_TEXT},
    {"left", PGTYPE_TEXT},
    {"right", PGTYPE_TEXT},
    {"lpad", PGTYPE_TEXT},
    {"rpad", PGTYPE_TEXT},
    {"repeat", PGTYPE_TEXT},
    {"reverse", PGTYPE_TEXT},
    {"initcap", PGTYPE_TEXT},
    {"split_part", PGTYPE_TEXT},
    {"translate", PGTYPE_TEXT},
    {"regexp_replace", PGTYPE_TEXT},
    {"sqlite_version", PGTYPE_TEXT},
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
    {"to_date", PGTYPE_DATE},
    {"to_timestamp", PGTYPE_TIMESTAMPTZ},
    {"date_part", PGTYPE_FLOAT8},
    {"total", PGTYPE_FLOAT8},
    {"ln", PGTYPE_FLOAT8},
    {"log", PGTYPE_FLOAT8},
    {"log10", PGTYPE_FLOAT8},
    {"cbrt", PGTYPE_FLOAT8},
    {"pow", PGTYPE_FLOAT8},
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
    static const char *const same[] = {
        "min",  "max",         "coalesce",   "ifnull",   "nullif", "abs",       "lag",
        "lead", "first_value", "last_value", "greatest", "least",  "nth_value", "mod"};
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
    if (strcasecmp(name, "round") == 0 || strcasecmp(name, "ceil") == 0 ||
        strcasecmp(name, "ceiling") == 0 || strcasecmp(name, "floor") == 0)
        return first_argument(x, i + 1, to, depth) == PGTYPE_NUMERIC ? PGTYPE_NUMERIC
                                                                     : PGTYPE_FLOAT8;
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

/* An expression, or a query for one value. */
static uint32_t in_parentheses(const struct infer *x, size_t from, size_t to, unsigned depth)
{
    struct infer_item item;

    if (!is(x, from, "SELECT"))
        return expression(x, from, to, depth + 1);
    return infer_items(x, infer_list_start(x, from), to, &item, 1) > 0 && !item.star
               ? expression(x, item.from, item.to, depth + 1)
               : PGTYPE_NONE;
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
        return infer_behind(x, i, to) == to ? in_parentheses(x, i + 1, to - 1, depth) : PGTYPE_NONE;
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
    if (i + 2 == to && x->t[i + 1].type == PG_TOKEN_STRING) /* uuid '…' */
        return infer_type_name(x, i, i + 1);
    return i + 1 == to ? infer_column(x, i) : PGTYPE_NONE;
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
