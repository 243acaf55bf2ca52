/*
 * sum() as PostgreSQL has it: of integers it never overflows (SQLite's fails beyond 64 bits, even
 * where what follows would bring it back). The sum of integers is exact as far as an integer
 * reaches; beyond that it is a real, like every number of that size here. Of anything else it is
 * what SQLite's is: a real, NULL of nothing.
 *
 * It runs in windows, too, so what has been added can be taken away again.
 */
#include <math.h>
#include <sqlite3.h>
#include <stdint.h>

#include "sql/pg/function.h"

struct sum {
    int64_t n;      /* values */
    int64_t n_real; /* of them no integers */
    int64_t whole;  /* of the integers: whole + 2^64 * wraps */
    int64_t wraps;
    double real, lost; /* Neumaier's sum of the reals: what its additions have rounded away */
};

static void add_real(struct sum *s, double v)
{
    double t = s->real + v;

    s->lost += fabs(s->real) >= fabs(v) ? (s->real - t) + v : (v - t) + s->real;
    s->real = t;
}

/* Where the sum leaves 64 bits it comes back in at the other end. */
static void add_whole(struct sum *s, int64_t v, int sign)
{
    bool left = sign > 0 ? __builtin_add_overflow(s->whole, v, &s->whole)
                         : __builtin_sub_overflow(s->whole, v, &s->whole);

    if (left)
        s->wraps += (v < 0) == (sign < 0) ? 1 : -1;
}

static void count(sqlite3_context *ctx, sqlite3_value *v, int sign)
{
    struct sum *s = sqlite3_aggregate_context(ctx, sizeof *s);
    int type = sqlite3_value_numeric_type(v);

    if (!s || type == SQLITE_NULL)
        return;
    s->n += sign;
    if (type == SQLITE_INTEGER) {
        add_whole(s, sqlite3_value_int64(v), sign);
        return;
    }
    s->n_real += sign;
    add_real(s, sign * sqlite3_value_double(v));
}

static void step(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    count(ctx, v[0], 1);
}

static void inverse(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    count(ctx, v[0], -1);
}

static void value(sqlite3_context *ctx)
{
    const struct sum *s = sqlite3_aggregate_context(ctx, 0);

    if (!s || s->n == 0)
        return; /* NULL */
    if (s->n_real == 0 && s->wraps == 0) {
        sqlite3_result_int64(ctx, s->whole);
        return;
    }
    double sum = (double)s->wraps * 0x1p64 + (double)s->whole + s->real;
    sqlite3_result_double(ctx, isfinite(s->lost) ? sum + s->lost : sum);
}

int pg_function_sum_open(sqlite3 *db, int flags)
{
    return sqlite3_create_window_function(db, "pg_sum", 1,
                                          SQLITE_UTF8 | SQLITE_DETERMINISTIC | flags, NULL, step,
                                          value, value, inverse, NULL);
}
