/*
 * Answers. One response of libmicrohttpd for each request; its body is the exchange's own buffer,
 * which stays as it is until the response has been sent, so nothing is copied.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/json.h"
#include "wire/http/exchange.h"

#define STREAM_BLOCK_BYTES  ((size_t)32 << 10) /* asked of a reader at a time */
#define RETRY_AFTER_SECONDS "1"

#define EXPOSED                                                                                    \
    "HA-Seq, HA-Position, HA-Node, X-Sequence, Content-Disposition, Location, Retry-After"
#define ACCEPTED "Authorization, Content-Type, Accept, HA-Min-Seq, HA-Timeout, HA-Transaction"

static void header(struct MHD_Response *r, const char *name, const char *value)
{
    /* Fails for want of memory or for a line break in the value: the answer goes without it. */
    (void)MHD_add_response_header(r, name, value);
}

static void header_u64(struct MHD_Response *r, const char *name, uint64_t value)
{
    char text[24];
    char *p = text + sizeof text;

    *--p = '\0';
    do {
        *--p = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    header(r, name, p);
}

/* What every answer carries; queues the response and lets go of it. */
static enum MHD_Result queue(struct exchange *x, struct MHD_Response *r, unsigned status,
                             const char *type)
{
    enum MHD_Result ok;

    if (!r)
        return MHD_NO;
    if (type)
        header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    header(r, "HA-Node", x->server->node_name);
    if (x->seq)
        header_u64(r, "HA-Seq", x->seq);
    else if (x->position)
        header_u64(r, "HA-Position", x->position);
    if (x->snapshot_seq)
        header_u64(r, "X-Sequence", x->snapshot_seq);
    header(r, "Access-Control-Allow-Origin", "*");
    if (http_header(x, MHD_HTTP_HEADER_ORIGIN))
        header(r, "Access-Control-Expose-Headers", EXPOSED);
    if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
        header(r, MHD_HTTP_HEADER_RETRY_AFTER, RETRY_AFTER_SECONDS);
    if (status == MHD_HTTP_UNAUTHORIZED)
        header(r, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    if (x->early || atomic_load(&x->server->stopping))
        header(r, MHD_HTTP_HEADER_CONNECTION, "close");
    ok = MHD_queue_response(x->mhd, status, r);
    MHD_destroy_response(r);
    return ok;
}

static struct MHD_Response *response_of(void *data, size_t len)
{
    return MHD_create_response_from_buffer(len, data, MHD_RESPMEM_PERSISTENT);
}

enum MHD_Result http_reply(struct exchange *x, unsigned status, const char *type, size_t skip)
{
    struct err e = ERR_INIT;

    if (!buf_ok(&x->out)) {
        err_set(&e, ERR_NO_MEMORY, "no memory for the answer");
        return http_reply_error(x, &e);
    }
    return queue(x, response_of(x->out.data + skip, x->out.len - skip), status, type);
}

enum MHD_Result http_reply_text(struct exchange *x, unsigned status, const char *text)
{
    buf_reset(&x->out);
    buf_puts(&x->out, text);
    return http_reply(x, status, "text/plain; charset=utf-8", 0);
}

enum MHD_Result http_reply_empty(struct exchange *x, unsigned status)
{
    return queue(x, response_of("", 0), status, NULL);
}

enum MHD_Result http_reply_location(struct exchange *x, const char *type, const char *location)
{
    struct MHD_Response *r = response_of(x->out.data, x->out.len);

    if (r && location)
        header(r, MHD_HTTP_HEADER_LOCATION, location);
    return queue(x, r, MHD_HTTP_CREATED, type);
}

enum MHD_Result http_reply_stream(struct exchange *x, const char *type, const char *disposition,
                                  MHD_ContentReaderCallback read)
{
    struct MHD_Response *r =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, read, x, NULL);

    if (r && disposition)
        header(r, MHD_HTTP_HEADER_CONTENT_DISPOSITION, disposition);
    return queue(x, r, MHD_HTTP_OK, type);
}

enum MHD_Result http_reply_options(struct exchange *x)
{
    struct MHD_Response *r = response_of("", 0);
    struct buf allow = BUF_INIT;

    http_allow_put(&allow, x->allowed);
    if (r) {
        header(r, MHD_HTTP_HEADER_ALLOW, buf_cstr(&allow));
        header(r, "Access-Control-Allow-Methods", buf_cstr(&allow));
        header(r, "Access-Control-Allow-Headers", ACCEPTED);
        header(r, "Access-Control-Max-Age", "86400");
    }
    buf_free(&allow);
    return queue(x, r, MHD_HTTP_NO_CONTENT, NULL);
}

/* ---- errors: application/problem+json (RFC 9457) ---- */

static void put_member(struct buf *b, const char *name, long long value)
{
    buf_printf(b, ",\"%s\":%lld", name, value);
}

void http_problem_put(struct exchange *x, struct buf *b, const struct err *e)
{
    buf_printf(b, "{\"type\":\"urn:ha:error:%s\",\"title\":", err_name(e->code));
    json_put_cstr(b, err_text(e->code));
    put_member(b, "status", err_http(e->code));
    buf_puts(b, ",\"detail\":");
    json_put_cstr(b, e->msg[0] ? e->msg : err_text(e->code));
    buf_printf(b, ",\"code\":\"%s\",\"sqlstate\":\"%s\"", err_name(e->code), err_sqlstate(e->code));
    if (e->sqlite_code) {
        put_member(b, "sqlite_code", e->sqlite_code & 0xFF);
        put_member(b, "sqlite_extended_code", e->sqlite_code);
    }
    if (e->offset >= 0)
        put_member(b, "offset", e->offset);
    if (x->statement >= 0)
        put_member(b, "statement", x->statement);
    buf_putc(b, '}');
}

enum MHD_Result http_reply_error(struct exchange *x, const struct err *e)
{
    struct MHD_Response *r;
    unsigned status = (unsigned)err_http(e->code);

    buf_reset(&x->out);
    http_problem_put(x, &x->out, e);
    buf_putc(&x->out, '\n');
    if (buf_ok(&x->out))
        r = response_of(x->out.data, x->out.len);
    else
        r = response_of("", 0);
    if (r && e->code == ERR_METHOD) {
        struct buf allow = BUF_INIT;
        http_allow_put(&allow, x->allowed);
        header(r, MHD_HTTP_HEADER_ALLOW, buf_cstr(&allow));
        buf_free(&allow);
    }
    return queue(x, r, status, "application/problem+json");
}

bool http_reply_at_once(struct exchange *x, const struct err *e)
{
    unsigned status = (unsigned)err_http(e->code);
    char head[256];

    buf_reset(&x->out);
    http_problem_put(x, &x->out, e);
    buf_putc(&x->out, '\n');
    if (!buf_ok(&x->out))
        return false;
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %u %s\r\nContent-Type: application/problem+json\r\n"
                     "Content-Length: %zu\r\nConnection: close\r\n\r\n",
                     status, MHD_get_reason_phrase_for(status), x->out.len);
    struct iovec parts[] = {{head, (size_t)n}, {x->out.data, x->out.len}};
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
    return sendmsg(x->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == n + (ssize_t)x->out.len;
}
