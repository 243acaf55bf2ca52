/* Room in an owned array that grows one item at a time. Any thread. */
#ifndef HA_BASE_ARRAY_H
#define HA_BASE_ARRAY_H

#include <stddef.h>
#include <stdlib.h>

/*
 * The array of `n` items of `size` bytes with room for one more: the same, or where all *cap were
 * in use a larger one in its place, whose new items are not set. NULL where there is no memory:
 * then `items` is as it was. Begins with NULL and a *cap of 0. The caller has a limit for `n`.
 */
static inline void *array_room(void *items, size_t n, size_t *cap, size_t size)
{
    size_t more = *cap ? *cap * 2 : 16;
    void *grown;

    if (n < *cap)
        return items;
    grown = realloc(items, more * size);
    if (grown)
        *cap = more;
    return grown;
}

#endif
