#include "proto/httpchunk.h"

#include <stdbool.h>

#include "base/hex.h"

#define SIZE_DIGITS 15u

static bool size_byte(struct httpchunk *c, char byte)
{
    int digit = hex_value(byte);

    if (digit >= 0) {
        c->left = c->left << 4 | (unsigned)digit;
        return ++c->digits <= SIZE_DIGITS;
    }
    c->state = byte == '\r' ? HTTPCHUNK_SIZE_LF : HTTPCHUNK_EXTENSION;
    return c->digits > 0 && (byte == '\r' || byte == ';' || byte == ' ' || byte == '\t');
}

/* A byte that is none of the body's. False: it must not stand there. */
static bool step(struct httpchunk *c, char byte)
{
    switch (c->state) {
    case HTTPCHUNK_SIZE:
        return size_byte(c, byte);
    case HTTPCHUNK_EXTENSION:
        if (byte == '\r')
            c->state = HTTPCHUNK_SIZE_LF;
        return byte != '\n';
    case HTTPCHUNK_SIZE_LF:
        c->state = c->left > 0 ? HTTPCHUNK_BYTES : HTTPCHUNK_TRAILER_BEGIN;
        return byte == '\n';
    case HTTPCHUNK_BYTES_CR:
        c->state = HTTPCHUNK_BYTES_LF;
        return byte == '\r';
    case HTTPCHUNK_BYTES_LF:
        c->state = HTTPCHUNK_SIZE;
        c->digits = 0;
        return byte == '\n';
    case HTTPCHUNK_TRAILER_BEGIN:
        c->state = byte == '\r' ? HTTPCHUNK_LAST_LF : HTTPCHUNK_TRAILER;
        return byte != '\n';
    case HTTPCHUNK_TRAILER:
        if (byte == '\r')
            c->state = HTTPCHUNK_TRAILER_LF;
        return byte != '\n';
    case HTTPCHUNK_TRAILER_LF:
        c->state = HTTPCHUNK_TRAILER_BEGIN;
        return byte == '\n';
    case HTTPCHUNK_LAST_LF:
        return byte == '\n';
    case HTTPCHUNK_BYTES:
        break;
    }
    return false;
}

enum httpchunk_verdict httpchunk_next(struct httpchunk *c, const char **bytes, size_t *n,
                                      const char **data, size_t *len)
{
    while (*n > 0) {
        if (c->state == HTTPCHUNK_BYTES) {
            *data = *bytes;
            *len = *n < c->left ? *n : (size_t)c->left;
            c->left -= *len;
            *bytes += *len;
            *n -= *len;
            c->idle = 0;
            if (c->left == 0)
                c->state = HTTPCHUNK_BYTES_CR;
            return HTTPCHUNK_DATA;
        }
        bool last = c->state == HTTPCHUNK_LAST_LF;
        char byte = **bytes;
        (*bytes)++;
        (*n)--;
        if (!step(c, byte) || ++c->idle > HTTPCHUNK_IDLE_BYTES)
            return HTTPCHUNK_BAD;
        if (last)
            return HTTPCHUNK_END;
    }
    return HTTPCHUNK_MORE;
}
