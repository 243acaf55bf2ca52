/*
 * What MySQL writes differently inside an expression, but for calls of functions (call.c).
 *
 *   a <=> b          a IS b                        a && b        a AND b
 *   a / b            a * 1.0 / b                   a DIV b       a / b
 *   a LIKE 'x\%'     a LIKE 'x\%' ESCAPE '\'       a RLIKE b     a REGEXP '(?i)' || b
 *   a + INTERVAL 1 DAY                             mysql_add(a, 1, 'DAY')
 *   @a, @@a          what the session says         VALUES(a)     excluded.a
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sql/mysql/rewrite.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static size_t put(struct mysql_rewrite *r, const char *text, size_t end)
{
    mysql_put(r, text);
    r->touched++;
    return end;
}

/* ---- the session's ---- */

static bool in_schema(struct mysql_rewrite *r, size_t i)
{
    if (!r->schema)
        return false;
    mysql_fail(r, i, ERR_UNSUPPORTED, "a session's own value cannot be part of the schema: %.*s",
               (int)(mysql_at(r, i)->len < 80 ? mysql_at(r, i)->len : 80), mysql_at(r, i)->text);
    return true;
}

static size_t variable(struct mysql_rewrite *r, size_t i)
{
    const struct mysql_token *t = mysql_at(r, i);
    bool system = t->type == MYSQL_TOKEN_SYSTEM;
    size_t skip = system ? 2 : 1;
    const char *p = t->text + skip;
    size_t n = t->len - skip;
    const char *name;

    if (in_schema(r, i))
        return i + 1;
    if (mysql_op(r, i + 1, ":=")) {
        mysql_fail(r, i, ERR_UNSUPPORTED, "@a := … is supported in SET only");
        return i + 1;
    }
    if (!system && n >= 2 && strchr("`'\"", *p)) {
        p++;
        n -= 2;
    }
    name = arena_strndup(r->arena, p, n);
    if (!name) {
        mysql_fail(r, MYSQL_NONE, ERR_NO_MEMORY, "out of memory");
        return i + 1;
    }
    mysql_put(r, "");
    if (system && r->context->system_variable)
        r->context->system_variable(r->context->arg, name, r->out);
    else if (!system && r->context->user_variable)
        r->context->user_variable(r->context->arg, name, r->out);
    else
        buf_puts(r->out, system ? "''" : "NULL");
    r->touched++;
    r->is_session = true;
    return i + 1;
}

/* Functions that stand without parentheses. */
static size_t bare_function(struct mysql_rewrite *r, size_t i)
{
    static const struct {
        const char *name, *text;
    } bare[] = {{"LOCALTIME", "datetime('now')"},
                {"LOCALTIMESTAMP", "datetime('now')"},
                {"UTC_TIMESTAMP", "datetime('now')"},
                {"UTC_DATE", "date('now')"},
                {"UTC_TIME", "time('now')"}};
    const struct mysql_token *t = mysql_at(r, i);

    if (mysql_op(r, i + 1, "(") || mysql_op(r, i + 1, ".") || (i > 0 && mysql_op(r, i - 1, ".")))
        return i;
    for (size_t k = 0; k < COUNT(bare); k++)
        if (mysql_lex_is(t, bare[k].name))
            return put(r, bare[k].text, i + 1);
    if (mysql_lex_is(t, "CURRENT_USER") && r->context->session_function && !in_schema(r, i)) {
        mysql_put(r, "");
        (void)r->context->session_function(r->context->arg, "CURRENT_USER", r->out);
        r->touched++;
        r->is_session = true;
        return i + 1;
    }
    return i;
}

/* ---- operators ---- */

static size_t operator(struct mysql_rewrite *r, size_t i)
{
    if (mysql_op(r, i, "&&"))
        return put(r, "AND", i + 1);
    if (mysql_op(r, i, "<=>"))
        return put(r, "IS", i + 1);
    if (mysql_op(r, i, "!"))
        return put(r, "NOT", i + 1);
    if (mysql_op(r, i, "/")) /* MySQL divides integers as decimals */
        return put(r, "* 1.0 /", i + 1);
    if (mysql_op(r, i, "^")) {
        mysql_fail(r, i, ERR_UNSUPPORTED, "the operator ^ is not supported");
        return i + 1;
    }
    return i;
}

