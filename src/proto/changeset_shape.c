#include "proto/changeset_shape.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"

#define SHAPE_BUCKETS 256

struct entry {
    struct shape shape;
    struct entry *next;
    uint64_t hash;
    /* The three lists, as in struct shape_names; the pointers in `shape` point into them. */
    const char *lists[3];
    size_t lens[3];
    char *prefix; /* owned */
};

struct shape_set {
    struct entry *buckets[SHAPE_BUCKETS];
    struct entry *recent[SHAPE_RECENT]; /* newest first */
    uint64_t next_id;
    size_t n, bytes;
};

struct shape_set *shape_set_new(void)
{
    struct shape_set *s = calloc(1, sizeof *s);

    if (s)
        s->next_id = 1;
    return s;
}

static void forget(struct shape_set *s)
{
    for (size_t i = 0; i < SHAPE_BUCKETS; i++) {
        struct entry *e = s->buckets[i];

        while (e) {
            struct entry *next = e->next;
            free(e->prefix);
            free(e);
            e = next;
        }
        s->buckets[i] = NULL;
    }
    memset(s->recent, 0, sizeof s->recent);
    s->n = 0;
    s->bytes = 0;
}

void shape_set_free(struct shape_set *s)
{
    if (!s)
        return;
    forget(s);
    free(s);
}

static bool same(const struct entry *e, const struct buf *const lists[3])
{
    for (int i = 0; i < 3; i++)
        if (e->lens[i] != lists[i]->len ||
            (lists[i]->len > 0 && memcmp(e->lists[i], lists[i]->data, lists[i]->len) != 0))
            return false;
    return true;
}

/* Points `out` at the n strings that stand one behind the other at p. */
static void split(const char **out, const char *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        out[i] = p;
        p += strlen(p) + 1;
    }
}

static void put_list(struct buf *b, const char *field, const char *const *names, unsigned n)
{
    buf_puts(b, field);
    for (unsigned i = 0; i < n; i++) {
        if (i > 0)
            buf_putc(b, ',');
        json_put_cstr(b, names[i]);
    }
    buf_putc(b, ']');
}

static void put_prefix(struct buf *b, const char *table, const char *const *columns,
                       const struct shape_names *names)
{
    buf_puts(b, "{\"database\":\"main\",\"table\":");
    json_put_cstr(b, table);
    put_list(b, ",\"columns\":[", columns, names->n_columns);
    put_list(b, ",\"pk_columns\":[", columns + names->n_columns, names->n_pk);
    buf_puts(b, ",\"operation\":");
}

/* All of an entry is one piece of memory: itself, the pointers to names, the lists; the prefix is
 * another. */
static struct entry *entry_new(const struct shape_names *names, const struct buf *const lists[3])
{
    size_t pointers = (size_t)names->n_columns + names->n_pk;
    size_t bytes = lists[0]->len + lists[1]->len + lists[2]->len;
    struct entry *e = malloc(sizeof *e + pointers * sizeof(char *) + bytes);
    struct buf prefix = BUF_INIT;
    const char **names_at;
    char *p;

    if (!e)
        return NULL;
    names_at = (const char **)(e + 1);
    p = (char *)(names_at + pointers);
    for (int i = 0; i < 3; i++) {
        e->lists[i] = p;
        e->lens[i] = lists[i]->len;
        if (lists[i]->len > 0)
            memcpy(p, lists[i]->data, lists[i]->len);
        p += lists[i]->len;
    }
    split(names_at, e->lists[1], names->n_columns);
    split(names_at + names->n_columns, e->lists[2], names->n_pk);
    put_prefix(&prefix, e->lists[0], names_at, names);
    if (!buf_ok(&prefix)) {
        buf_free(&prefix);
        free(e);
        return NULL;
    }
    e->shape = (struct shape){
        .table = e->lists[0],
        .columns = names_at,
        .pk_columns = names_at + names->n_columns,
        .n_columns = names->n_columns,
        .n_pk = names->n_pk,
        .prefix = prefix.data,
        .prefix_len = prefix.len,
    };
    e->prefix = prefix.data;
    return e;
}

static void make_recent(struct shape_set *s, struct entry *e)
{
    size_t i = 0;

    while (i < SHAPE_RECENT - 1 && s->recent[i] != e)
        i++;
    memmove(&s->recent[1], &s->recent[0], i * sizeof(struct entry *));
    s->recent[0] = e;
}

const struct shape *shape_set_at(struct shape_set *s, const char *p, size_t n)
{
    for (size_t i = 0; i < SHAPE_RECENT && s->recent[i]; i++) {
        struct entry *e = s->recent[i];

        if (e->shape.prefix_len <= n && memcmp(e->prefix, p, e->shape.prefix_len) == 0) {
            if (i > 0)
                make_recent(s, e);
            return &e->shape;
        }
    }
    return NULL;
}

const struct shape *shape_set_find(struct shape_set *s, const struct shape_names *names)
{
    const struct buf *const lists[3] = {&names->table, &names->columns, &names->pk_columns};
    uint64_t hash = HASH_BEGIN;
    struct entry *e;

    if (s->recent[0] && same(s->recent[0], lists))
        return &s->recent[0]->shape;
    for (int i = 0; i < 3; i++)
        hash = hash_part(hash, lists[i]->data, lists[i]->len);
    for (e = s->buckets[hash % SHAPE_BUCKETS]; e; e = e->next)
        if (e->hash == hash && same(e, lists))
            break;
    if (!e) {
        size_t bytes = names->table.len + names->columns.len + names->pk_columns.len;

        if (s->n >= SHAPE_MAX || (s->n > 0 && s->bytes + bytes > SHAPE_MAX_BYTES))
            forget(s);
        e = entry_new(names, lists);
        if (!e)
            return NULL;
        e->shape.id = s->next_id++;
        e->hash = hash;
        e->next = s->buckets[hash % SHAPE_BUCKETS];
        s->buckets[hash % SHAPE_BUCKETS] = e;
        s->n++;
        s->bytes += bytes;
    }
    make_recent(s, e);
    return &e->shape;
}
