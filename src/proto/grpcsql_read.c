/* Requests: grpcsql.h. */
#include <google/protobuf/timestamp.pb-c.h>
#include <google/protobuf/wrappers.pb-c.h>
#include <ha/v1/database.pb-c.h>
#include <sql/v1/sql.pb-c.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "proto/grpcpack.h"
#include "proto/grpcsql.h"

#define PARAMS_MAX     32766u /* SQLite's own limit */
#define BATCH_MAX      10000u
#define TIMESTAMP_SIZE 64u
/* 0001-01-01 and 9999-12-31, the ends of a Timestamp and of what SQLite's date functions know. */
#define SECONDS_LEAST  INT64_C(-62135596800)
#define SECONDS_MOST   INT64_C(253402300799)

struct reading {
    struct arena *arena;
    struct grpcpack pack;
};

/* ---- values ---- */

static const ProtobufCMessageDescriptor *const wrappers[] = {
    &google__protobuf__int64_value__descriptor,  &google__protobuf__string_value__descriptor,
    &google__protobuf__double_value__descriptor, &google__protobuf__bytes_value__descriptor,
    &google__protobuf__bool_value__descriptor,   &google__protobuf__int32_value__descriptor,
    &google__protobuf__float_value__descriptor,  &google__protobuf__uint64_value__descriptor,
    &google__protobuf__uint32_value__descriptor,
};

#define N_WRAPPERS (sizeof wrappers / sizeof wrappers[0])

/* Every wrapper has one field, "value". */
static enum err_code wrapped(const ProtobufCMessage *m, struct value *out, struct err *e)
{
    const ProtobufCFieldDescriptor *f = &m->descriptor->fields[0];
    const void *at = (const char *)m + f->offset;
    ProtobufCBinaryData d;

    switch (f->type) {
    case PROTOBUF_C_TYPE_INT64:
        *out = value_int(*(const int64_t *)at);
        return ERR_OK;
    case PROTOBUF_C_TYPE_INT32:
        *out = value_int(*(const int32_t *)at);
        return ERR_OK;
    case PROTOBUF_C_TYPE_UINT32:
        *out = value_int(*(const uint32_t *)at);
        return ERR_OK;
    case PROTOBUF_C_TYPE_UINT64:
        if (*(const uint64_t *)at > INT64_MAX)
            return err_set(e, ERR_PARAM, "a parameter is greater than the greatest INTEGER");
        *out = value_int((int64_t) * (const uint64_t *)at);
        return ERR_OK;
    case PROTOBUF_C_TYPE_BOOL:
        *out = value_int(*(const protobuf_c_boolean *)at != 0);
        return ERR_OK;
    case PROTOBUF_C_TYPE_DOUBLE:
        *out = value_real(*(const double *)at);
        return ERR_OK;
    case PROTOBUF_C_TYPE_FLOAT:
        *out = value_real((double)*(const float *)at);
        return ERR_OK;
    default:
        d = *(const ProtobufCBinaryData *)at;
        break;
    }
    const char *bytes = d.len > 0 ? (const char *)d.data : "";
    *out = m->descriptor == &google__protobuf__string_value__descriptor ? value_text(bytes, d.len)
                                                                        : value_blob(bytes, d.len);
    return ERR_OK;
}

/* "2026-01-31 12:34:56.789000000+00:00". */
static enum err_code moment(struct reading *r, const ProtobufCBinaryData *d, struct value *out,
                            struct err *e)
{
    Google__Protobuf__Timestamp *t =
        google__protobuf__timestamp__unpack(&r->pack.allocator, d->len, d->data);
    char *text = arena_alloc(r->arena, TIMESTAMP_SIZE);
    struct tm tm;
    time_t seconds;

