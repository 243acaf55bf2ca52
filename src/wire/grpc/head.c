/*
 * What a request's headers say, and the headers of answers.
 *
 *     HTTP's answer         415, 405, 431: it is no gRPC call, and its sender may not know what a
 *                           grpc-status is
 *     trailers only         it is one, and will not be run
 *     headers … trailers    it is run
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "proto/grpcframe.h"
#include "wire/grpc/conn.h"

#define FIELD_OVERHEAD 32u /* as SETTINGS_MAX_HEADER_LIST_SIZE counts */

/* ---- in ---- */

bool grpc_head_take(struct grpc_call *c, const uint8_t *name, size_t name_len, const uint8_t *value,
                    size_t value_len)
{
    struct grpc_head *h = &c->head;
    const struct {
        const char *name;
        const char **to;
    } known[] = {
        {":method", &h->method},
        {":path", &h->path},
        {"content-type", &h->content_type},
        {"grpc-timeout", &h->timeout},
        {"grpc-encoding", &h->encoding},
        {"authorization", &h->authorization},
        {"ha-database", &h->database},
        {"ha-min-seq", &h->min_seq_text},
    };

    h->bytes += name_len + value_len + FIELD_OVERHEAD;
    if (h->bytes > GRPC_HEADERS_BYTES)
        return true; /* grpc_head_accept_locked() says so */
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strlen(known[i].name) != name_len || memcmp(known[i].name, name, name_len) != 0)
            continue;
        if (!*known[i].to) /* the first of several */
            *known[i].to = arena_strndup(c->arena, (const char *)value, value_len);
        return *known[i].to != NULL;
    }
    return true;
}

static bool parse_u64(const char *s, uint64_t *out)
{
    uint64_t u = 0;

    if (*s == '\0')
        return false;
    for (; *s; s++) {
        unsigned digit = (unsigned)(*s - '0');
        if (digit > 9 || u > (UINT64_MAX - digit) / 10)
            return false;
        u = u * 10 + digit;
    }
    *out = u;
    return true;
}

static enum err_code deadline(struct grpc_call *c, struct err *e)
{
    int64_t ns = 0;

    if (c->head.timeout && !grpcframe_timeout(c->head.timeout, &ns))
        return err_set(e, ERR_PARAM, "grpc-timeout is up to eight digits and a unit");
    if (c->head.timeout)
        c->deadline_ns = clock_deadline(ns);
    else if (c->conn->server->timeout_ns > 0)
        c->deadline_ns = clock_deadline(c->conn->server->timeout_ns);
    return ERR_OK;
}

/* Without the token there is little to be had, and not much of it: a call holds a thread. */
static enum err_code unproven(struct grpc_call *c, struct err *e)
{
    if (!c->route || !c->route->open)
        return err_set(e, ERR_AUTH, "a valid token is needed as authorization");
    c->unproven = true;
    if (atomic_fetch_add(&c->conn->server->n_unproven, 1) >= GRPC_UNPROVEN_MAX)
        return err_set(e, ERR_TOO_MANY, "too many calls without a token");
    return ERR_OK;
}

static enum err_code check(struct grpc_call *c, struct err *e)
{
    struct grpc_head *h = &c->head;

    c->route = grpc_route_find(h->path);
    if (!token_accepts(&c->conn->server->token, h->authorization) && unproven(c, e) != ERR_OK)
        return e->code;
    if (!c->route)
        return err_set(e, ERR_METHOD, "there is no method %.200s", h->path);
    if (h->min_seq_text && !parse_u64(h->min_seq_text, &h->min_seq))
        return err_set(e, ERR_PARAM, "ha-min-seq is a number, as ha-seq gives it");
    h->gzip = h->encoding && strcmp(h->encoding, "gzip") == 0;
    if (deadline(c, e) != ERR_OK)
        return e->code;
    if (atomic_load(&c->conn->server->stopping))
        return err_set(e, ERR_SHUTDOWN, "the node is shutting down");
    return ERR_OK;
}

