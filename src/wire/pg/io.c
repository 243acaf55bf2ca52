/* Messages in: their types and lengths are believed only within limits. */
#include "wire/pg/conn.h"

static enum pg_read need(struct pg_conn *c, size_t n)
{
    switch (stream_need(&c->io, n)) {
    case STREAM_OK:
        return PG_READ_OK;
    case STREAM_TIMEOUT:
        return PG_READ_TIMEOUT;
    default:
        return PG_READ_CLOSED;
    }
}

static size_t here(const struct pg_conn *c)
{
    return stream_here(&c->io);
}

static uint32_t word_at(const struct pg_conn *c, size_t offset)
{
    const unsigned char *p = (const unsigned char *)c->io.in.data + c->io.in_at + offset;

    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

enum pg_read pg_read_startup(struct pg_conn *c, const char **body, size_t *len)
{
    enum pg_read r = need(c, 4);
    uint32_t n;

    if (r != PG_READ_OK)
        return r;
    n = word_at(c, 0);
    if (n < 8 || n > PGWIRE_STARTUP_BYTES)
        return PG_READ_TOO_LONG;
    r = need(c, n);
    if (r != PG_READ_OK)
        return r;
    *body = c->io.in.data + c->io.in_at + 4;
    *len = n - 4;
    c->io.in_at += n;
    return PG_READ_OK;
}

enum pg_read pg_read(struct pg_conn *c, struct pg_message *m)
{
    enum pg_read r = need(c, PGWIRE_HEADER_BYTES);
    uint32_t n, limit;

    if (r != PG_READ_OK)
        return r;
    m->type = c->io.in.data[c->io.in_at];
    /* Whoever is still to prove who he is has nothing to send but the proof, which is short. */
    limit = c->user || m->type == 'p' ? pgwire_limit(m->type) : 0;
    if (limit == 0)
        return PG_READ_UNKNOWN;
    n = word_at(c, 1);
    if (n < 4 || n > INT32_MAX)
        return PG_READ_UNKNOWN;
    if (n > limit) {
        c->io.in_at += PGWIRE_HEADER_BYTES;
        return stream_drain(&c->io, n - 4) == STREAM_OK ? PG_READ_TOO_LONG : PG_READ_CLOSED;
    }
    r = need(c, (size_t)n + 1);
    if (r != PG_READ_OK)
        return r;
    m->body = c->io.in.data + c->io.in_at + PGWIRE_HEADER_BYTES;
    m->len = n - 4;
    c->io.in_at += (size_t)n + 1;
    return PG_READ_OK;
}

char pg_peek(const struct pg_conn *c, unsigned i)
{
    size_t at = 0;

    for (;; i--) {
        if (here(c) < at + PGWIRE_HEADER_BYTES)
            return 0;
        size_t n = word_at(c, at + 1);
        if (n < 4 || here(c) < at + 1 + n)
            return 0;
        if (i == 0)
            return c->io.in.data[c->io.in_at + at];
        at += 1 + n;
    }
}
