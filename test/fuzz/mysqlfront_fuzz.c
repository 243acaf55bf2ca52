/*
 * What a MySQL client sends, through everything that reads it before the executor does: logins,
 * queries with attributes, executions with parameters of every type, and the statements in them.
 * No sockets, no node. Besides memory it checks that a value which was read is written in both
 * protocols, and that a payload of any length comes out as packets.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "proto/mysqltype.h"
#include "proto/mysqlwire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const declared[] = {"INT",        "BOOLEAN",  "DOUBLE", "DECIMAL(10,3)",
                                       "VARCHAR(9)", "TEXT",     "BLOB",   "DATE",
                                       "TIME",       "DATETIME", "JSON",   "SOMETHING"};

static volatile uint8_t seen;

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void touch(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        seen ^= (uint8_t)s[i];
}

static void logins(const char *body, size_t len)
{
    static const uint32_t capabilities[] = {0, MYSQLWIRE_PLUGIN_AUTH};
    struct mysqlwire_login l;

    if (mysqlwire_read_login(body, len, &l) && !l.ssl_only) {
        touch(l.user, strlen(l.user));
        touch(l.auth, l.auth_len);
        touch(l.database, strlen(l.database));
        touch(l.plugin, strlen(l.plugin));
    }
    for (size_t i = 0; i < 2; i++)
        if (mysqlwire_read_change_user(body, len, capabilities[i], &l)) {
            touch(l.user, strlen(l.user));
            touch(l.auth, l.auth_len);
            touch(l.database, strlen(l.database));
            touch(l.plugin, strlen(l.plugin));
        }
}

static void written(const struct value *v)
{
    struct buf b = BUF_INIT;
    struct mysqltype_ref t = mysqltype_widen(mysqltype_of_value(v), v);

    for (size_t i = 0; i < sizeof declared / sizeof declared[0]; i++) {
        struct mysqltype_ref d = mysqltype_of_declared(declared[i], strlen(declared[i]));
        size_t before = b.len;
        if (mysqltype_put_text(&b, &d, v) != MYSQLTYPE_FINE)
            check(b.len == before);
        else
            check(b.len > before);
        before = b.len;
        if (v->type != VALUE_NULL && mysqltype_put_binary(&b, &d, v) != MYSQLTYPE_FINE)
            check(b.len == before);
    }
    if (v->type != VALUE_NULL) {
        check(mysqltype_put_text(&b, &t, v) == MYSQLTYPE_FINE);
        check(mysqltype_put_binary(&b, &t, v) == MYSQLTYPE_FINE);
    }
    mysqltype_put_any(&b, v);
    touch(b.data, b.len);
    buf_free(&b);
}

static void execution(const char *body, size_t len, uint32_t capabilities, unsigned n)
{
    struct mysqlwire_execute x;
    char types[2 * 64];
    struct buf scratch = BUF_INIT;

    if (n > 32 || !mysqlwire_read_execute(body, len, capabilities, n, NULL, &x) || !x.types)
        return;
    memcpy(types, x.types, 2 * (size_t)n);
    for (unsigned i = 0; i < n && !x.values.bad; i++) {
        struct value v;
        bool in_scratch;
        if (mysqlwire_is_null(&x, i))
            continue;
        if (!mysqltype_get(&x.values, (uint8_t)types[2 * (size_t)i],
                           ((uint8_t)types[2 * (size_t)i + 1] & 0x80) != 0, &v, &scratch,
                           &in_scratch))
            break;
        if (in_scratch)
            v.u.s.data = scratch.data + (uintptr_t)v.u.s.data;
        written(&v);
    }
    buf_free(&scratch);
}

/* The caller of the real one has room for as many types as there may be. */
static void named_execution(const char *body, size_t len, unsigned n)
{
    char *types = malloc((size_t)MYSQLWIRE_PARAMS_MAX * 2);
    struct mysqlwire_execute x;

    check(types != NULL);
    if (mysqlwire_read_execute(body, len, MYSQLWIRE_QUERY_ATTRIBUTES, n, types, &x) && x.types)
        touch(x.types, (size_t)x.n_params * 2);
    free(types);
}

static void texts(const char *s, size_t len)
{
    struct buf b = BUF_INIT;
    struct mysqltype_ref t = mysqltype_of_declared(s, len);
    struct value v = mysqltype_bytes(t.type, s, len);

    mysqltype_name(&b, s, len);
    buf_free(&b);
    written(&v);
    v = value_text(s, len);
    written(&v);
}

static void packets(const char *s, size_t len)
{
    struct buf b = BUF_INIT;
    struct mysqlwire_out o = {&b, 0};
    size_t start = mysqlwire_begin(&o);

    mysqlwire_put_text(&b, s, len);
    mysqlwire_end(&o, start);
    struct reader r = reader_of(b.data + MYSQLWIRE_HEADER_BYTES, b.len - MYSQLWIRE_HEADER_BYTES);
    size_t n;
    const char *again = mysqlwire_lenenc_text(&r, &n);
    check(n == len && memcmp(again, s, n) == 0 && reader_done(&r));
    buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *body = malloc(size ? size : 1); /* exactly as long as the input */
    const char *sql;
    size_t n;

    check(body != NULL);
    memcpy(body, data, size);
    unsigned params = size > 0 ? (uint8_t)body[0] % 8 : 0;
    logins(body, size);
    if (mysqlwire_read_query(body, size, MYSQLWIRE_QUERY_ATTRIBUTES, &sql, &n))
        touch(sql, n);
    execution(body, size, 0, params);
    named_execution(body, size, params);
    texts(body, size);
    packets(body, size);
    free(body);
    return 0;
}
