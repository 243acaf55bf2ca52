#include "core/parcel.h"

#include <string.h>

#include "base/value_pack.h"

#define HAS_FRONT    1u /* flags */
#define IS_READ_ONLY 2u
#define IN_RECOVERY  4u

void parcel_put_text(struct buf *b, const char *s)
{
    buf_put(b, s, strlen(s) + 1);
}

/* ---- whose session it is ---- */

void parcel_put_front(struct buf *b, const struct pg_session *front)
{
    unsigned flags = front ? HAS_FRONT : 0;
    if (front && front->read_only)
        flags |= IS_READ_ONLY;
    if (front && front->in_recovery)
        flags |= IN_RECOVERY;
    buf_u8(b, (uint8_t)flags);
    if (!front)
        return;
    parcel_put_text(b, front->user);
    parcel_put_text(b, front->database);
    buf_be32(b, (uint32_t)front->pid);
}

bool parcel_get_front(struct reader *in, struct pg_session *front)
{
    unsigned flags = reader_u8(in);
    *front =
        (struct pg_session){.read_only = flags & IS_READ_ONLY, .in_recovery = flags & IN_RECOVERY};
    if (!(flags & HAS_FRONT))
        return false;
    front->user = reader_cstr(in);
    front->database = reader_cstr(in);
    front->pid = (int32_t)reader_u32(in);
    return !in->bad;
}

/* ---- statements ---- */

static void put_query(struct buf *b, const struct query *q)
{
    buf_be32(b, (uint32_t)q->len);
    buf_put(b, q->sql, q->len);
    buf_u8(b, q->numbered);
    buf_be32(b, q->n_params);
    for (unsigned i = 0; i < q->n_params && buf_ok(b); i++) {
        buf_u8(b, q->params[i].name != NULL);
        if (q->params[i].name)
            parcel_put_text(b, q->params[i].name);
        value_pack(b, &q->params[i].value);
    }
}

void parcel_put_queries(struct buf *b, const struct query *queries, size_t n)
{
    buf_be16(b, (uint16_t)n);
    for (size_t i = 0; i < n; i++)
        put_query(b, &queries[i]);
}

static void get_query(struct reader *in, struct arena *a, struct query *q)
{
    q->len = reader_u32(in);
    q->sql = reader_bytes(in, q->len);
    q->numbered = reader_u8(in) != 0;
    q->n_params = reader_u32(in);
    if (q->n_params > (size_t)(in->end - in->at))
        in->bad = true;
    struct param *params = in->bad ? NULL : arena_alloc(a, (q->n_params + 1) * sizeof *params);
    in->bad = !params;
    for (unsigned i = 0; i < q->n_params && !in->bad; i++) {
        params[i].name = reader_u8(in) ? reader_cstr(in) : NULL;
        params[i].value = value_unpack(in);
    }
    q->params = params;
}

struct query *parcel_get_queries(struct reader *in, struct arena *a, size_t *n)
{
    *n = reader_u16(in);
    struct query *queries = in->bad ? NULL : arena_alloc(a, (*n + 1) * sizeof *queries);
    in->bad = !queries;
    for (size_t i = 0; i < *n && !in->bad; i++)
        get_query(in, a, &queries[i]);
    return in->bad ? NULL : queries;
}

/* ---- what came of them ---- */

void parcel_put_result(struct buf *b, size_t failed, const struct err *e, int64_t last_rowid,
                       const struct buf *recording)
{
    buf_be32(b, (uint32_t)failed);
    parcel_put_text(b, err_name(e->code));
    buf_be32(b, (uint32_t)e->sqlite_code);
    buf_be32(b, (uint32_t)(e->offset + 1));
    parcel_put_text(b, e->msg);
    buf_be64(b, (uint64_t)last_rowid);
    if (e->code == ERR_OK && recording)
        buf_put(b, recording->data, recording->len);
}

bool parcel_get_result(struct reader *in, struct parcel_result *out)
{
    out->failed = reader_u32(in);
    const char *name = reader_cstr(in);
    int sqlite_code = (int)reader_u32(in);
    int offset = (int)reader_u32(in) - 1;
    const char *message = reader_cstr(in);
    out->last_rowid = (int64_t)reader_u64(in);
    if (in->bad)
        return false;
    err_clear(&out->err);
    if (strcmp(name, err_name(ERR_OK)) != 0) {
        err_set(&out->err, err_of_name(name, strlen(name)), "%s", message);
        out->err.sqlite_code = sqlite_code;
        out->err.offset = offset;
    }
    out->recording = in->at;
    out->len = (size_t)(in->end - in->at);
    return true;
}
