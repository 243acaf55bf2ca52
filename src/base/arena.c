/* Blocks in a list; the first is kept over a reset, because most requests fit into it. */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BLOCK ((size_t)4096) /* bytes of an ordinary block */
#define ARENA_ALIGN _Alignof(max_align_t)
#define ARENA_MAX   (SIZE_MAX / 4) /* bytes of the largest piece: sizes beyond are mistakes */

struct block {
    struct block *next;
    size_t size, used;
    _Alignas(max_align_t) char bytes[];
};

struct arena {
    struct block *first;   /* kept over a reset */
    struct block *current; /* where small pieces come from; big ones get a block of their own */
};

static struct block *block_new(size_t size)
{
    struct block *b;

    b = malloc(sizeof *b + size);
    if (!b)
        return NULL;
    b->next = NULL;
    b->size = size;
    b->used = 0;
    return b;
}

struct arena *arena_new(void)
{
    struct arena *a = malloc(sizeof *a);

    if (!a)
        return NULL;
    a->first = block_new(ARENA_BLOCK);
    if (!a->first) {
        free(a);
        return NULL;
    }
    a->current = a->first;
    return a;
}

void arena_reset(struct arena *a)
{
    struct block *b = a->first->next;

    while (b) {
        struct block *next = b->next;
        free(b);
        b = next;
    }
    a->first->next = NULL;
    a->first->used = 0;
    a->current = a->first;
}

void arena_free(struct arena *a)
{
    if (!a)
        return;
    arena_reset(a);
    free(a->first);
    free(a);
}

static struct block *block_for(struct arena *a, size_t n)
{
    struct block *b = a->current;
    struct block *fresh;

    if (b->size - b->used >= n)
        return b;
    fresh = block_new(n > ARENA_BLOCK / 4 ? n : ARENA_BLOCK);
    if (!fresh)
        return NULL;
    fresh->next = b->next;
    b->next = fresh;
    if (fresh->size == ARENA_BLOCK)
        a->current = fresh;
    return fresh;
}

void *arena_alloc(struct arena *a, size_t n)
{
    struct block *b;
    void *p;

    if (n > ARENA_MAX)
        return NULL;
    n = n ? (n + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN : ARENA_ALIGN;
    b = block_for(a, n);
    if (!b)
        return NULL;
    p = b->bytes + b->used;
    b->used += n;
    return memset(p, 0, n);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    char *copy = n < SIZE_MAX ? arena_alloc(a, n + 1) : NULL;

    if (copy && n)
        memcpy(copy, s, n);
    return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}