static size_t word_operator(struct mysql_rewrite *r, size_t i)
{
    bool operand_before =
        i > 0 && !mysql_op(r, i - 1, "(") && !mysql_op(r, i - 1, ",") && !mysql_op(r, i - 1, ".");

    if (mysql_word(r, i, "DIV") && operand_before)
        return put(r, "/", i + 1);
    if (mysql_word(r, i, "MOD") && operand_before && !mysql_op(r, i + 1, "("))
        return put(r, "%", i + 1);
    if ((mysql_word(r, i, "RLIKE") || mysql_word(r, i, "REGEXP")) && operand_before)
        return put(r, "REGEXP '(?i)' ||", mysql_word(r, i + 1, "BINARY") ? i + 2 : i + 1);
    /* Comparisons are binary already. */
    if (mysql_word(r, i, "BINARY") && !mysql_op(r, i + 1, ",") && !mysql_op(r, i + 1, ")") &&
        !mysql_op(r, i + 1, ".") && !(i > 0 && mysql_op(r, i - 1, ".")) && i + 1 < r->n &&
        !r->schema) {
        r->touched++;
        return i + 1;
    }
    return i;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);

    return n >= k && strcasecmp(s + n - k, end) == 0;
}

/* utf8mb4_general_ci ignores case, utf8mb4_bin does not. */
static size_t collate(struct mysql_rewrite *r, size_t i)
{
    const char *name;

    if (!mysql_word(r, i, "COLLATE") ||
        !(mysql_is_name(r, i + 1) || mysql_at(r, i + 1)->type == MYSQL_TOKEN_STRING))
        return i;
    name = mysql_name(r, i + 1);
    if (ends_with(name, "_ci"))
        return put(r, "COLLATE NOCASE", i + 2);
    if (ends_with(name, "_bin") || ends_with(name, "_cs"))
        return put(r, "COLLATE BINARY", i + 2);
    return i;
}

/* A backslash in a pattern quotes what follows; SQLite wants to be told. */
static size_t like(struct mysql_rewrite *r, size_t i)
{
    size_t at = i + 1;
    const struct mysql_token *t;

    if (!mysql_word(r, i, "LIKE") || r->schema)
        return i;
    if (mysql_word(r, at, "BINARY"))
        at++;
    t = mysql_at(r, at);
    bool param = t->type == MYSQL_TOKEN_PARAM;
    bool quoted = t->type == MYSQL_TOKEN_STRING && memchr(t->text, '\\', t->len);
    if (at == i + 1 && !param && !quoted)
        return i;
    mysql_copy(r, i);
    r->touched++;
    if (!(param || quoted) || mysql_word(r, at + 1, "ESCAPE") ||
        mysql_at(r, at + 1)->type == MYSQL_TOKEN_STRING)
        return at;
    mysql_copy(r, at);
    mysql_put(r, "ESCAPE '\\'");
    return at + 1;
}

/* ---- strings and numbers ---- */

/* 'a' 'b' is one. */
static size_t adjacent(struct mysql_rewrite *r, size_t i)
{
    struct buf b = BUF_INIT;
    size_t n;

    if (mysql_at(r, i)->type != MYSQL_TOKEN_STRING ||
        mysql_at(r, i + 1)->type != MYSQL_TOKEN_STRING ||
        (i > 0 && mysql_at(r, i - 1)->type == MYSQL_TOKEN_WORD && *mysql_at(r, i - 1)->text == '_'))
        return i;
    for (; mysql_at(r, i)->type == MYSQL_TOKEN_STRING; i++) {
        const char *s = mysql_string(r, i, &n);
        buf_put(&b, s, n);
    }
    mysql_put(r, "");
    mysql_put_string(r, b.data ? b.data : "", b.len);
    if (!buf_ok(&b))
        mysql_fail(r, MYSQL_NONE, ERR_NO_MEMORY, "out of memory");
    buf_free(&b);
    r->touched++;
    return i;
}

/* LIMIT 10, 18446744073709551615: all that there are. */
static size_t great_number(struct mysql_rewrite *r, size_t i)
{
    static const char all[] = "18446744073709551615";
    const struct mysql_token *t = mysql_at(r, i);

    if (t->type != MYSQL_TOKEN_NUMBER || t->len != sizeof all - 1 ||
        memcmp(t->text, all, t->len) != 0)
        return i;
    return put(r, "9223372036854775807", i + 1);
}

/* DATE '2026-01-31' */
static size_t typed_literal(struct mysql_rewrite *r, size_t i)
{
    if ((mysql_word(r, i, "DATE") || mysql_word(r, i, "TIME") || mysql_word(r, i, "TIMESTAMP")) &&
        mysql_at(r, i + 1)->type == MYSQL_TOKEN_STRING && !r->schema) {
        r->touched++;
        mysql_put(r, "");
        return i + 1;
    }
    return i;
}

/* ---- intervals ---- */

