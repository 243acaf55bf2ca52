/*
 * A SQL value as a view: the five storage classes of SQLite, nothing copied.
 *
 * `data` is borrowed; who handed the value out says how long it lives. TEXT is UTF-8 by intention
 * only: it may hold NUL bytes and invalid sequences, so `len` counts, never a terminator.
 */
#ifndef HA_BASE_VALUE_H
#define HA_BASE_VALUE_H

#include <stddef.h>
#include <stdint.h>

enum value_type { VALUE_NULL, VALUE_INTEGER, VALUE_REAL, VALUE_TEXT, VALUE_BLOB };

struct value {
    enum value_type type;
    union {
        int64_t i; /* VALUE_INTEGER */
        double r;  /* VALUE_REAL */
        struct {
            const char *data; /* VALUE_TEXT, VALUE_BLOB; may be NULL where len is 0 */
            size_t len;       /* bytes */
        } s;
    } u;
};

static inline struct value value_null(void)
{
    return (struct value){.type = VALUE_NULL};
}
static inline struct value value_int(int64_t i)
{
    return (struct value){.type = VALUE_INTEGER, .u.i = i};
}
static inline struct value value_real(double r)
{
    return (struct value){.type = VALUE_REAL, .u.r = r};
}
static inline struct value value_text(const char *data, size_t len)
{
    return (struct value){.type = VALUE_TEXT, .u.s = {data, len}};
}
static inline struct value value_blob(const void *data, size_t len)
{
    return (struct value){.type = VALUE_BLOB, .u.s = {data, len}};
}

#endif
