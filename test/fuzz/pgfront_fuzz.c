/*
 * What a PostgreSQL client sends, from its first packet on, through everything that reads it before
 * the executor does: framing and limits, startup parameters, SCRAM, statements (split, translated,
 * COPY taken apart), parameters by type and format, COPY data. No sockets, no node. Besides memory
 * it checks that what was read as a value is written and read as the same value again.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "proto/pgcopy.h"
#include "proto/pgtype.h"
#include "proto/pgwire.h"
#include "proto/scram.h"
#include "sql/pg/copy.h"
#include "sql/pg/dialect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint32_t types[] = {PGTYPE_NONE,
                                 PGTYPE_BOOL,
                                 PGTYPE_BYTEA,
                                 PGTYPE_INT8,
                                 PGTYPE_INT2,
                                 PGTYPE_INT4,
                                 PGTYPE_TEXT,
                                 PGTYPE_JSON,
                                 PGTYPE_FLOAT4,
                                 PGTYPE_FLOAT8,
                                 PGTYPE_VARCHAR,
                                 PGTYPE_DATE,
                                 PGTYPE_TIME,
                                 PGTYPE_TIMESTAMP,
                                 PGTYPE_TIMESTAMPTZ,
                                 PGTYPE_NUMERIC,
                                 PGTYPE_UUID,
                                 PGTYPE_JSONB,
                                 1007,
                                 1009,
                                 1231,
                                 1115};
#define N_TYPES (sizeof types / sizeof types[0])

static struct arena *arena;
static struct copy_reader *copying;
static volatile uint8_t seen;

static void touch(const void *bytes, size_t len)
{
    const uint8_t *p = bytes;

    for (size_t i = 0; i < len; i++)
        seen ^= p[i];
}

/* ---- statements ---- */

static void begin_copy(const char *sql, size_t len)
{
    static const char *const names[] = {"a", "b"};
    struct pg_copy c;
    struct err e = ERR_INIT;

    if (pg_copy_parse(arena, sql, len, &c, &e) != ERR_OK ||
        pg_copy_resolve(arena, &c, names, 2, &e) != ERR_OK || !c.reading)
        return;
    copy_reader_free(copying);
    copying = copy_reader_new(&c.options, names, 2, 10000);
}

static void statements(const char *sql, size_t len)
{
    while (len > 0) {
        size_t n = pg_dialect_split(sql, len);
        char tag[PG_TAG_SIZE];
        struct buf out = BUF_INIT;
        struct err e = ERR_INIT;
        bool changed = false;

        if (n == 0 || n > len)
            abort();
        enum pg_command command = pg_command(sql, n, tag);
        touch(tag, strlen(tag));
        if (command == PG_COMMAND_COPY)
            begin_copy(sql, n);
        else if (!pg_command_is_server(command))
            (void)pg_dialect(sql, n, &out, &changed, &e);
        if (!changed && out.len > 0 && e.code == ERR_OK)
            abort();
        buf_free(&out);
        sql += n;
        len -= n;
    }
}

/* ---- values ---- */

static bool same(const struct value *a, const struct value *b)
{
    if (a->type != b->type)
        return false;
    if (a->type == VALUE_INTEGER)
        return a->u.i == b->u.i;
    if (a->type == VALUE_REAL)
        return (a->u.r == b->u.r && signbit(a->u.r) == signbit(b->u.r)) || isnan(a->u.r);
    return a->type == VALUE_NULL ||
           (a->u.s.len == b->u.s.len && memcmp(a->u.s.data, b->u.s.data, a->u.s.len) == 0);
}

static bool get(uint32_t type, bool binary, const char *data, size_t len, struct value *v,
                struct buf *scratch)
{
    bool in_scratch = false;

    if (pgtype_get(type, binary, data, len, v, scratch, &in_scratch) != PGTYPE_FINE)
        return false;
    if (in_scratch)
        pgtype_settle(v, scratch);
    if (v->type == VALUE_TEXT || v->type == VALUE_BLOB)
        touch(v->u.s.data, v->u.s.len);
    return true;
}

static void value(uint32_t type, bool binary, const char *data, size_t len)
{
    struct buf scratch = BUF_INIT, again = BUF_INIT, out = BUF_INIT;
    struct value v, w;

    if (get(type, binary, data, len, &v, &scratch))
        for (int format = 0; format < 2; format++) {
            buf_reset(&out);
            buf_reset(&again);
            if (pgtype_put(&out, type, format == 1, &v) != PGTYPE_FINE || out.len < 4)
                continue;
            if (get(type, format == 1, out.data + 4, out.len - 4, &w, &again) && !same(&v, &w) &&
                type != PGTYPE_FLOAT4 && type != PGTYPE_NONE &&
                pgtype_element_of(type) == PGTYPE_NONE /* blanks and quotes go */)
                abort();
        }
    buf_free(&scratch);
    buf_free(&again);
    buf_free(&out);
}