    if (!t || !text)
        return grpcpack_failed(&r->pack, "Timestamp", e);
    seconds = (time_t)t->seconds;
    if (t->seconds < SECONDS_LEAST || t->seconds > SECONDS_MOST || t->nanos < 0 ||
        t->nanos > 999999999 || !gmtime_r(&seconds, &tm))
        return err_set(e, ERR_PARAM, "a Timestamp is out of its range");
    size_t n =
        (size_t)snprintf(text, TIMESTAMP_SIZE, "%04d-%02d-%02d %02d:%02d:%02d", tm.tm_year + 1900,
                         tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    if (t->nanos > 0)
        n += (size_t)snprintf(text + n, TIMESTAMP_SIZE - n, ".%09d", t->nanos);
    n += (size_t)snprintf(text + n, TIMESTAMP_SIZE - n, "+00:00");
    *out = value_text(text, n);
    return ERR_OK;
}

static bool is_named(const char *name, size_t len, const char *full)
{
    return strlen(full) == len && memcmp(name, full, len) == 0;
}

/* What stands behind the last slash of the URL says what it is. */
static enum err_code any(struct reading *r, const Google__Protobuf__Any *a, struct value *out,
                         struct err *e)
{
    const char *url, *slash, *name;
    size_t len;

    *out = value_null();
    if (!a || a->type_url.len == 0)
        return ERR_OK;
    url = (const char *)a->type_url.data;
    slash = memrchr(url, '/', a->type_url.len);
    name = slash ? slash + 1 : url;
    len = a->type_url.len - (size_t)(name - url);
    if (is_named(name, len, "google.protobuf.Empty"))
        return ERR_OK;
    if (is_named(name, len, google__protobuf__timestamp__descriptor.name))
        return moment(r, &a->value, out, e);
    for (size_t i = 0; i < N_WRAPPERS; i++) {
        if (!is_named(name, len, wrappers[i]->name))
            continue;
        ProtobufCMessage *m =
            protobuf_c_message_unpack(wrappers[i], &r->pack.allocator, a->value.len, a->value.data);
        return m ? wrapped(m, out, e) : grpcpack_failed(&r->pack, wrappers[i]->short_name, e);
    }
    return err_set(e, ERR_PARAM, "a parameter is a %.*s, which is no value",
                   (int)(len < 100 ? len : 100), name);
}

/* ---- requests ---- */

static enum err_code named(struct reading *r, const Sql__V1__QueryRequest *q,
                           struct grpcsql_param *out, struct err *e)
{
    for (size_t i = 0; i < q->n_params; i++) {
        const Sql__V1__NamedValue *p = q->params[i];
        if (p->name.len == 0)
            return err_set(e, ERR_PARAM, "parameter %zu has no name, and others have one", i + 1);
        if (grpcpack_cstr(r->arena, &p->name, &out[i].name, e) != ERR_OK ||
            any(r, p->value, &out[i].value, e) != ERR_OK)
            return e->code;
    }
    return ERR_OK;
}

static enum err_code numbered(struct reading *r, const Sql__V1__QueryRequest *q,
                              struct grpcsql_param *out, struct err *e)
{
    bool *given = arena_alloc(r->arena, q->n_params * sizeof *given);

    if (!given)
        return err_set(e, ERR_NO_MEMORY, "no memory for the message");
    for (size_t i = 0; i < q->n_params; i++) {
        const Sql__V1__NamedValue *p = q->params[i];
        if (p->name.len > 0)
            return err_set(e, ERR_PARAM, "parameter %zu has a name, and others have none", i + 1);
        if (p->ordinal < 1 || (uint64_t)p->ordinal > q->n_params)
            return err_set(e, ERR_PARAM, "a parameter's ordinal is %lld, and there are %zu",
                           (long long)p->ordinal, q->n_params);
        size_t place = (size_t)p->ordinal - 1;
        if (given[place])
            return err_set(e, ERR_PARAM, "two parameters have the ordinal %zu", place + 1);
        given[place] = true;
        if (any(r, p->value, &out[place].value, e) != ERR_OK)
            return e->code;
    }
    return ERR_OK;
}

static enum err_code params(struct reading *r, const Sql__V1__QueryRequest *q,
                            struct grpcsql_request *out, struct err *e)
{
    struct grpcsql_param *list;

