/*
 * A Kafka message as Debezium writes it: the first line is the topic, the second one the key
 * (empty: null), the rest the value (empty: null). What is read has to hold together, and reading
 * it again with the same decoder gives the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "proto/debezium.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t see_fields(uint64_t h, const struct debezium_field *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct value *v = &f[i].value;
        h = hash_part(h, f[i].name, strlen(f[i].name));
        h = hash_part(h, &v->type, sizeof v->type);
        if (v->type == VALUE_TEXT || v->type == VALUE_BLOB)
            h = hash_part(h, v->u.s.data, v->u.s.len);
        else if (v->type != VALUE_NULL)
            h = hash_part(h, &v->u.i, sizeof v->u.i);
    }
    return h;
}

static uint64_t see(const struct debezium_event *ev)
{
    uint64_t h = hash_part(HASH_BEGIN, ev->table, strlen(ev->table));

    if (ev->kind == DEBEZIUM_NOTHING ? !ev->why : !*ev->table)
        abort();
    if ((ev->kind == DEBEZIUM_UPDATE || ev->kind == DEBEZIUM_DELETE ||
         ev->kind == DEBEZIUM_TOMBSTONE) &&
        ev->n_keys == 0)
        abort();
    h = see_fields(h, ev->row, ev->n_row);
    h = see_fields(h, ev->keys, ev->n_keys);
    for (size_t i = 0; i < ev->n_columns; i++) {
        h = hash_part(h, ev->columns[i].name, strlen(ev->columns[i].name));
        h = hash_part(h, ev->columns[i].type, strlen(ev->columns[i].type));
    }
    return h;
}

static void read_twice(const struct debezium_message *m)
{
    struct debezium *d = debezium_new();
    struct err e = ERR_INIT;
    uint64_t sum[2] = {0, 0};
    enum err_code code[2];

    for (int i = 0; d && i < 2; i++) {
        struct debezium_event ev;
        code[i] = debezium_decode(d, m, &ev, &e);
        if (code[i] == ERR_OK)
            sum[i] = see(&ev);
        else if (code[i] != e.code || !*e.msg)
            abort();
    }
    if (d && (code[0] != code[1] || sum[0] != sum[1]))
        abort();
    debezium_free(d);
}

/* Up to the next line's end, in a block of its own so that reading beyond it is seen. */
static char *line_of(const uint8_t **data, size_t *size, size_t *len)
{
    const uint8_t *nl = *size ? memchr(*data, '\n', *size) : NULL;
    char *copy;

    *len = nl ? (size_t)(nl - *data) : *size;
    copy = calloc(1, *len + 1);
    if (copy)
        memcpy(copy, *data, *len);
    *data += *len + (nl ? 1 : 0);
    *size -= *len + (nl ? 1 : 0);
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t topic_len;
    struct debezium_message m = {0};
    char *topic = line_of(&data, &size, &topic_len);
    char *key = line_of(&data, &size, &m.key_len);
    char *value = size > 0 ? malloc(size) : NULL;

    if (value)
        memcpy(value, data, size);
    m.topic = topic;
    m.key = m.key_len > 0 ? key : NULL;
    m.value = value;
    m.value_len = size;
    if (topic && key && (value || size == 0))
        read_twice(&m);
    free(topic);
    free(key);
    free(value);
    return 0;
}
