/*
 * A bounded reader over bytes that somebody else has written: what lies beyond the end answers zero
 * or NULL, sticks as a failure, and is asked for once, with reader_done(). Nothing is copied; what
 * is handed out lives as long as the bytes do. Numbers are big-endian. One thread at a time.
 */
#ifndef HA_BASE_READER_H
#define HA_BASE_READER_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct reader {
    const char *at, *end;
    bool bad;
};

static inline struct reader reader_of(const void *bytes, size_t len)
{
    return (struct reader){bytes, (const char *)bytes + len, false};
}

/* The next `n` bytes; NULL (and failure) if there are fewer. */
static inline const char *reader_bytes(struct reader *r, size_t n)
{
    const char *p = r->at;
    if (r->bad || n > (size_t)(r->end - r->at)) {
        r->bad = true;
        return NULL;
    }
    r->at += n;
    return p;
}

/* The same as a copy; zeros after a failure. */
static inline void reader_copy(struct reader *r, void *out, size_t n)
{
    const char *p = reader_bytes(r, n);
    if (p)
        memcpy(out, p, n);
    else
        memset(out, 0, n);
}

static inline uint8_t reader_u8(struct reader *r)
{
    const char *p = reader_bytes(r, 1);
    return p ? (uint8_t)*p : 0;
}

static inline uint16_t reader_u16(struct reader *r)
{
    uint16_t v;
    reader_copy(r, &v, sizeof v);
    return be16toh(v);
}

static inline uint32_t reader_u32(struct reader *r)
{
    uint32_t v;
    reader_copy(r, &v, sizeof v);
    return be32toh(v);
}

static inline uint64_t reader_u64(struct reader *r)
{
    uint64_t v;
    reader_copy(r, &v, sizeof v);
    return be64toh(v);
}

/* A terminated string; "" after a failure, never NULL. */
static inline const char *reader_cstr(struct reader *r)
{
    const char *p = r->at;
    const char *nul = r->bad || p == r->end ? NULL : memchr(p, '\0', (size_t)(r->end - p));
    r->bad = !nul;
    if (!nul)
        return "";
    r->at = nul + 1;
    return p;
}

/* All of it was read, and well. */
static inline bool reader_done(const struct reader *r)
{
    return !r->bad && r->at == r->end;
}

#endif
