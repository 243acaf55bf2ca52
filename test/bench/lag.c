/*
 * How long a row that was committed at one node takes to be visible at others.
 *
 *   lag protocol=http port=8080 watch=8081,8082 count=200 interval_ms=5 path=… body=… path2=…
 * body2=…
 *
 * One thread commits a row; as soon as that is acknowledged, a thread for each watched port asks
 * for it, again and again, until it is there. The lag is the time from the acknowledgement to the
 * answer that has the row, so it includes one read. Both templates get the row's number where they
 * say %i, and the row is there when the answer holds the text look= with its number behind.
 *
 * Prints {"count", "nodes": [{"p50_us", "p99_us", "p999_us", "max_us"}, … as watched]}. A row that
 * is not there within 60 s ends the program; after seconds= there is no further one.
 */
#include <poll.h>
#include <pthread.h>

#include "client/client.h"
#include "support/measure.h"

#define MAX_WATCHERS 8
#define LIMIT_NS     60000000000
#define ENDED        (-1) /* in the place of a row: no further one comes */

struct watcher {
    /* immutable after start */
    const struct protocol *protocol;
    const struct work *look;
    struct target target;
    const char *marker;
    /* its own thread's */
    uint32_t *ns;
};

static pthread_barrier_t committed, seen;
static int64_t committed_ns; /* written before the first barrier, read behind it */
static atomic_long number;   /* of the row, likewise */

static struct connection *connect_to(const struct protocol *p, const struct target *t)
{
    struct text why = {0};
    struct connection *c = p->open(t, &why);
    if (!c)
        measure_fail("connecting to port %u: %s", t->port, why.bytes);
    return c;
}

static void *watch(void *arg)
{
    struct watcher *w = arg;
    struct connection *c = connect_to(w->protocol, &w->target);
    for (long i = 0;; i++) {
        char marker[128];
        struct answer a;
        pthread_barrier_wait(&committed);
        long wanted = atomic_load(&number);
        if (wanted == ENDED)
            break;
        snprintf(marker, sizeof marker, "%s%ld", w->marker, wanted);
        for (;;) {
            atomic_long mine = wanted;
            struct numbers n = {.next = &mine, .seed = 1, .keys = 1};
            if (!w->protocol->run(c, w->look, &n, &a))
                measure_fail("reading at port %u: %.500s", w->target.port, a.text);
            if (strstr(a.text, marker))
                break;
            if (measure_now_ns() - committed_ns > LIMIT_NS)
                measure_fail("row %ld does not come to port %u", wanted, w->target.port);
        }
        w->ns[i] = measure_since(committed_ns);
        pthread_barrier_wait(&seen);
    }
    w->protocol->close(c);
    return NULL;
}

static void commit(const struct protocol *p, struct connection *c, const struct work *w, long row)
{
    atomic_long mine = row;
    struct numbers n = {.next = &mine, .seed = 1, .keys = 1};
    struct answer a;
    if (!p->run(c, w, &n, &a))
        measure_fail("writing row %ld: %.500s", row, a.text);
    committed_ns = measure_now_ns();
    atomic_store(&number, row);
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"protocol",    "port",  "watch",    "count", "seconds",
                                        "interval_ms", "path",  "body",     "sql",   "path2",
                                        "body2",       "sql2",  "database", "user",  "password",
                                        "look",        "first", "refuse",   NULL};
    measure_check(argc, argv, names);
    const struct protocol *p = protocol_find(measure_text(argc, argv, "protocol", "http"));
    const char *ports = measure_text(argc, argv, "watch", "");
    long count = measure_number(argc, argv, "count", 200, 1, 1000000);
    long seconds = measure_number(argc, argv, "seconds", 3600, 1, 86400);
    long first = measure_number(argc, argv, "first", 1, 0, LONG_MAX / 2);
    int interval_ms = (int)measure_number(argc, argv, "interval_ms", 5, 0, 10000);
    struct target target = {
        .port = (uint16_t)measure_number(argc, argv, "port", 8080, 1, 65535),
        .database = measure_text(argc, argv, "database", ""),
        .user = measure_text(argc, argv, "user", ""),
        .password = measure_text(argc, argv, "password", ""),
    };
    struct work write = {.path = measure_text(argc, argv, "path", "/query"),
                         .body = measure_text(argc, argv, "body", NULL),
                         .sql = measure_text(argc, argv, "sql", ""),
                         .refusal = measure_text(argc, argv, "refuse", NULL),
                         .batch = 1};
    struct work look = {.path = measure_text(argc, argv, "path2", "/query"),
                        .body = measure_text(argc, argv, "body2", NULL),
                        .sql = measure_text(argc, argv, "sql2", ""),
                        .batch = 1};
    struct watcher watchers[MAX_WATCHERS] = {0};
    pthread_t threads[MAX_WATCHERS];
    long n = 0;
    if (!p)
        measure_fail("protocol=: http, pg or sqlite is wanted");
    struct connection *c = connect_to(p, &target);
    for (const char *at = ports; *at && n < MAX_WATCHERS; n++) {
        char *end = NULL;
        watchers[n] = (struct watcher){.protocol = p, .look = &look, .target = target};
        watchers[n].target.port = (uint16_t)strtol(at, &end, 10);
        watchers[n].marker = measure_text(argc, argv, "look", "row-");
        watchers[n].ns = measure_alloc((size_t)count, sizeof *watchers[n].ns);
        at = *end == ',' ? end + 1 : end;
        if (at == end && *end)
            measure_fail("watch=%s: port numbers with commas between are wanted", ports);
    }
    if (n == 0)
        measure_fail("watch= is empty");
    pthread_barrier_init(&committed, NULL, (unsigned)n + 1);
    pthread_barrier_init(&seen, NULL, (unsigned)n + 1);
    for (long i = 0; i < n; i++)
        if (pthread_create(&threads[i], NULL, watch, &watchers[i]) != 0)
            measure_fail("no more threads");
    long done = 0;
    int64_t end_ns = measure_now_ns() + seconds * 1000000000;
    for (; done < count && (done == 0 || measure_now_ns() < end_ns); done++) {
        poll(NULL, 0, interval_ms);
        commit(p, c, &write, first + done);
        pthread_barrier_wait(&committed);
        pthread_barrier_wait(&seen);
    }
    atomic_store(&number, ENDED);
    pthread_barrier_wait(&committed);
    printf("{\"count\":%ld,\"nodes\":[", done);
    for (long i = 0; i < n; i++) {
        pthread_join(threads[i], NULL);
        printf("%s{", i > 0 ? "," : "");
        measure_print(watchers[i].ns, (size_t)done);
        printf("}");
        free(watchers[i].ns);
    }
    puts("]}");
    p->close(c);
    return 0;
}
