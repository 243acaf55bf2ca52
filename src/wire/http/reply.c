/*
 * Answers. The header is put together in a buffer that the connection keeps, the body is the
 * exchange's own; both leave with one call and are not copied.
 */
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "base/json.h"
#include "wire/http/exchange.h"

#define RETRY_AFTER_SECONDS "1"

#define EXPOSED                                                                                    \
    "HA-Seq, HA-Position, HA-Node, HA-Leader, X-Sequence, Content-Disposition, Location, "         \
    "Retry-After"
#define ACCEPTED "Authorization, Content-Type, Accept, HA-Min-Seq, HA-Timeout, HA-Transaction"

/* buf_puts() without the strlen(). */
#define PUT(b, literal) buf_put((b), (literal), sizeof(literal) - 1)

/* ---- the header ---- */

static const char *reason(unsigned status)
{
    static const struct {
        unsigned status;
        const char *text;
    } reasons[] = {
        {200, "OK"},
        {201, "Created"},
        {204, "No Content"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {499, "Client Closed Request"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
    };

    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status)
            return reasons[i].text;
    return "";
}

/* Formatted once in a second at most. */
static void put_date(struct exchange *x)
{
    time_t now = time(NULL);

    if (now != x->dated) {
        struct tm tm;
        gmtime_r(&now, &tm);
        (void)strftime(x->date, sizeof x->date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        x->dated = now;
    }
    PUT(&x->header, "Date: ");
    buf_put(&x->header, x->date, sizeof x->date - 1);
    PUT(&x->header, "\r\n");
}

static void header(struct exchange *x, const char *name, const char *value)
{
    buf_puts(&x->header, name);
    PUT(&x->header, ": ");
    buf_puts(&x->header, value);
    PUT(&x->header, "\r\n");
}

static void header_u64(struct exchange *x, const char *name, uint64_t value)
{
    buf_puts(&x->header, name);
    PUT(&x->header, ": ");
    buf_u64(&x->header, value);
    PUT(&x->header, "\r\n");
}

static void put_status(struct exchange *x, unsigned status)
{
    if (status == 200) {
        PUT(&x->header, "HTTP/1.1 200 OK\r\n");
        return;
    }
    PUT(&x->header, "HTTP/1.1 ");
    buf_u64(&x->header, status);
    buf_putc(&x->header, ' ');
    buf_puts(&x->header, reason(status));
    PUT(&x->header, "\r\n");
}

static void put_connection(struct exchange *x)
{
    const struct httphead *request = &x->request_head;

    x->last |= x->early || request->close || atomic_load(&x->server->stopping);
    if (x->last)
        header(x, "Connection", "close");
    else if (request->old)
        header(x, "Connection", "keep-alive");
}

/* Who leads, where a leader is wanted and there is one. */
static void put_leader(struct exchange *x)
{
    char address[256];

    if (node_leader(x->server->node, address, sizeof address))
        header(x, "HA-Leader", address);
}

/* What every answer carries; other fields may follow. */
static void begin(struct exchange *x, unsigned status, const char *type)
{
    buf_reset(&x->header);
    put_status(x, status);
    put_date(x);
    buf_put(&x->header, x->server->common.data, x->server->common.len);
    put_leader(x);
    put_connection(x);
    if (type)
        header(x, "Content-Type", type);
    if (x->seq)
        header_u64(x, "HA-Seq", x->seq);
    else if (x->position)
        header_u64(x, "HA-Position", x->position);
    if (x->snapshot_seq)
        header_u64(x, "X-Sequence", x->snapshot_seq);
    if (http_header(x, "Origin"))
        header(x, "Access-Control-Expose-Headers", EXPOSED);
    if (status == 503)
        header(x, "Retry-After", RETRY_AFTER_SECONDS);
    if (status == 401)
        header(x, "WWW-Authenticate", "Bearer");
}

/* Sends the header, and the body where the method wants one. */
static bool send_whole(struct exchange *x, const char *body, size_t len)
{
    header_u64(x, "Content-Length", len);
    PUT(&x->header, "\r\n");
    if (!buf_ok(&x->header))
        return false;
    struct iovec parts[] = {{x->header.data, x->header.len}, {(char *)body, len}};
    return http_conn_send(x, parts, x->head ? 1 : 2);
}

/* Of a status that has no body, and no length of one (RFC 9110, 8.6). */
static bool send_header(struct exchange *x)
{
    PUT(&x->header, "\r\n");
    if (!buf_ok(&x->header))
        return false;
    struct iovec part = {x->header.data, x->header.len};
    return http_conn_send(x, &part, 1);
}

/* ---- whole bodies ---- */

bool http_reply(struct exchange *x, unsigned status, const char *type, size_t skip)
{
    struct err e = ERR_INIT;

    if (!buf_ok(&x->out)) {
        err_set(&e, ERR_NO_MEMORY, "no memory for the answer");
        return http_reply_error(x, &e);
    }
    begin(x, status, type);
    return send_whole(x, x->out.data + skip, x->out.len - skip);
}

bool http_reply_text(struct exchange *x, unsigned status, const char *text)
{
    buf_reset(&x->out);
    buf_puts(&x->out, text);
    return http_reply(x, status, "text/plain; charset=utf-8", 0);
}

bool http_reply_empty(struct exchange *x, unsigned status)
{
    begin(x, status, NULL);
    return status == 204 ? send_header(x) : send_whole(x, "", 0);
}

bool http_reply_location(struct exchange *x, const char *type, const char *location)
{
    begin(x, 201, type);
    header(x, "Location", location);
    return send_whole(x, x->out.data, x->out.len);
}

bool http_reply_options(struct exchange *x)
{
    struct buf allow = BUF_INIT;

    http_allow_put(&allow, x->allowed);
    begin(x, 204, NULL);
    header(x, "Allow", buf_cstr(&allow));
    header(x, "Access-Control-Allow-Methods", buf_cstr(&allow));
    header(x, "Access-Control-Allow-Headers", ACCEPTED);
    header(x, "Access-Control-Max-Age", "86400");
    buf_free(&allow);
    return send_header(x);
}

/* ---- bodies in pieces ---- */

/* With the header before it, which is empty afterwards. */
static bool send_piece(struct exchange *x, const char *bytes, size_t n)
{
    bool chunked = !x->request_head.old;
    char size[24];
    int digits = chunked ? snprintf(size, sizeof size, "%zx\r\n", n) : 0;
    struct iovec parts[] = {{x->header.data, x->header.len},
                            {size, (size_t)digits},
                            {(char *)bytes, n},
                            {"\r\n", chunked ? 2 : 0}};

    if (!http_conn_send(x, parts, sizeof parts / sizeof *parts))
        return false;
    buf_reset(&x->header);
    return true;
}

bool http_reply_stream(struct exchange *x, const char *type, const char *disposition,
                       http_piece next)
{
    const char *bytes = NULL;
    size_t n;

    x->last |= x->request_head.old; /* knows no chunks: the body lasts as long as the connection */
    begin(x, 200, type);
    if (disposition)
        header(x, "Content-Disposition", disposition);
    if (!x->request_head.old)
        header(x, "Transfer-Encoding", "chunked");
    if (x->head)
        return send_header(x);
    PUT(&x->header, "\r\n");
    if (!buf_ok(&x->header))
        return false;
    do {
        if (!next(x, &bytes, &n) || !send_piece(x, bytes, n))
            return false;
    } while (n > 0);
    return true;
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
    buf_printf(b, ",\"code\":\"%s\",\"sqlstate\":\"%s\"", err_name(e->code), err_state(e));
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

bool http_reply_error(struct exchange *x, const struct err *e)
{
    buf_reset(&x->out);
    http_problem_put(x, &x->out, e);
    buf_putc(&x->out, '\n');
    begin(x, (unsigned)err_http(e->code), "application/problem+json");
    if (e->code == ERR_METHOD) {
        struct buf allow = BUF_INIT;
        http_allow_put(&allow, x->allowed);
        header(x, "Allow", buf_cstr(&allow));
        buf_free(&allow);
    }
    return buf_ok(&x->out) ? send_whole(x, x->out.data, x->out.len) : send_whole(x, "", 0);
}