    if (q->n_params == 0)
        return ERR_OK;
    if (q->n_params > PARAMS_MAX)
        return err_set(e, ERR_PARAM, "more than %u parameters", PARAMS_MAX);
    list = arena_alloc(r->arena, q->n_params * sizeof *list);
    if (!list)
        return err_set(e, ERR_NO_MEMORY, "no memory for the message");
    out->params = list;
    out->n_params = (unsigned)q->n_params;
    return q->params[0]->name.len > 0 ? named(r, q, list, e) : numbered(r, q, list, e);
}

static enum err_code convert(struct reading *r, const Sql__V1__QueryRequest *q,
                             struct grpcsql_request *out, struct err *e)
{
    *out = (struct grpcsql_request){.type = GRPCSQL_ANY,
                                    .sql = q->sql.len > 0 ? (const char *)q->sql.data : "",
                                    .sql_len = q->sql.len,
                                    .max_rows = q->max_rows,
                                    .min_seq = q->min_seq};
    switch (q->type) {
    case SQL__V1__QUERY_TYPE__QUERY_TYPE_EXEC_UPDATE:
        out->type = GRPCSQL_UPDATE;
        break;
    case SQL__V1__QUERY_TYPE__QUERY_TYPE_EXEC_QUERY:
        out->type = GRPCSQL_QUERY;
        break;
    case SQL__V1__QUERY_TYPE__QUERY_TYPE_PING:
        out->type = GRPCSQL_PING;
        return ERR_OK;
    default: /* one that a later version may have */
        break;
    }
    if (q->replication_id.len > 0 &&
        grpcpack_cstr(r->arena, &q->replication_id, &out->database, e) != ERR_OK)
        return e->code;
    return params(r, q, out, e);
}

enum err_code grpcsql_read(struct arena *a, const void *bytes, size_t len,
                           struct grpcsql_request *out, struct err *e)
{
    struct reading r = {.arena = a};

    grpcpack_begin(&r.pack, a, len);
    Sql__V1__QueryRequest *q = sql__v1__query_request__unpack(&r.pack.allocator, len, bytes);
    return q ? convert(&r, q, out, e) : grpcpack_failed(&r.pack, "sql.v1.QueryRequest", e);
}

enum err_code grpcsql_read_batch(struct arena *a, const void *bytes, size_t len,
                                 struct grpcsql_request **out, size_t *n, struct err *e)
{
    struct reading r = {.arena = a};

    *n = 0;
    grpcpack_begin(&r.pack, a, len);
    Ha__V1__BatchRequest *b = ha__v1__batch_request__unpack(&r.pack.allocator, len, bytes);
    if (!b)
        return grpcpack_failed(&r.pack, "ha.v1.BatchRequest", e);
    if (b->n_requests > BATCH_MAX)
        return err_set(e, ERR_TOO_BIG, "more than %u requests in a batch", BATCH_MAX);
    *out = arena_alloc(a, (b->n_requests + 1) * sizeof **out);
    if (!*out)
        return err_set(e, ERR_NO_MEMORY, "no memory for the message");
    for (*n = 0; *n < b->n_requests; ++*n)
        if (convert(&r, b->requests[*n], &(*out)[*n], e) != ERR_OK)
            return err_wrap(e, "request %zu", *n);
    return ERR_OK;
}

/* The two messages are the same but for their names. */
enum err_code grpcsql_read_database(struct arena *a, const void *bytes, size_t len,
                                    const char **out, struct err *e)
{
    struct grpcpack pack;

    *out = NULL;
    grpcpack_begin(&pack, a, len);
    Sql__V1__DownloadRequest *d = sql__v1__download_request__unpack(&pack.allocator, len, bytes);
    if (!d)
        return grpcpack_failed(&pack, "sql.v1.DownloadRequest", e);
    return d->replication_id.len > 0 ? grpcpack_cstr(a, &d->replication_id, out, e) : ERR_OK;
}
