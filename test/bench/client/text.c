#include "../support/measure.h"
#include "client.h"

void text_append(struct text *t, const char *bytes, size_t len)
{
    if (t->len + len + 1 > t->size) {
        t->size = (t->len + len + 1) * 2;
        t->bytes = realloc(t->bytes, t->size);
        if (!t->bytes)
            measure_fail("out of memory");
    }
    memcpy(t->bytes + t->len, bytes, len);
    t->len += len;
    t->bytes[t->len] = '\0';
}

void text_number(struct text *t, uint64_t number)
{
    char digits[20], *p = digits + sizeof digits;
    do {
        *--p = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    text_append(t, p, (size_t)(digits + sizeof digits - p));
}

void text_free(struct text *t)
{
    free(t->bytes);
    *t = (struct text){0};
}

static uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void append_fill(struct text *out, struct numbers *n)
{
    if (n->bytes > 0)
        text_append(out, n->pool + random_next(&n->seed) % FILL_SPARE, n->bytes);
}

char *text_pool(size_t bytes)
{
    static const char letters[64] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint64_t seed = 0x9E3779B97F4A7C15u;
    char *pool = measure_alloc(bytes + FILL_SPARE, 1);
    for (size_t i = 0; i < bytes + FILL_SPARE; i++)
        pool[i] = letters[random_next(&seed) >> 32 & 63];
    return pool;
}

/* The template up to `end`, which holds no group. */
static void fill_plain(struct text *out, const char *p, const char *end, struct numbers *numbers)
{
    while (p < end) {
        const char *mark = memchr(p, '%', (size_t)(end - p));
        if (!mark || mark + 1 >= end)
            mark = end;
        text_append(out, p, (size_t)(mark - p));
        if (mark == end)
            return;
        if (mark[1] == 'i')
            text_number(out, (uint64_t)atomic_fetch_add(numbers->next, 1));
        else if (mark[1] == 'r')
            text_number(out, random_next(&numbers->seed) % (uint64_t)numbers->keys);
        else if (mark[1] == 's')
            append_fill(out, numbers);
        else
            text_append(out, mark, 2);
        p = mark + 2;
    }
}

void text_fill(struct text *out, const char *template, struct numbers *numbers, long times)
{
    const char *end = template + strlen(template);
    const char *open = strstr(template, "%("), *close = open ? strstr(open, "%)") : NULL;
    out->len = 0;
    text_append(out, "", 0);
    if (!close) {
        fill_plain(out, template, end, numbers);
        return;
    }
    fill_plain(out, template, open, numbers);
    for (long i = 0; i < times; i++) {
        if (i > 0)
            text_append(out, ",", 1);
        fill_plain(out, open + 2, close, numbers);
    }
    fill_plain(out, close + 2, end, numbers);
}

const struct protocol *protocol_find(const char *name)
{
    static const struct protocol *const all[] = {&protocol_http, &protocol_mysql, &protocol_pg,
                                                 &protocol_sqlite};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    return NULL;
}
