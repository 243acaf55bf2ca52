/* Packets in. A payload that fills its packet goes on in the next one. */
#include "base/clock.h"
#include "wire/mysql/conn.h"

static enum mysql_read need(struct mysql_conn *c, size_t n)
{
    switch (stream_need(&c->io, n)) {
    case STREAM_OK:
        return MYSQL_READ_OK;
    case STREAM_TIMEOUT:
        return MYSQL_READ_TIMEOUT;
    default:
        return MYSQL_READ_CLOSED;
    }
}

static size_t header(struct mysql_conn *c)
{
    const unsigned char *p = (const unsigned char *)stream_at(&c->io);
    size_t n = (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16;

    c->out.sequence = (uint8_t)(p[3] + 1);
    return n;
}

/* The rest of a payload whose first part is in `big`, or too long already. */
static enum mysql_read read_parts(struct mysql_conn *c, size_t limit, const char **body,
                                  size_t *len)
{
    bool too_long = false;
    size_t n;

    do {
        enum mysql_read r = need(c, MYSQLWIRE_HEADER_BYTES);
        if (r != MYSQL_READ_OK)
            return r;
        n = header(c);
        stream_take(&c->io, MYSQLWIRE_HEADER_BYTES);
        too_long = too_long || c->big.len + n > limit;
        if (too_long) {
            if (stream_drain(&c->io, n) != STREAM_OK)
                return MYSQL_READ_CLOSED;
            continue;
        }
        r = need(c, n);
        if (r != MYSQL_READ_OK)
            return r;
        buf_put(&c->big, stream_at(&c->io), n);
        stream_take(&c->io, n);
    } while (n == MYSQLWIRE_PART_BYTES);
    if (too_long || !buf_ok(&c->big))
        return MYSQL_READ_TOO_LONG;
    *body = c->big.data;
    *len = c->big.len;
    return MYSQL_READ_OK;
}

enum mysql_read mysql_read(struct mysql_conn *c, const char **body, size_t *len)
{
    size_t limit = c->known ? MYSQL_PACKET_BYTES : MYSQLWIRE_LOGIN_BYTES, n;
    enum mysql_read r;

    buf_free(&c->big);
    r = need(c, MYSQLWIRE_HEADER_BYTES);
    if (r != MYSQL_READ_OK)
        return r;
    n = header(c);
    if (n > limit) { /* before the login nobody waits for what is too long */
        if (!c->known)
            return MYSQL_READ_TOO_LONG;
        stream_take(&c->io, MYSQLWIRE_HEADER_BYTES);
        return stream_drain(&c->io, n) == STREAM_OK ? MYSQL_READ_TOO_LONG : MYSQL_READ_CLOSED;
    }
    r = need(c, MYSQLWIRE_HEADER_BYTES + n);
    if (r != MYSQL_READ_OK)
        return r;
    *body = stream_at(&c->io) + MYSQLWIRE_HEADER_BYTES;
    *len = n;
    stream_take(&c->io, MYSQLWIRE_HEADER_BYTES + n);
    if (n < MYSQLWIRE_PART_BYTES)
        return MYSQL_READ_OK;
    buf_put(&c->big, *body, n);
    return read_parts(c, limit, body, len);
}
