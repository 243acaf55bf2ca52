/*
 * Memory by lifetime: an arena hands out pieces that all die together, when it is reset or freed.
 * One thread at a time. Allocation failure returns NULL.
 */
#ifndef HA_BASE_ARENA_H
#define HA_BASE_ARENA_H

#include <stddef.h>

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *a);  /* NULL is fine */
void arena_reset(struct arena *a); /* frees every piece, keeps the first block for reuse */

void *arena_alloc(struct arena *a, size_t n);                  /* aligned for any type, zeroed */
char *arena_strndup(struct arena *a, const char *s, size_t n); /* terminated copy */
char *arena_strdup(struct arena *a, const char *s);

#endif