bool mysql_is_unit(const struct mysql_token *t)
{
    static const char *const units[] = {"MICROSECOND",
                                        "SECOND",
                                        "MINUTE",
                                        "HOUR",
                                        "DAY",
                                        "WEEK",
                                        "MONTH",
                                        "QUARTER",
                                        "YEAR",
                                        "DAY_HOUR",
                                        "DAY_MINUTE",
                                        "DAY_SECOND",
                                        "HOUR_MINUTE",
                                        "HOUR_SECOND",
                                        "MINUTE_SECOND",
                                        "YEAR_MONTH",
                                        "DAY_MICROSECOND",
                                        "HOUR_MICROSECOND",
                                        "MINUTE_MICROSECOND",
                                        "SECOND_MICROSECOND"};

    return mysql_one_of(t, units, COUNT(units));
}

/* The operand that ends before token i: where it begins. */
static size_t operand_before(const struct mysql_rewrite *r, size_t i)
{
    size_t at = i - 1;

    if (r->interval_end == i && i > 0)
        return r->interval_start;
    if (mysql_op(r, at, ")") && r->match[at] != MYSQL_NONE)
        at = r->match[at];
    if (mysql_op(r, at, "(") && at > 0 && mysql_is_name(r, at - 1))
        at--;
    while (at >= 2 && mysql_op(r, at - 1, ".") && mysql_is_name(r, at - 2))
        at -= 2;
    return at;
}

/* Text into the middle of what was written; what stands behind it moves. */
static void insert(struct mysql_rewrite *r, size_t at, const char *text)
{
    struct buf *b = r->out;
    size_t n = strlen(text), rest = b->len - at;

    while (at < b->len && b->data[at] == ' ') {
        at++;
        rest--;
    }
    if (!buf_reserve(b, n))
        return;
    memmove(b->data + at + n, b->data + at, rest);
    memcpy(b->data + at, text, n);
    b->len += n;
}

static size_t interval(struct mysql_rewrite *r, size_t i, size_t to)
{
    bool minus = mysql_op(r, i, "-");
    size_t unit = i + 2, start;

    if ((!minus && !mysql_op(r, i, "+")) || !mysql_word(r, i + 1, "INTERVAL") || i == 0)
        return i;
    while (unit < to && !mysql_is_unit(mysql_at(r, unit)))
        unit = mysql_skip(r, unit);
    if (unit >= to || unit == i + 2) {
        mysql_fail_syntax(r, i + 1);
        return to;
    }
    start = operand_before(r, i);
    insert(r, r->place[start], "mysql_add(");
    mysql_put(r, minus ? ", -(" : ", (");
    mysql_range(r, i + 2, unit);
    mysql_put(r, "), '");
    buf_put(r->out, mysql_at(r, unit)->text, mysql_at(r, unit)->len);
    buf_puts(r->out, "')");
    r->touched++;
    r->interval_start = start;
    r->interval_end = unit + 1;
    return unit + 1;
}

/* ---- ON DUPLICATE KEY UPDATE ---- */

static size_t excluded(struct mysql_rewrite *r, size_t i)
{
    if (!r->excluded)
        return i;
    if (mysql_word(r, i, "VALUES") && mysql_op(r, i + 1, "(") && mysql_is_name(r, i + 2)) {
        size_t close = r->match[i + 1];
        mysql_put(r, "excluded.");
        mysql_copy(r, close - 1);
        r->touched++;
        return close + 1;
    }
    if (r->new_alias && mysql_is_name(r, i) && mysql_op(r, i + 1, ".") &&
        strcasecmp(mysql_name(r, i), r->new_alias) == 0)
        return put(r, "excluded", i + 1);
    return i;
}

size_t mysql_expr(struct mysql_rewrite *r, size_t i, size_t to)
{
    const struct mysql_token *t = mysql_at(r, i);
    size_t end = i;

    switch (t->type) {
    case MYSQL_TOKEN_SYSTEM:
    case MYSQL_TOKEN_USER:
        return variable(r, i);
    case MYSQL_TOKEN_STRING:
        return adjacent(r, i);
    case MYSQL_TOKEN_NUMBER:
        return great_number(r, i);
    case MYSQL_TOKEN_OP:
        end = interval(r, i, to);
        return end > i ? end : operator(r, i);
    case MYSQL_TOKEN_QUOTED:
        return excluded(r, i);
    case MYSQL_TOKEN_WORD:
        break;
    default:
        return i;
    }
    if (i > 0 && mysql_op(r, i - 1, ".")) /* the column of a table */
        return i;
    if (mysql_words(r, i, "WITH", "ROLLUP")) {
        mysql_fail(r, i, ERR_UNSUPPORTED, "WITH ROLLUP is not supported");
        return to;
    }
    if ((end = excluded(r, i)) > i || (end = mysql_call(r, i, to)) > i || (end = like(r, i)) > i ||
        (end = collate(r, i)) > i || (end = typed_literal(r, i)) > i ||
        (end = word_operator(r, i)) > i)
        return end;
    return bare_function(r, i);
}
