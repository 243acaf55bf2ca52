/*
 * time + INTERVAL '1 day 02:30' → strftime('%Y-%m-%d %H:%M:%f', time, '+1 days', '+9000 seconds'):
 * SQLite's own modifiers, good for the schema, too.
 */
#include <string.h>

#include "sql/pg/rewrite.h"
#include "sql/pg/span.h"

/* The span as modifiers, each with a comma before it. SQLite goes on into the next month where a
 * month has no such day, unless "floor" follows. */
static void put_modifiers(struct buf *b, const struct pg_span *span, bool minus)
{
    double sign = minus ? -1 : 1;

    if (span->months != 0)
        buf_printf(b, ", '%+ld months', 'floor'", minus ? -span->months : span->months);
    if (span->days != 0)
        buf_printf(b, ", '%+.15g days'", sign * span->days);
    if (span->seconds != 0)
        buf_printf(b, ", '%+.15g seconds'", sign * span->seconds);
}

bool pg_interval_field(const struct pg_rewrite *r, size_t i)
{
    static const char *const fields[] = {"YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"};

    if (i < 2 || !pg_word(r, i - 2, "INTERVAL"))
        return false;
    for (size_t k = 0; k < sizeof fields / sizeof fields[0]; k++)
        if (pg_word(r, i, fields[k]))
            return true;
    return false;
}

/* What follows + or - at i + 1 as an interval: *text its string's token, *next behind it. */
static bool find_interval(struct pg_rewrite *r, size_t i, size_t *text, size_t *next, size_t *unit)
{
    struct pg_type_ref ref;

    *unit = PG_NONE;
    while (pg_punct(r, i, "(") && r->match[i] > i + 1 &&
           (pg_word(r, i + 1, "INTERVAL") || pg_at(r, i + 2)->type == PG_TOKEN_CAST)) {
        if (!find_interval(r, i + 1, text, next, unit) || *next != r->match[i])
            return false;
        *next = r->match[i] + 1;
        return true;
    }
    if (pg_word(r, i, "INTERVAL") &&
        (pg_is_string(r, i + 1) || pg_at(r, i + 1)->type == PG_TOKEN_PARAM)) {
        *text = i + 1;
        *next = i + 2;
        if (pg_interval_field(r, i + 2)) {
            *unit = i + 2;
            *next = i + 3;
        }
        return true;
    }
    if ((pg_is_string(r, i) || pg_at(r, i)->type == PG_TOKEN_PARAM) &&
        pg_at(r, i + 1)->type == PG_TOKEN_CAST) {
        *next = pg_read_type(r, i + 2, &ref);
        *text = i;
        return ref.type && ref.type->oid == PG_OID_INTERVAL && !ref.array;
    }
    return false;
}

size_t pg_interval(struct pg_rewrite *r, size_t i, size_t to)
{
    struct buf b = BUF_INIT;
    struct pg_span span;
    size_t text, next, unit, open, n;
    const char *s;
    bool minus = pg_punct(r, i, "-");

    if ((!minus && !pg_punct(r, i, "+")) || r->n_out == 0 ||
        !find_interval(r, i + 1, &text, &next, &unit) || next > to)
        return i;
    r->at = i;
    open = pg_operand(r);
    if (pg_punct(r, next, "*") || pg_punct(r, next, "/")) {
        pg_fail(r, next, ERR_UNSUPPORTED, "intervals cannot be multiplied");
        return next;
    }
    if (!pg_is_string(r, text)) {
        if (r->schema)
            pg_fail(r, text, ERR_UNSUPPORTED, "this interval cannot be put into the schema");
        pg_put_before(r, open, minus ? "pg_subtract_interval(" : "pg_add_interval(");
        pg_put(r, ",");
        pg_copy(r, text);
        pg_put_end(r, ")", open);
        return next;
    }
    s = pg_string(r, text, &n);
    if (strlen(s) != n || !pg_span_read(s, unit == PG_NONE ? "s" : pg_at(r, unit)->text,
                                        unit == PG_NONE ? 1 : pg_at(r, unit)->len, &span)) {
        pg_fail(r, text, ERR_PARAM, "invalid input syntax for type interval: \"%.60s\"", s);
    } else {
        put_modifiers(&b, &span, minus);
        pg_put_before(r, open, "strftime('%Y-%m-%d %H:%M:%f', ");
        pg_put_end(r, pg_format(r, "%s)", b.len > 0 ? buf_cstr(&b) : ""), open);
    }
    buf_free(&b);
    return next;
}
