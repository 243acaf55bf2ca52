#include "proto/kafka_position.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/json.h"
#include "proto/jsondoc.h"

struct kafka_position {
    struct kafka_place *places; /* in order of topic and partition */
    size_t n, cap;
};

struct kafka_position *kafka_position_new(void)
{
    return calloc(1, sizeof(struct kafka_position));
}

static void clear(struct kafka_position *p)
{
    while (p->n > 0)
        free(p->places[--p->n].topic);
}

void kafka_position_free(struct kafka_position *p)
{
    if (!p)
        return;
    clear(p);
    free(p->places);
    free(p);
}

static int order(const struct kafka_place *a, const char *topic, int32_t partition)
{
    int c = strcmp(a->topic, topic);

    return c ? c : (a->partition > partition) - (a->partition < partition);
}

/* Where that partition is, or has its place. */
static size_t find(const struct kafka_position *p, const char *topic, int32_t partition,
                   bool *there)
{
    size_t from = 0, to = p->n;

    *there = false;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int c = order(&p->places[middle], topic, partition);
        if (c == 0) {
            *there = true;
            return middle;
        }
        if (c < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

bool kafka_position_get(const struct kafka_position *p, const char *topic, int32_t partition,
                        int64_t *offset)
{
    bool there;
    size_t i = find(p, topic, partition, &there);

    if (there)
        *offset = p->places[i].offset;
    return there;
}

bool kafka_position_set(struct kafka_position *p, const char *topic, int32_t partition,
                        int64_t offset)
{
    bool there;
    size_t i = find(p, topic, partition, &there);

    if (!there) {
        struct kafka_place *places = array_room(p->places, p->n, &p->cap, sizeof *places);
        char *copy = strdup(topic);
        if (places)
            p->places = places;
        if (!places || !copy) {
            free(copy);
            return false;
        }
        memmove(places + i + 1, places + i, (p->n - i) * sizeof *places);
        places[i] = (struct kafka_place){.topic = copy, .partition = partition};
        p->n++;
    }
    p->places[i].offset = offset;
    return true;
}

bool kafka_position_copy(struct kafka_position *to, const struct kafka_position *from)
{
    clear(to);
    for (size_t i = 0; i < from->n; i++) {
        const struct kafka_place *f = &from->places[i];
        if (!kafka_position_set(to, f->topic, f->partition, f->offset))
            return false;
    }
    return true;
}

const struct kafka_place *kafka_position_all(const struct kafka_position *p, size_t *n)
{
    *n = p->n;
    return p->places;
}

void kafka_position_put(struct buf *b, const struct kafka_position *p)
{
    buf_putc(b, '{');
    for (size_t i = 0; i < p->n; i++) {
        const struct kafka_place *f = &p->places[i];
        bool first = i == 0 || strcmp(f->topic, p->places[i - 1].topic) != 0;
        if (i > 0)
            buf_puts(b, first ? "}," : ",");
        if (first) {
            json_put_cstr(b, f->topic);
            buf_puts(b, ":{");
        }
        buf_printf(b, "\"%d\":", f->partition);
        buf_i64(b, f->offset);
    }
    buf_puts(b, p->n ? "}}" : "}");
}

/* A partition's number is a member's name. */
static bool number_of(const char *text, int32_t *out)
{
    const struct jsondoc digits = {.type = JSONDOC_NUMBER, .text = text};
    int64_t n;

    if (*text < '0' || *text > '9' || !jsondoc_integer(&digits, &n) || n > INT32_MAX)
        return false;
    *out = (int32_t)n;
    return true;
}

static enum err_code read_topic(struct kafka_position *p, const struct jsondoc *topic,
                                struct err *e)
{
    if (topic->type != JSONDOC_OBJECT)
        return err_set(e, ERR_FORMAT, "topic %s has no partitions", topic->name);
    for (const struct jsondoc *m = topic->first; m; m = m->next) {
        int32_t partition;
        int64_t offset;
        if (!number_of(m->name, &partition) || !jsondoc_integer(m, &offset) || offset < 0)
            return err_set(e, ERR_FORMAT, "topic %s has no such partition or offset", topic->name);
        if (!kafka_position_set(p, topic->name, partition, offset))
            return err_set(e, ERR_NO_MEMORY, "out of memory");
    }
    return ERR_OK;
}

enum err_code kafka_position_read(struct kafka_position *p, const char *text, size_t len,
                                  struct err *e)
{
    struct arena *a = arena_new();
    const struct jsondoc *doc = NULL;
    enum err_code code = ERR_OK;

    clear(p);
    if (!a)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    if (len > 0)
        code = jsondoc_parse(a, text, len, &doc, e);
    if (code == ERR_OK && doc && doc->type != JSONDOC_OBJECT)
        code = err_set(e, ERR_FORMAT, "it is no JSON object");
    for (const struct jsondoc *m = doc ? doc->first : NULL; m && code == ERR_OK; m = m->next)
        code = read_topic(p, m, e);
    arena_free(a);
    if (code != ERR_OK)
        clear(p);
    return code;
}
