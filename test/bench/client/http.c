/* HTTP/1.1 with keep-alive over a blocking socket. Bodies have a Content-Length or come in chunks.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "../support/measure.h"
#include "client.h"

#define BUFFER_BYTES (64 << 10)
#define LINE_BYTES   2048

struct connection {
    int fd;
    size_t start, end; /* what of the buffer was not looked at yet */
    struct text path, body, request, answer;
    char buffer[BUFFER_BYTES];
};

static struct connection *http_open(const struct target *target, struct text *why)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(target->port)};
    struct timeval limit = {.tv_sec = CLIENT_TIMEOUT_S};
    static const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof addr) != 0) {
        text_append(why, strerror(errno), strlen(strerror(errno)));
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    struct connection *c = measure_alloc(1, sizeof *c);
    c->fd = fd;
    return c;
}

static void http_close(struct connection *c)
{
    if (!c)
        return;
    close(c->fd);
    text_free(&c->path);
    text_free(&c->body);
    text_free(&c->request);
    text_free(&c->answer);
    free(c);
}

static bool send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

static void put(struct connection *c, const char *text)
{
    text_append(&c->request, text, strlen(text));
}

static void compose(struct connection *c, const struct work *w, struct numbers *numbers)
{
    text_fill(&c->path, w->path, numbers, 1);
    c->request.len = 0;
    put(c, w->method ? w->method : w->body ? "POST" : "GET");
    put(c, " ");
    put(c, c->path.bytes);
    put(c, " HTTP/1.1\r\nHost: 127.0.0.1\r\n");
    if (!w->body) {
        put(c, "\r\n");
        return;
    }
    text_fill(&c->body, w->body, numbers, w->batch);
    put(c, "Content-Type: application/json\r\nContent-Length: ");
    text_number(&c->request, c->body.len);
    put(c, "\r\n\r\n");
    text_append(&c->request, c->body.bytes, c->body.len);
}

/* More bytes into the buffer, which is empty. */
static bool refill(struct connection *c)
{
    ssize_t n = recv(c->fd, c->buffer, sizeof c->buffer, 0);
    c->start = 0;
    c->end = n > 0 ? (size_t)n : 0;
    return n > 0;
}

/* A line without its end. False: the connection is gone, or it is too long. */
static bool read_line(struct connection *c, char line[LINE_BYTES])
{
    const char *from, *lf;
    size_t len = 0, n;
    do {
        if (c->start == c->end && !refill(c))
            return false;
        from = c->buffer + c->start;
        lf = memchr(from, '\n', c->end - c->start);
        n = lf ? (size_t)(lf - from) : c->end - c->start;
        if (len + n >= LINE_BYTES)
            return false;
        memcpy(line + len, from, n);
        len += n;
        c->start += n + (lf != NULL);
    } while (!lf);
    if (len > 0 && line[len - 1] == '\r')
        len--;
    line[len] = '\0';
    return true;
}

/* `len` bytes of body; as many as fit into the first buffer are kept for the caller. */
static bool read_body(struct connection *c, struct answer *a, size_t len)
{
    a->bytes += len;
    while (len > 0) {
        if (c->start == c->end && !refill(c))
            return false;
        size_t have = c->end - c->start, n = have < len ? have : len;
        if (c->answer.len + n < BUFFER_BYTES)
            text_append(&c->answer, c->buffer + c->start, n);
        c->start += n;
        len -= n;
    }
    return true;
}

static bool read_chunks(struct connection *c, struct answer *a)
{
    char line[LINE_BYTES];
    for (;;) {
        if (!read_line(c, line))
            return false;
        size_t len = strtoul(line, NULL, 16);
        if (!read_body(c, a, len) || !read_line(c, line))
            return false;
        if (len == 0)
            return true; /* no server here sends trailers */
    }
}

/* True when there is a whole answer; *status is its status. */
static bool receive(struct connection *c, struct answer *a, long *status)
{
    char line[LINE_BYTES];
    long length = 0;
    bool chunked = false, ends = false;
    if (!read_line(c, line) || strncmp(line, "HTTP/1.1 ", 9) != 0)
        return false;
    *status = strtol(line + 9, NULL, 10);
    for (;;) {
        if (!read_line(c, line))
            return false;
        if (line[0] == '\0')
            break;
        char first = (char)(line[0] | 0x20); /* most fields are none of these */
        if (first != 'c' && first != 't')
            continue;
        if (strncasecmp(line, "Content-Length:", 15) == 0)
            length = strtol(line + 15, NULL, 10);
        else if (strncasecmp(line, "Transfer-Encoding:", 18) == 0)
            chunked = strstr(line + 18, "chunked") != NULL;
        else if (strncasecmp(line, "Connection: close", 17) == 0)
            ends = true;
    }
    bool whole = chunked ? read_chunks(c, a) : read_body(c, a, (size_t)length);
    a->lost = ends;
    return whole;
}

static bool http_run(struct connection *c, const struct work *w, struct numbers *n,
                     struct answer *a)
{
    long status = 0;
    *a = (struct answer){.text = ""};
    compose(c, w, n);
    c->answer.len = 0;
    text_append(&c->answer, "", 0);
    if (!send_all(c->fd, c->request.bytes, c->request.len) || !receive(c, a, &status)) {
        a->lost = true;
        return false;
    }
    a->text = c->answer.bytes;
    return status >= 200 && status < 300 && !(w->refusal && strstr(a->text, w->refusal));
}

const struct protocol protocol_http = {"http", http_open, http_run, http_close};
