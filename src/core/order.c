#include "core/order.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define VERSION 1u

/* ---- orders ---- */

bool order_want(struct order_wanted *w, const char *name)
{
    for (unsigned i = 0; i < w->n; i++)
        if (strcmp(w->names[i], name) == 0)
            return false;
    if (w->n == ORDER_SETTINGS_MAX || strlen(name) >= ORDER_SETTING_SIZE)
        return false;
    snprintf(w->names[w->n++], ORDER_SETTING_SIZE, "%s", name);
    return true;
}

static void put_settings(struct buf *b, const struct pg_session *front,
                         const struct order_wanted *wanted)
{
    unsigned n = wanted && front && front->setting ? wanted->n : 0;
    buf_be16(b, (uint16_t)n);
    for (unsigned i = 0; i < n; i++) {
        const char *value = front->setting(front->arg, wanted->names[i]);
        parcel_put_text(b, wanted->names[i]);
        buf_u8(b, value != NULL);
        if (value)
            parcel_put_text(b, value);
    }
}

void order_put(struct buf *b, enum order_what what, const struct upstream_call *c, uint64_t base,
               size_t limit_bytes, const struct order_wanted *wanted)
{
    int64_t left = c->deadline_ns - clock_mono_ns();
    buf_u8(b, VERSION);
    buf_u8(b, (uint8_t)what);
    parcel_put_text(b, c->database);
    buf_be64(b, base);
    buf_be64(b, c->min_seq);
    buf_be64(b, c->deadline_ns == CLOCK_EVER ? 0 : left > 0 ? (uint64_t)left : 1);
    buf_be64(b, (uint64_t)c->last_rowid);
    buf_be32(b, limit_bytes > 0 && limit_bytes < UINT32_MAX ? (uint32_t)limit_bytes : UINT32_MAX);
    buf_u8(b, c->atomic);
    put_settings(b, c->front, wanted);
    parcel_put_front(b, c->front);
    parcel_put_queries(b, c->queries, c->n);
}

static void get_settings(struct order *o, struct reader *in, struct arena *a)
{
    size_t n = reader_u16(in);
    struct order_setting *settings = in->bad ? NULL : arena_alloc(a, (n + 1) * sizeof *settings);
    in->bad = !settings;
    for (size_t i = 0; i < n && !in->bad; i++) {
        settings[i].name = reader_cstr(in);
        settings[i].value = reader_u8(in) ? reader_cstr(in) : NULL;
    }
    o->settings = settings;
    o->n_settings = in->bad ? 0 : n;
}

bool order_get(struct order *out, struct arena *a, const void *bytes, size_t len)
{
    struct reader in = reader_of(bytes, len);
    bool known = reader_u8(&in) == VERSION;
    *out = (struct order){.what = (enum order_what)reader_u8(&in)};
    out->database = reader_cstr(&in);
    out->base = reader_u64(&in);
    out->min_seq = reader_u64(&in);
    uint64_t left = reader_u64(&in);
    out->left_ns = left < (uint64_t)INT64_MAX ? (int64_t)left : INT64_MAX;
    out->last_rowid = (int64_t)reader_u64(&in);
    out->limit_bytes = reader_u32(&in);
    out->atomic = reader_u8(&in) != 0;
    get_settings(out, &in, a);
    out->has_front = parcel_get_front(&in, &out->front);
    out->queries = parcel_get_queries(&in, a, &out->n);
    return known && reader_done(&in);
}

/* ---- answers ---- */

void order_put_answer(struct buf *b, const struct order_answer *a, const struct buf *recording)
{
    buf_u8(b, a->open);
    buf_be64(b, a->seq);
    buf_u8(b, a->shape.empty);
    buf_u8(b, a->shape.reads);
    buf_be32(b, a->shape.n_params);
    buf_u8(b, a->lacks != NULL);
    if (a->lacks)
        parcel_put_text(b, a->lacks);
    parcel_put_result(b, a->result.failed, &a->result.err, a->result.last_rowid, recording);
}

bool order_get_answer(struct order_answer *out, const void *bytes, size_t len)
{
    struct reader in = reader_of(bytes, len);
    *out = (struct order_answer){.open = reader_u8(&in) != 0};
    out->seq = reader_u64(&in);
    out->shape.empty = reader_u8(&in) != 0;
    out->shape.reads = reader_u8(&in) != 0;
    out->shape.n_params = reader_u32(&in);
    out->lacks = reader_u8(&in) ? reader_cstr(&in) : NULL;
    return parcel_get_result(&in, &out->result);
}
