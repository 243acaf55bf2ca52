/*
 * gRPC's front: a stream of messages as clients send it. The first byte says what kind they are;
 * then come frames, each with a message that is read as that. What has been read as a request is
 * written as a row, and has to be read again as the same values.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/grpcframe.h"
#include "proto/grpcgzip.h"
#include "proto/grpcinfo.h"
#include "proto/grpcsql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST_BYTES ((size_t)1 << 20)

enum kind { REQUEST, BATCH, DATABASE, HEALTH, QUESTION, HEADER, SET, GZIP, KINDS };

/* One row, as a request whose parameters are its values would hold it. */
static void again(struct arena *a, const struct grpcsql_request *r)
{
    struct buf row = BUF_INIT, scratch = BUF_INIT;
    struct value *values = arena_alloc(a, (r->n_params + 1) * sizeof *values);

    if (!values)
        abort();
    for (unsigned i = 0; i < r->n_params; i++) {
        values[i] = r->params[i].value;
        if (values[i].type == VALUE_TEXT && !grpcsql_is_text(values[i].u.s.data, values[i].u.s.len))
            values[i].type = VALUE_BLOB;
    }
    grpcsql_put_row(&row, &scratch, values, r->n_params);
    if (!buf_ok(&row) || row.len < scratch.len)
        abort();
    buf_free(&row);
    buf_free(&scratch);
}

static void read_one(struct arena *a, enum kind kind, const char *s, size_t len)
{
    struct grpcsql_request r, *batch = NULL;
    struct grpcinfo_question q;
    struct err e = ERR_INIT;
    const char *text = NULL;
    size_t n = 0;
    int64_t ns;
    struct buf b = BUF_INIT;
    struct grpcinfo_file f;

    switch (kind) {
    case REQUEST:
        if (grpcsql_read(a, s, len, &r, &e) == ERR_OK)
            again(a, &r);
        break;
    case BATCH:
        if (grpcsql_read_batch(a, s, len, &batch, &n, &e) == ERR_OK)
            for (size_t i = 0; i < n; i++)
                again(a, &batch[i]);
        break;
    case DATABASE:
        (void)grpcsql_read_database(a, s, len, &text, &e);
        break;
    case HEALTH:
        (void)grpcinfo_read_health(a, s, len, &text, &e);
        break;
    case QUESTION:
        if (grpcinfo_read_question(a, s, len, &q, &e) == ERR_OK)
            grpcinfo_put_error(&b, 5, q.name);
        break;
    case HEADER:
        text = arena_strndup(a, s, len);
        if (text && grpcframe_timeout(text, &ns) && ns < 0)
            abort();
        grpcframe_put_text(&b, s, len);
        grpcsql_put_name(&b, text ? text : "");
        err_set(&e, ERR_UNIQUE, "%.400s", text ? text : "");
        grpcsql_put_error(&b, &e, len);
        grpcsql_put_status(&b, &e);
        break;
    case SET:
        for (const char *at = s; grpcinfo_next_file(&at, s + len, &f);)
            n += f.name_len;
        break;
    case GZIP:
        if (grpcgzip_inflate(s, len, MOST_BYTES, &b, &e) == ERR_OK && b.len > MOST_BYTES)
            abort();
        break;
    case KINDS:
        break;
    }
    buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new();
    struct grpcframe f;

    if (!a || size == 0) {
        arena_free(a);
        return 0;
    }
    enum kind kind = (enum kind)(data[0] % KINDS);
    for (size_t at = 1; grpcframe_look(data + at, size - at, &f) == GRPCFRAME_WHOLE;) {
        char *exact = malloc(f.len ? f.len : 1); /* reading beyond it is seen */
        if (!exact)
            break;
        memcpy(exact, data + at + GRPCFRAME_HEAD, f.len);
        read_one(a, kind, exact, f.len);
        arena_reset(a);
        free(exact);
        at += GRPCFRAME_HEAD + f.len;
    }
    arena_free(a);
    return 0;
}
