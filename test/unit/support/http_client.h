/*
 * The smallest HTTP/1.1 client that tests need: raw requests out, one answer in. Blocking, with a
 * limit of ten seconds for everything. To be included by one file of a test program.
 */
#ifndef HA_TEST_HTTP_CLIENT_H
#define HA_TEST_HTTP_CLIENT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/buf.h"

struct answer {
    int status; /* 0: the connection ended before an answer */
    struct buf head, body;
    bool chunked;
    bool complete; /* all of the body came */
};

__attribute__((unused)) static void answer_free(struct answer *a)
{
    buf_free(&a->head);
    buf_free(&a->body);
}

static int client_connect(uint16_t port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval limit = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&addr, sizeof addr) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool client_send(int fd, const char *bytes, size_t len)
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

static bool client_byte(int fd, struct buf *b)
{
    char c;

    if (recv(fd, &c, 1, 0) != 1)
        return false;
    buf_putc(b, c);
    return true;
}

static bool client_bytes(int fd, struct buf *b, size_t n)
{
    char piece[16384];

    while (n > 0) {
        ssize_t got = recv(fd, piece, n < sizeof piece ? n : sizeof piece, 0);
        if (got <= 0)
            return false;
        buf_put(b, piece, (size_t)got);
        n -= (size_t)got;
    }
    return true;
}

static bool client_line(int fd, struct buf *b)
{
    buf_reset(b);
    while (client_byte(fd, b))
        if (b->len >= 2 && memcmp(b->data + b->len - 2, "\r\n", 2) == 0)
            return true;
    return false;
}

static bool client_chunks(int fd, struct buf *body)
{
    struct buf line = BUF_INIT;
    bool ok = false;

    while (client_line(fd, &line)) {
        size_t n = strtoul(buf_cstr(&line), NULL, 16);
        if (n > 0 && !client_bytes(fd, body, n))
            break;
        if (!client_line(fd, &line)) /* behind a chunk, or the last line of all */
            break;
        if (n == 0) {
            ok = true;
            break;
        }
    }
    buf_free(&line);
    return ok;
}

/* The value of a header (a copy of the thread's), NULL where it is missing. */
static const char *answer_header(struct answer *a, const char *name)
{
    static _Thread_local char value[512];
    char key[128];
    const char *p;

    snprintf(key, sizeof key, "\r\n%s: ", name);
    p = strcasestr(buf_cstr(&a->head), key);
    if (!p)
        return NULL;
    snprintf(value, sizeof value, "%.*s", (int)strcspn(p + strlen(key), "\r\n"), p + strlen(key));
    return value;
}

static void client_read(int fd, struct answer *a, bool no_body)
{
    const char *text;

    *a = (struct answer){0};
    do { /* past "100 Continue" */
        buf_reset(&a->head);
        while (client_byte(fd, &a->head))
            if (a->head.len >= 4 && memcmp(a->head.data + a->head.len - 4, "\r\n\r\n", 4) == 0)
                break;
        if (sscanf(buf_cstr(&a->head), "HTTP/1.1 %d", &a->status) != 1)
            return;
    } while (a->status == 100);
    if (no_body || a->status == 204) {
        a->complete = true;
        return;
    }
    a->chunked = answer_header(a, "Transfer-Encoding") != NULL;
    text = answer_header(a, "Content-Length");
    a->complete = a->chunked ? client_chunks(fd, &a->body)
                             : text && client_bytes(fd, &a->body, strtoul(text, NULL, 10));
}

/* One request over a connection of its own or, with `fd`, over that one. `headers`: lines that end
 * with \r\n, or "". */
__attribute__((unused)) static void client_request(int fd, uint16_t port, const char *method,
                                                   const char *path, const char *headers,
                                                   const char *body, struct answer *a)
{
    struct buf out = BUF_INIT;
    int own = fd < 0 ? client_connect(port) : fd;

    buf_printf(&out, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s", method, path, headers);
    if (body)
        buf_printf(&out, "Content-Length: %zu\r\n", strlen(body));
    buf_puts(&out, "\r\n");
    if (body)
        buf_puts(&out, body);
    *a = (struct answer){0};
    if (own >= 0 && client_send(own, out.data, out.len))
        client_read(own, a, strcmp(method, "HEAD") == 0);
    buf_free(&out);
    if (fd < 0 && own >= 0)
        close(own);
}

#endif
