/*
 * FNV-1a with 64 bits (draft-eastlake-fnv): for tables and sums, against nobody who wants two texts
 * to meet. Any thread.
 */
#ifndef HA_BASE_HASH_H
#define HA_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_BEGIN UINT64_C(14695981039346656037)

/* Goes on from `h`, HASH_BEGIN at first. `p` may be NULL where n is 0. */
static inline uint64_t hash_bytes(uint64_t h, const void *p, size_t n)
{
    const unsigned char *at = p;
    for (size_t i = 0; i < n; i++)
        h = (h ^ at[i]) * UINT64_C(1099511628211);
    return h;
}

/* The same, with an end: "a", "bc" is not "ab", "c". */
static inline uint64_t hash_part(uint64_t h, const void *p, size_t n)
{
    static const unsigned char end = 0xFF; /* in no UTF-8 text */
    return hash_bytes(hash_bytes(h, p, n), &end, 1);
}

#endif
