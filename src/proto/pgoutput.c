#include "proto/pgoutput.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/reader.h"

#define EPOCH_US INT64_C(946684800000000) /* 2000-01-01 in microseconds since 1970 */

struct pgoutput {
    struct pgoutput_value *old_values, *new_values;
    size_t old_cap, new_cap;
    struct pgoutput_column *columns;
    size_t columns_cap;
    uint32_t *relations;
    size_t relations_cap;
};

struct pgoutput *pgoutput_new(void)
{
    return calloc(1, sizeof(struct pgoutput));
}

void pgoutput_free(struct pgoutput *p)
{
    if (!p)
        return;
    free(p->old_values);
    free(p->new_values);
    free(p->columns);
    free(p->relations);
    free(p);
}

/* ---- the stream ---- */

/* A server may say anything; what does not fit is as good as not known. */
static int64_t read_time(struct reader *r)
{
    int64_t us = (int64_t)reader_u64(r);

    if (us > INT64_MAX / 1000 - EPOCH_US || us < -EPOCH_US)
        return 0;
    return (us + EPOCH_US) * 1000;
}

bool pgoutput_frame(const void *bytes, size_t len, struct pgoutput_frame *out)
{
    struct reader r = reader_of(bytes, len);
    uint8_t kind = reader_u8(&r);

    *out = (struct pgoutput_frame){.kind = PGOUTPUT_KEEPALIVE};
    if (kind == 'k') {
        out->end = reader_u64(&r);
        out->time_ns = read_time(&r);
        out->reply = reader_u8(&r) != 0;
        return reader_done(&r);
    }
    if (kind != 'w')
        return false;
    out->kind = PGOUTPUT_DATA;
    out->start = reader_u64(&r);
    out->end = reader_u64(&r);
    out->time_ns = read_time(&r);
    out->data = r.at;
    out->len = (size_t)(r.end - r.at);
    return !r.bad;
}

void pgoutput_put_status(struct buf *b, uint64_t received, uint64_t flushed, uint64_t applied,
                         int64_t time_ns)
{
    buf_putc(b, 'r');
    buf_be64(b, received);
    buf_be64(b, flushed);
    buf_be64(b, applied);
    buf_be64(b, (uint64_t)(time_ns / 1000 - EPOCH_US));
    buf_u8(b, 0);
}

/* ---- messages ---- */

/* Room for `n` elements, which take at least `least` bytes each in what is left to read. */
static bool room(struct reader *r, void *array, size_t *cap, size_t n, size_t size, size_t least)
{
    void *grown;

    if (n > (size_t)(r->end - r->at) / least)
        r->bad = true;
    if (r->bad || n <= *cap)
        return !r->bad;
    grown = realloc(*(void **)array, n * size);
    if (!grown) {
        r->bad = true;
        return false;
    }
    *(void **)array = grown;
    *cap = n;
    return true;
}

static struct pgoutput_tuple read_tuple(struct reader *r, struct pgoutput_value **values,
                                        size_t *cap)
{
    size_t n = reader_u16(r);

    if (!room(r, values, cap, n, sizeof **values, 1))
        return (struct pgoutput_tuple){NULL, 0};
    for (size_t i = 0; i < n; i++) {
        struct pgoutput_value *v = *values + i;
        *v = (struct pgoutput_value){.kind = (char)reader_u8(r)};
        if (v->kind == 't' || v->kind == 'b') {
            v->len = reader_u32(r);
            v->data = reader_bytes(r, v->len);
        } else if (v->kind != 'n' && v->kind != 'u') {
            r->bad = true;
        }
    }
    /* A row without columns is one, too. */
    static const struct pgoutput_value none;
    return (struct pgoutput_tuple){n ? *values : &none, n};
}

static void read_relation(struct pgoutput *p, struct reader *r, struct pgoutput_message *m)
{
    m->relation = reader_u32(r);
    m->schema = reader_cstr(r);
    m->table = reader_cstr(r);
    m->identity = (char)reader_u8(r);
    size_t n = reader_u16(r);
    if (!room(r, &p->columns, &p->columns_cap, n, sizeof *p->columns, 10))
        return;
    for (size_t i = 0; i < n; i++) {
        struct pgoutput_column *c = &p->columns[i];
        c->key = reader_u8(r) & 1;
        c->name = reader_cstr(r);
        c->type = reader_u32(r);
        c->modifier = (int32_t)reader_u32(r);
    }
    m->columns = p->columns;
    m->n_columns = n;
    if (!*m->schema) /* as pg_catalog is written */
        m->schema = "pg_catalog";
}