/* application/grpc, application/grpc+proto; not +json, -web. */
static bool is_grpc(const char *type)
{
    static const char base[] = "application/grpc";
    const char *rest = type + sizeof base - 1;

    if (strncmp(type, base, sizeof base - 1) != 0)
        return false;
    if (strncmp(rest, "+proto", 6) == 0)
        rest += 6;
    return *rest == '\0' || *rest == ';';
}

/* ---- out ---- */

static nghttp2_nv field(const char *name, const char *value, size_t len)
{
    return (nghttp2_nv){.name = (uint8_t *)name,
                        .value = (uint8_t *)value,
                        .namelen = strlen(name),
                        .valuelen = len};
}

static nghttp2_nv text_field(const char *name, const char *value)
{
    return field(name, value, strlen(value));
}

#define FIELDS_MAX (GRPC_REPLY_FIELDS * 2 + 8)

static size_t put_headers(const struct grpc_call *c, nghttp2_nv nv[FIELDS_MAX])
{
    const char *node = node_options(c->conn->server->node)->name;
    size_t n = 0;

    nv[n++] = text_field(":status", "200");
    nv[n++] = text_field("content-type", "application/grpc");
    nv[n++] = text_field("grpc-accept-encoding", "identity,gzip");
    nv[n++] = text_field("ha-node", node ? node : "");
    for (size_t i = 0; i < c->n_headers; i++)
        nv[n++] = text_field(c->headers[i].name, c->headers[i].value);
    return n;
}

static size_t put_trailers(const struct grpc_call *c, nghttp2_nv *nv)
{
    size_t n = 0;

    nv[n++] = text_field("grpc-status", c->status);
    if (c->status_text.len > 0)
        nv[n++] = field("grpc-message", c->status_text.data, c->status_text.len);
    for (size_t i = 0; i < c->n_trailers; i++)
        nv[n++] = text_field(c->trailers[i].name, c->trailers[i].value);
    return n;
}

int grpc_head_answer_locked(struct grpc_call *c, nghttp2_data_provider *body)
{
    nghttp2_nv nv[FIELDS_MAX];

    return nghttp2_submit_response(c->conn->session, c->stream, nv, put_headers(c, nv), body);
}

int grpc_head_trailers_locked(struct grpc_call *c)
{
    nghttp2_nv nv[FIELDS_MAX];

    return nghttp2_submit_trailer(c->conn->session, c->stream, nv, put_trailers(c, nv));
}

void grpc_head_refuse_locked(struct grpc_call *c)
{
    nghttp2_nv nv[FIELDS_MAX];
    size_t n = put_headers(c, nv);

    n += put_trailers(c, nv + n);
    c->answered = c->out_end = c->in_rest = true;
    c->ended_ns = clock_mono_ns();
    if (nghttp2_submit_response(c->conn->session, c->stream, nv, n, NULL) != 0)
        c->conn->dead = true;
}

/* Of plain HTTP. */
static void answer_http(struct grpc_call *c, const char *status)
{
    nghttp2_nv nv[] = {text_field(":status", status), text_field("content-length", "0")};

    c->answered = c->out_end = c->in_rest = true;
    c->ended_ns = clock_mono_ns();
    if (nghttp2_submit_response(c->conn->session, c->stream, nv, 2, NULL) != 0)
        c->conn->dead = true;
}

bool grpc_head_accept_locked(struct grpc_call *c)
{
    const struct grpc_head *h = &c->head;
    struct err e = ERR_INIT;

    if (h->bytes > GRPC_HEADERS_BYTES) {
        if (h->content_type && !is_grpc(h->content_type)) {
            answer_http(c, "431");
            return false;
        }
        err_set(&e, ERR_TOO_BIG, "the headers are larger than %zu bytes", GRPC_HEADERS_BYTES);
    } else if (!h->content_type || !is_grpc(h->content_type)) {
        answer_http(c, "415");
        return false;
    } else if (!h->method || strcmp(h->method, "POST") != 0) {
        answer_http(c, "405");
        return false;
    } else if (h->path && check(c, &e) == ERR_OK) {
        return true;
    }
    grpc_call_status(c, &e);
    grpc_head_refuse_locked(c);
    return false;
}