/* ---- messages ---- */

static void parse(const char *body, size_t len)
{
    struct pgwire_parse p;

    if (!pgwire_read_parse(body, len, &p))
        return;
    touch(p.name, strlen(p.name) + 1);
    for (unsigned i = 0; i < p.n_types; i++)
        seen ^= (uint8_t)pgwire_parse_type(&p, i);
    statements(p.sql, p.sql_len);
}

static void bind(const char *body, size_t len)
{
    struct pgwire_bind b;

    if (!pgwire_read_bind(body, len, &b))
        return;
    touch(b.portal, strlen(b.portal) + 1);
    touch(b.statement, strlen(b.statement) + 1);
    for (unsigned i = 0; i < b.n_params; i++) {
        const char *data;
        size_t n;

        pgwire_next_param(&b, &data, &n);
        if (data)
            value(types[(i + b.n_results) % N_TYPES], pgwire_param_is_binary(&b, i), data, n);
    }
    for (unsigned i = 0; i < b.n_results; i++)
        seen ^= pgwire_result_is_binary(b.results, b.n_results, i);
}

static void copy_data(const char *body, size_t len, bool end)
{
    const struct value *fields;
    struct err e = ERR_INIT;

    if (!copying)
        return;
    copy_reader_feed(copying, body, len);
    if (end)
        copy_reader_finish(copying);
    while (copy_reader_row(copying, &fields, &e) == COPY_ROW)
        for (int i = 0; i < 2; i++)
            if (fields[i].type != VALUE_NULL) {
                touch(fields[i].u.s.data, fields[i].u.s.len);
                value(types[copy_reader_line(copying) % N_TYPES], fields[i].type == VALUE_BLOB,
                      fields[i].u.s.data, fields[i].u.s.len);
            }
    if (end) {
        copy_reader_free(copying);
        copying = NULL;
    }
}

static void password(const char *body, size_t len)
{
    static struct scram_secret secret;
    struct buf out = BUF_INIT;
    struct scram s;
    const char *why = "", *half = memchr(body, '\0', len);
    bool proven = false;
    size_t first = half ? (size_t)(half - body) : len;

    if (secret.iterations == 0 &&
        !scram_derive(&secret, "x", 1, "0123456789abcdef", SCRAM_SALT_BYTES, 1))
        abort();
    scram_init(&s, &secret, len % 2, "binding", 7);
    if (scram_first(&s, body, first, "ours", &out, &why) && half &&
        scram_final(&s, half + 1, len - first - 1, &proven, &out, &why) && proven)
        abort(); /* nobody knows this password */
    touch(why, strlen(why));
    scram_fini(&s);
    buf_free(&out);
}

static void message(char type, const char *body, size_t len)
{
    const char *text;
    char what;
    uint32_t rows;

    switch (type) {
    case 'Q':
        if (pgwire_read_string(body, len, &text))
            statements(text, len - 1);
        break;
    case 'P':
        parse(body, len);
        break;
    case 'B':
        bind(body, len);
        break;
    case 'D':
    case 'C':
        if (pgwire_read_target(body, len, &what, &text))
            touch(text, strlen(text) + 1);
        break;
    case 'E':
        if (pgwire_read_execute(body, len, &text, &rows))
            touch(text, strlen(text) + 1);
        break;
    case 'd':
    case 'c':
        copy_data(body, len, type == 'c');
        break;
    case 'f':
        if (pgwire_read_string(body, len, &text))
            touch(text, strlen(text) + 1);
        break;
    case 'p':
        password(body, len);
        break;
    default:
        break;
    }
}

static void startup(const char *body, size_t len)
{
    struct reader r;
    const char *key, *text;

    r = reader_of(body, len);
    (void)reader_u32(&r);
    while (pgwire_startup_next(&r, &key, &text)) {
        touch(key, strlen(key) + 1);
        touch(text, strlen(text) + 1);
    }
}

/* The word in front of `at` counts itself; *n is what follows it. False: too long or not there. */
static bool framed(const uint8_t *at, size_t left, uint32_t limit, size_t *n)
{
    uint32_t len;

    if (left < 4)
        return false;
    len = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    if (len < 4 || len > limit || len > left)
        return false;
    *n = len - 4;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n;

    arena = arena_new();
    if (!arena)
        return 0;
    if (framed(data, size, PGWIRE_STARTUP_BYTES, &n)) {
        startup((const char *)data + 4, n);
        data += 4 + n;
        size -= 4 + n;
        while (size > 5 && framed(data + 1, size - 1, pgwire_limit((char)data[0]), &n)) {
            char *body = malloc(n ? n : 1); /* of its size, so that a byte too far is seen */
            if (!body)
                break;
            memcpy(body, data + 5, n);
            message((char)data[0], body, n);
            free(body);
            data += 5 + n;
            size -= 5 + n;
        }
    }
    copy_reader_free(copying);
    copying = NULL;
    arena_free(arena);
    return 0;
}
