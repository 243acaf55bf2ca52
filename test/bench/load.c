/*
 * The load client: threads with blocking sockets and keep-alive, one request under way on each.
 *
 *   load port=8080 connections=64 requests=100000 seconds=10 warmup=20 path=/query body='{"sql":…}'
 *
 * Ends after `requests` in all or after `seconds`, whichever is first. Without a body it sends GET.
 * In the body %i becomes a number that no other request of this run has, beginning with first=, and
 * %r a random one in [0, keys). `warmup` requests of each connection come before the clock starts.
 * Everything but status 200 with a Content-Length counts as an error; the first one is shown on
 * standard error.
 *
 * Prints {"requests", "errors", "seconds", "rate", "answer_bytes", "p50_us", "p99_us", "max_us"}.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "support/measure.h"

#define MAX_CONNECTIONS 1024
#define MAX_REQUESTS    20000000L
#define REQUEST_BYTES   4096
#define ANSWER_BYTES    65536
#define SOCKET_LIMIT_S  30 /* for one answer */

struct options {
    uint16_t port;
    long connections, requests, seconds, warmup, keys;
    const char *path, *body;
};

struct client {
    /* immutable after start */
    const struct options *opt;
    long quota; /* requests at most */
    int fd;
    /* its own thread's */
    uint64_t seed;
    long done, errors;
    size_t answer_bytes; /* of the last one */
    uint32_t *ns;        /* quota of them */
    char request[REQUEST_BYTES], answer[ANSWER_BYTES];
};

static pthread_barrier_t barrier;
static int64_t deadline_ns; /* set between the two barriers */
static atomic_long next_number;
static atomic_bool shown;

static int dial(uint16_t port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval limit = {.tv_sec = SOCKET_LIMIT_S};
    static const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof addr) != 0)
        measure_fail("connecting to port %u: %s", port, strerror(errno));
    return fd;
}

static uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* The template with its numbers filled in; `size` is enough by the check in main(). */
static size_t fill_body(struct client *c, char *out, size_t size)
{
    size_t n = 0;
    for (const char *p = c->opt->body; *p && n + 24 < size; p++) {
        if (p[0] == '%' && p[1] == 'i') {
            n += (size_t)snprintf(out + n, size - n, "%ld", atomic_fetch_add(&next_number, 1));
            p++;
        } else if (p[0] == '%' && p[1] == 'r') {
            uint64_t key = random_next(&c->seed) % (uint64_t)c->opt->keys;
            n += (size_t)snprintf(out + n, size - n, "%llu", (unsigned long long)key);
            p++;
        } else {
            out[n++] = *p;
        }
    }
    return n;
}

static size_t fill_request(struct client *c)
{
    static const char fixed[] = "Host: 127.0.0.1\r\n";
    char body[REQUEST_BYTES / 2];
    if (!c->opt->body)
        return (size_t)snprintf(c->request, sizeof c->request, "GET %s HTTP/1.1\r\n%s\r\n",
                                c->opt->path, fixed);
    size_t n = fill_body(c, body, sizeof body);
    return (size_t)snprintf(c->request, sizeof c->request,
                            "POST %s HTTP/1.1\r\n%sContent-Type: application/json\r\n"
                            "Content-Length: %zu\r\n\r\n%.*s",
                            c->opt->path, fixed, n, (int)n, body);
}

static void send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            measure_fail("sending a request: %s", strerror(errno));
        bytes += n;
        len -= (size_t)n;
    }
}

/* Bytes of body that the header announces; `head` is terminated. -1: none announced. */
static long content_length(const char *head)
{
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, "Content-Length:", 15) == 0)
            return strtol(line + 17, NULL, 10);
    return -1;
}

static void show(const char *answer)
{
    if (!atomic_exchange(&shown, true))
        fprintf(stderr, "an answer that was no success:\n%s\n", answer);
}

/* One whole answer. True for status 200. */
static bool receive(struct client *c)
{
    size_t have = 0, want = 0;
    for (;;) {
        if (have + 1 >= sizeof c->answer || want >= sizeof c->answer)
            measure_fail("an answer is larger than %zu bytes", sizeof c->answer);
        ssize_t n = recv(c->fd, c->answer + have, sizeof c->answer - 1 - have, 0);
        if (n <= 0)
            measure_fail("waiting for an answer: %s", n == 0 ? "closed" : strerror(errno));
        have += (size_t)n;
        c->answer[have] = '\0';
        char *end = want == 0 ? strstr(c->answer, "\r\n\r\n") : NULL;
        if (end) {
            end[2] = '\0'; /* so that the body is not searched */
            long length = content_length(c->answer);
            end[2] = '\r';
            if (length < 0)
                measure_fail("an answer without Content-Length:\n%s", c->answer);
            want = (size_t)(end - c->answer) + 4 + (size_t)length;
        }
        if (want > 0 && have >= want)
            break;
    }
    c->answer_bytes = want;
    if (strncmp(c->answer, "HTTP/1.1 200", 12) == 0)
        return true;
    show(c->answer);
    return false;
}

