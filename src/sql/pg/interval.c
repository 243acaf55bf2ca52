/*
 * time + INTERVAL '1 day 02:30' → strftime('%Y-%m-%d %H:%M:%f', time, '+1 days', '+9000 seconds'):
 * SQLite's own modifiers, good for the schema, too.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sql/pg/rewrite.h"

static const struct {
    const char *unit;
    double factor;
    const char *modifier;
} units[] = {
    {"microsecond", 1e-6, "seconds"},
    {"us", 1e-6, "seconds"},
    {"usec", 1e-6, "seconds"},
    {"millisecond", 1e-3, "seconds"},
    {"ms", 1e-3, "seconds"},
    {"msec", 1e-3, "seconds"},
    {"second", 1, "seconds"},
    {"sec", 1, "seconds"},
    {"s", 1, "seconds"},
    {"minute", 1, "minutes"},
    {"min", 1, "minutes"},
    {"m", 1, "minutes"},
    {"hour", 1, "hours"},
    {"hr", 1, "hours"},
    {"h", 1, "hours"},
    {"day", 1, "days"},
    {"d", 1, "days"},
    {"week", 7, "days"},
    {"w", 7, "days"},
    {"month", 1, "months"},
    {"mon", 1, "months"},
    {"year", 1, "years"},
    {"yr", 1, "years"},
    {"y", 1, "years"},
    {"decade", 10, "years"},
    {"century", 100, "years"},
    {"centurie", 100, "years"},
};

static bool unit_named(const char *s, size_t n, double *factor, const char **modifier)
{
    if (n > 1 && (s[n - 1] == 's' || s[n - 1] == 'S') &&
        !(n == 2 && strncasecmp(s, "ms", 2) == 0) && !(n == 2 && strncasecmp(s, "us", 2) == 0))
        n--;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strlen(units[i].unit) == n && strncasecmp(units[i].unit, s, n) == 0) {
            *factor = units[i].factor;
            *modifier = units[i].modifier;
            return true;
        }
    }
    return false;
}

static void add_modifier(struct buf *b, double v, const char *modifier)
{
    buf_printf(b, ", '%+.15g %s'", v, modifier);
}

/* [h]h:mm[:ss[.f]] behind its first number. */
static const char *read_clock(const char *p, double sign, double hours, struct buf *b)
{
    char *end;
    double minutes = strtod(p + 1, &end), seconds = 0;

    if (*end == ':')
        seconds = strtod(end + 1, &end);
    add_modifier(b, sign * (hours * 3600 + minutes * 60 + seconds), "seconds");
    return end;
}

/* The interval's text as modifiers, each with a comma before it. `unit` is that of a bare number.
 * False: it is none. */
static bool modifiers(const char *p, bool minus, const char *unit, size_t unit_len, struct buf *b)
{
    double sign = minus ? -1 : 1, v, factor;
    const char *modifier;
    size_t n;
    char *end;

    if (strcasestr(p, "ago"))
        sign = -sign;
    for (;;) {
        p += strspn(p, " ,\t\n@");
        if (!*p)
            return b->len > 0;
        if (strcasecmp(p, "ago") == 0)
            return b->len > 0;
        if (strchr("0123456789+-.", *p) == NULL)
            return false;
        v = strtod(p, &end);
        if (end == p)
            return false;
        if (*end == ':') {
            p = read_clock(end, *p == '-' ? -sign : sign, v < 0 ? -v : v, b);
            continue;
        }
        p = end + strspn(end, " ");
        n = strcspn(p, " 0123456789+-.,@");
        if (n == 0 && !unit_named(unit, unit_len, &factor, &modifier))
            return false;
        if (n > 0 && !unit_named(p, n, &factor, &modifier))
            return false;
        add_modifier(b, sign * v * factor, modifier);
        p += n;
    }
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
        double factor;
        const char *modifier;
        *text = i + 1;
        *next = i + 2;
        if (pg_at(r, i + 2)->type == PG_TOKEN_WORD &&
            unit_named(pg_at(r, i + 2)->text, pg_at(r, i + 2)->len, &factor, &modifier)) {
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
    if (!modifiers(s, minus, unit == PG_NONE ? "s" : pg_at(r, unit)->text,
                   unit == PG_NONE ? 1 : pg_at(r, unit)->len, &b) ||
        strlen(s) != n) {
        pg_fail(r, text, ERR_PARAM, "invalid input syntax for type interval: \"%.60s\"", s);
    } else {
        pg_put_before(r, open, "strftime('%Y-%m-%d %H:%M:%f', ");
        pg_put_end(r, pg_format(r, "%s)", buf_cstr(&b)), open);
    }
    buf_free(&b);
    return next;
}