/* `kind` is the letter before a tuple; the new row's is read here. */
static void read_change(struct pgoutput *p, struct reader *r, struct pgoutput_message *m)
{
    m->relation = reader_u32(r);
    char kind = (char)reader_u8(r);
    bool old = m->type != PGOUTPUT_INSERT && (kind == 'K' || kind == 'O');

    if (old) {
        m->old_key = kind == 'K';
        m->old_row = read_tuple(r, &p->old_values, &p->old_cap);
        if (m->type == PGOUTPUT_DELETE)
            return;
        kind = (char)reader_u8(r);
    }
    if (kind != 'N' || m->type == PGOUTPUT_DELETE)
        r->bad = true;
    m->new_row = read_tuple(r, &p->new_values, &p->new_cap);
}

static void read_truncate(struct pgoutput *p, struct reader *r, struct pgoutput_message *m)
{
    size_t n = reader_u32(r);

    (void)reader_u8(r); /* CASCADE has happened already: all tables are named */
    if (!room(r, &p->relations, &p->relations_cap, n, sizeof *p->relations, 4))
        return;
    for (size_t i = 0; i < n; i++)
        p->relations[i] = reader_u32(r);
    m->relations = p->relations;
    m->n_relations = n;
}

static bool type_of(uint8_t letter, enum pgoutput_type *type)
{
    switch (letter) {
    case 'B':
        *type = PGOUTPUT_BEGIN;
        return true;
    case 'C':
        *type = PGOUTPUT_COMMIT;
        return true;
    case 'R':
        *type = PGOUTPUT_RELATION;
        return true;
    case 'I':
        *type = PGOUTPUT_INSERT;
        return true;
    case 'U':
        *type = PGOUTPUT_UPDATE;
        return true;
    case 'D':
        *type = PGOUTPUT_DELETE;
        return true;
    case 'T':
        *type = PGOUTPUT_TRUNCATE;
        return true;
    case 'O':
    case 'Y':
    case 'M':
        *type = PGOUTPUT_OTHER;
        return true;
    default:
        return false;
    }
}

bool pgoutput_read(struct pgoutput *p, const void *bytes, size_t len, struct pgoutput_message *out)
{
    struct reader r = reader_of(bytes, len);

    *out = (struct pgoutput_message){.type = PGOUTPUT_OTHER};
    if (!type_of(reader_u8(&r), &out->type))
        return false;
    switch (out->type) {
    case PGOUTPUT_BEGIN:
        out->lsn = reader_u64(&r);
        out->time_ns = read_time(&r);
        (void)reader_u32(&r); /* transaction id */
        break;
    case PGOUTPUT_COMMIT:
        (void)reader_u8(&r);  /* flags, none of them in use */
        (void)reader_u64(&r); /* where the commit begins */
        out->lsn = reader_u64(&r);
        out->time_ns = read_time(&r);
        break;
    case PGOUTPUT_RELATION:
        read_relation(p, &r, out);
        break;
    case PGOUTPUT_INSERT:
    case PGOUTPUT_UPDATE:
    case PGOUTPUT_DELETE:
        read_change(p, &r, out);
        break;
    case PGOUTPUT_TRUNCATE:
        read_truncate(p, &r, out);
        break;
    case PGOUTPUT_OTHER:
        return true;
    }
    return reader_done(&r);
}

/* ---- places in the WAL ---- */

void pgoutput_print_lsn(uint64_t lsn, char out[PGOUTPUT_LSN_SIZE])
{
    (void)snprintf(out, PGOUTPUT_LSN_SIZE, "%" PRIX32 "/%" PRIX32, (uint32_t)(lsn >> 32),
                   (uint32_t)lsn);
}

/* Up to eight hexadecimal digits. */
static bool parse_half(const char **text, uint32_t *out)
{
    unsigned n = 0;

    *out = 0;
    for (; n < 9; n++, (*text)++) {
        char c = **text;
        if (c >= '0' && c <= '9')
            *out = *out << 4 | (uint32_t)(c - '0');
        else if (c >= 'A' && c <= 'F')
            *out = *out << 4 | (uint32_t)(c - 'A' + 10);
        else if (c >= 'a' && c <= 'f')
            *out = *out << 4 | (uint32_t)(c - 'a' + 10);
        else
            break;
    }
    return n > 0 && n < 9;
}

bool pgoutput_parse_lsn(const char *text, uint64_t *lsn)
{
    uint32_t high, low;

    if (!parse_half(&text, &high) || *text++ != '/' || !parse_half(&text, &low) || *text)
        return false;
    *lsn = (uint64_t)high << 32 | low;
    return true;
}
