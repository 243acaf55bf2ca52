/*
 * A growing byte buffer with sticky failure: writers append without checking, and ask buf_ok() once
 * at the end. After a failure (out of memory, limit reached) every further append does nothing.
 *
 * Not thread safe: one thread at a time. The bytes are owned by the buffer; pointers into it are
 * valid until the next append, reset or free.
 */
#ifndef HA_BASE_BUF_H
#define HA_BASE_BUF_H

#include <endian.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
    char *data;
    size_t len;   /* bytes written */
    size_t cap;   /* bytes allocated */
    size_t limit; /* most bytes it may hold; 0 = no limit */
    bool failed;
};

#define BUF_INIT                                                                                   \
    {                                                                                              \
        NULL, 0, 0, 0, false                                                                       \
    }

void buf_init(struct buf *b, size_t limit);
void buf_free(struct buf *b);            /* takes a zeroed one too; leaves it ready for use */
void buf_reset(struct buf *b);           /* empties it, clears the failure, keeps the memory */
void buf_cut(struct buf *b, size_t len); /* drops what lies beyond `len`; never grows */
bool buf_ok(const struct buf *b);

char *buf_grow(struct buf *b, size_t n); /* buf_reserve() where memory or room may be short */

/* Room for `n` more bytes at data + len; NULL (and sticky failure) if there is none. Here and not
 * in buf.c because every value of every row that is answered comes through it. */
static inline char *buf_reserve(struct buf *b, size_t n)
{
    bool room = n < b->cap - b->len && (b->limit == 0 || b->len + n <= b->limit);

    return room && !b->failed ? b->data + b->len : buf_grow(b, n);
}

static inline void buf_put(struct buf *b, const void *bytes, size_t n)
{
    char *p = n > 0 ? buf_reserve(b, n) : NULL;

    if (p) {
        memcpy(p, bytes, n);
        b->len += n;
    }
}

void buf_puts(struct buf *b, const char *s);
static inline void buf_putc(struct buf *b, char c)
{
    buf_put(b, &c, 1);
}
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline void buf_u8(struct buf *b, uint8_t v)
{
    buf_put(b, &v, sizeof v);
}
static inline void buf_be16(struct buf *b, uint16_t v)
{
    uint16_t wire = htobe16(v);

    buf_put(b, &wire, sizeof wire);
}
static inline void buf_be32(struct buf *b, uint32_t v)
{
    uint32_t wire = htobe32(v);

    buf_put(b, &wire, sizeof wire);
}
static inline void buf_be64(struct buf *b, uint64_t v)
{
    uint64_t wire = htobe64(v);

    buf_put(b, &wire, sizeof wire);
}
void buf_i64(struct buf *b, int64_t v);  /* decimal text */
void buf_u64(struct buf *b, uint64_t v); /* decimal text */

/* A NUL behind the text (not counted in len), so that data can be used as a C string.
 * Returns "" when the buffer has failed or is empty. */
const char *buf_cstr(struct buf *b);

#endif
