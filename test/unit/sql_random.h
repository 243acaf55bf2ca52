/*
 * Random numbers for tests that can be run again from their seed, and a random ALTER of alter.h.
 */
#ifndef HA_TEST_SQL_RANDOM_H
#define HA_TEST_SQL_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "sql/quote.h"
#include "sql/schema.h"

struct random {
    uint64_t s;
};

static uint64_t next(struct random *r)
{
    r->s ^= r->s << 13;
    r->s ^= r->s >> 7;
    r->s ^= r->s << 17;
    return r->s * UINT64_C(0x2545F4914F6CDD1D);
}

static unsigned pick(struct random *r, unsigned n)
{
    return n > 0 ? (unsigned)((next(r) >> 33) % n) : 0;
}

static bool chance(struct random *r, unsigned percent)
{
    return pick(r, 100) < percent;
}

static void put_own_alter(struct random *r, struct buf *b, const char *table, const char *column)
{
    static const char *const types[] = {"TEXT", "INT", "REAL", "NUMERIC", "BLOB", "VARCHAR(9)"};
    static const char *const defaults[] = {"7", "'abc'", "NULL", "-1.5", "(1 + 2)", "X'00'"};
    unsigned kind = pick(r, 8);

    buf_puts(b, "ALTER TABLE ");
    quote_put_name(b, table);
    if (kind == 6) {
        buf_printf(b, " DROP CONSTRAINT k%u", pick(r, 4));
        return;
    }
    if (kind == 5)
        buf_printf(b, " ADD CONSTRAINT k%u %s (", pick(r, 4),
                   chance(r, 70) ? "UNIQUE" : "PRIMARY KEY");
    else
        buf_puts(b, kind < 5 ? " ALTER COLUMN " : " DROP COLUMN ");
    quote_put_name(b, column);
    if (kind < 2)
        buf_printf(b, " TYPE %s", types[pick(r, sizeof types / sizeof *types)]);
    else if (kind < 4)
        buf_printf(b, " SET DEFAULT %s", defaults[pick(r, sizeof defaults / sizeof *defaults)]);
    else if (kind == 4)
        buf_puts(b, " DROP DEFAULT");
    else if (kind == 5)
        buf_puts(b, chance(r, 30) ? " DESC)" : ")");
    else
        buf_puts(b, " CASCADE");
}

#endif