static void *client_main(void *arg)
{
    struct client *c = arg;
    for (long i = 0; i < c->opt->warmup; i++) {
        send_all(c->fd, c->request, fill_request(c));
        receive(c);
    }
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    while (c->done < c->quota) {
        size_t n = fill_request(c);
        int64_t start = measure_now_ns();
        if (start >= deadline_ns)
            break;
        send_all(c->fd, c->request, n);
        if (!receive(c))
            c->errors++;
        c->ns[c->done++] = measure_since(start);
    }
    return NULL;
}

static void report(const struct client *clients, long n, int64_t elapsed_ns)
{
    size_t total = 0;
    long errors = 0;
    for (long i = 0; i < n; i++) {
        total += (size_t)clients[i].done;
        errors += clients[i].errors;
    }
    uint32_t *all = measure_alloc(total, sizeof *all);
    size_t at = 0;
    for (long i = 0; i < n; i++) {
        memcpy(all + at, clients[i].ns, (size_t)clients[i].done * sizeof *all);
        at += (size_t)clients[i].done;
    }
    double seconds = (double)elapsed_ns / 1e9;
    printf("{\"requests\":%zu,\"errors\":%ld,\"seconds\":%.4f,\"rate\":%.1f,\"answer_bytes\":%zu,",
           total, errors, seconds, (double)total / seconds, clients[0].answer_bytes);
    measure_print(all, total);
    puts("}");
    free(all);
}

static struct options read_options(int argc, char **argv)
{
    static const char *const names[] = {"port", "connections", "requests", "seconds", "warmup",
                                        "keys", "first",       "path",     "body",    NULL};
    measure_check(argc, argv, names);
    struct options o = {
        .port = (uint16_t)measure_number(argc, argv, "port", 8080, 1, 65535),
        .connections = measure_number(argc, argv, "connections", 1, 1, MAX_CONNECTIONS),
        .requests = measure_number(argc, argv, "requests", 1000, 1, MAX_REQUESTS),
        .seconds = measure_number(argc, argv, "seconds", 30, 1, 3600),
        .warmup = measure_number(argc, argv, "warmup", 0, 0, 100000),
        .keys = measure_number(argc, argv, "keys", 1, 1, LONG_MAX),
        .path = measure_text(argc, argv, "path", "/query"),
        .body = measure_text(argc, argv, "body", NULL),
    };
    atomic_store(&next_number, measure_number(argc, argv, "first", 1, 0, LONG_MAX / 2));
    if (strlen(o.path) > 512 || (o.body && strlen(o.body) > REQUEST_BYTES / 4))
        measure_fail("path or body is too long");
    return o;
}

int main(int argc, char **argv)
{
    struct options o = read_options(argc, argv);
    struct client *clients = measure_alloc((size_t)o.connections, sizeof *clients);
    pthread_t *threads = measure_alloc((size_t)o.connections, sizeof *threads);
    long quota = (o.requests + o.connections - 1) / o.connections;
    pthread_barrier_init(&barrier, NULL, (unsigned)o.connections + 1);
    for (long i = 0; i < o.connections; i++) {
        struct client *c = &clients[i];
        c->opt = &o;
        c->quota = quota;
        c->fd = dial(o.port);
        c->seed = 0x9E3779B97F4A7C15u * (uint64_t)(i + 1);
        c->ns = measure_alloc((size_t)quota, sizeof *c->ns);
        if (pthread_create(&threads[i], NULL, client_main, c) != 0)
            measure_fail("no more threads");
    }
    pthread_barrier_wait(&barrier);
    int64_t start = measure_now_ns();
    deadline_ns = start + (int64_t)o.seconds * 1000000000;
    pthread_barrier_wait(&barrier);
    for (long i = 0; i < o.connections; i++)
        pthread_join(threads[i], NULL);
    report(clients, o.connections, measure_now_ns() - start);
    for (long i = 0; i < o.connections; i++) {
        close(clients[i].fd);
        free(clients[i].ns);
    }
    free(threads);
    free(clients);
    pthread_barrier_destroy(&barrier);
    return 0;
}
