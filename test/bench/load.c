/*
 * The load client: threads with blocking connections, one transaction under way on each.
 *
 *   load port=8080 connections=64 requests=100000 seconds=10 warmup=20 path=/query body='{"sql":…}'
 *   load protocol=pg port=5432 database=d user=u password=p sql='INSERT … VALUES ($1)' body='%i'
 *
 * Ends after `requests` in all or after `seconds`, whichever is first. Templates are those of
 * client/client.h; numbers begin with first=, random ones are below keys=, %s has bytes=
 * random characters. Over HTTP without a body it sends GET. `warmup` requests of each connection
 * come before the clock starts. batch= statements make a transaction. share=N: N of 100 requests
 * are those of path2=, body2= and sql2=. With several ports (8080,8081) connections take turns.
 * rate=N: N requests a second in all, each timed from when it should have begun. timeline=1 tells
 * when they ended.
 *
 * An answer that is no success, or holds the text refuse=, counts as an error; the first one is
 * shown on standard error. A lost connection ends the run, unless reconnect=1: then it is an error,
 * too, and the thread connects to the next port, again and again.
 *
 * Prints {"requests", "errors", "seconds", "rate", "answer_bytes", "by_port": [successes],
 * "p50_us", "p99_us", "p999_us", "max_us"}, for successes; with timeline "ends_ms": successes in
 * each 10 ms.
 */
#include <poll.h>
#include <pthread.h>

#include "client/client.h"
#include "support/measure.h"

#define MAX_CONNECTIONS 4096
#define MAX_REQUESTS    20000000L
#define MAX_PORTS       16
#define MAX_FILL        (64L << 20)
#define STACK_BYTES     (256 << 10)
#define RECONNECT_MS    5
#define TIMELINE_MS     10

struct options {
    const struct protocol *protocol;
    struct target targets[MAX_PORTS];
    long ports, connections, requests, seconds, warmup, keys, share, rate;
    bool reconnect, timeline;
    struct work work, second;
    size_t bytes; /* of %s */
    char *pool;
};

struct client {
    /* immutable after start */
    const struct options *opt;
    long quota; /* requests at most */
    long place;
    /* its own thread's */
    struct connection *connection;
    long port;
    struct numbers numbers;
    long done, errors;
    long by_port[MAX_PORTS];
    size_t answer_bytes; /* of the last one */
    uint32_t *ns;        /* quota of them */
    uint32_t *ends_ms;   /* quota of them, or NULL */
};

static pthread_barrier_t barrier;
static int64_t start_ns, deadline_ns; /* set between the two barriers */
static atomic_long next_number;
static atomic_bool shown;

static void show(const char *answer)
{
    if (!atomic_exchange(&shown, true))
        fprintf(stderr, "an answer that was no success:\n%.2000s\n", answer);
}

/* Connects, to the next port each time that it fails. False: the time is over. */
static bool dial(struct client *c, bool again)
{
    const struct options *o = c->opt;
    struct text why = {0};
    while (!c->connection) {
        c->connection = o->protocol->open(&o->targets[c->port], &why);
        if (c->connection)
            break;
        if (!again)
            measure_fail("connecting to port %u: %s", o->targets[c->port].port, why.bytes);
        if (measure_now_ns() >= deadline_ns)
            break;
        why.len = 0;
        c->port = (c->port + 1) % o->ports;
        poll(NULL, 0, RECONNECT_MS);
    }
    text_free(&why);
    return c->connection != NULL;
}

/* One request. True when it succeeded. */
static bool request(struct client *c)
{
    const struct options *o = c->opt;
    const struct work *w = &o->work;
    struct answer a;
    if (o->share > 0 && (c->done + c->errors + c->place) % 100 < o->share)
        w = &o->second;
    bool ok = o->protocol->run(c->connection, w, &c->numbers, &a);
    c->answer_bytes = a.bytes;
    if (!ok)
        show(a.lost && !a.text[0] ? "the connection was lost" : a.text);
    if (!ok && a.lost && !o->reconnect)
        measure_fail("a connection was lost");
    if (a.lost) {
        o->protocol->close(c->connection);
        c->connection = NULL;
    }
    if (!ok && o->reconnect)
        poll(NULL, 0, RECONNECT_MS);
    return ok;
}

/* With a rate: when request number `i` of this client should begin; waits for it. */
static int64_t wait_turn(const struct client *c, long i)
{
    const struct options *o = c->opt;
    if (o->rate == 0)
        return measure_now_ns();
    int64_t gap = 1000000000 / o->rate;
    int64_t at = start_ns + gap * (i * o->connections + c->place);
    struct timespec until = {.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
    return at;
}

static void *client_main(void *arg)
{
    struct client *c = arg;
    dial(c, false);
    for (long i = 0; i < c->opt->warmup && dial(c, false); i++)
        request(c);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    while (c->done + c->errors < c->quota) {
        int64_t start = wait_turn(c, c->done + c->errors);
        if (start >= deadline_ns || !dial(c, true))
            break;
        long port = c->port;
        if (!request(c)) {
            c->errors++;
            continue;
        }
        if (c->ends_ms)
            c->ends_ms[c->done] = (uint32_t)((measure_now_ns() - start_ns) / 1000000);
        c->ns[c->done++] = measure_since(start);
        c->by_port[port]++;
    }
    return NULL;
}

static void print_timeline(const struct client *clients, long n, int64_t elapsed_ns)
{
    size_t count = (size_t)(elapsed_ns / 1000000 / TIMELINE_MS) + 1;
    long *ended = measure_alloc(count, sizeof *ended);
    for (long i = 0; i < n; i++)
        for (long k = 0; k < clients[i].done; k++) {
            size_t at = clients[i].ends_ms[k] / TIMELINE_MS;
            ended[at < count ? at : count - 1]++;
        }
    printf("\"ends_ms\":%d,\"ends\":[", TIMELINE_MS);
    for (size_t i = 0; i < count; i++)
        printf("%s%ld", i > 0 ? "," : "", ended[i]);
    printf("],");
    free(ended);
}

static void report(const struct options *o, const struct client *clients, int64_t elapsed_ns)
{
    size_t total = 0, at = 0;
    long errors = 0, n = o->connections;
    for (long i = 0; i < n; i++) {
        total += (size_t)clients[i].done;
        errors += clients[i].errors;
    }
    uint32_t *all = measure_alloc(total, sizeof *all);
    for (long i = 0; i < n; i++) {
        memcpy(all + at, clients[i].ns, (size_t)clients[i].done * sizeof *all);
        at += (size_t)clients[i].done;
    }
    double seconds = (double)elapsed_ns / 1e9;
    printf("{\"requests\":%zu,\"errors\":%ld,\"seconds\":%.4f,\"rate\":%.1f,\"answer_bytes\":%zu,",
           total, errors, seconds, (double)total / seconds, clients[0].answer_bytes);
    printf("\"by_port\":[");
    for (long p = 0; p < o->ports; p++) {
        long sum = 0;
        for (long i = 0; i < n; i++)
            sum += clients[i].by_port[p];
        printf("%s%ld", p > 0 ? "," : "", sum);
    }
    printf("],");
    if (o->timeline)
        print_timeline(clients, n, elapsed_ns);
    measure_print(all, total);
    puts("}");
    free(all);
}

static void read_ports(struct options *o, const char *text, struct target model)
{
    for (const char *p = text; *p; p += *p == ',') {
        char *end = NULL;
        long port = strtol(p, &end, 10);
        if (end == p || port < 0 || port > 65535 || (*end && *end != ',') || o->ports == MAX_PORTS)
            measure_fail("port=%s: port numbers with commas between are wanted", text);
        model.port = (uint16_t)port;
        o->targets[o->ports++] = model;
        p = end;
    }
    if (o->ports == 0)
        measure_fail("port= is empty");
}

static struct work read_work(int argc, char **argv, const char *path, const char *body,
                             const char *sql)
{
    return (struct work){
        .method = measure_text(argc, argv, "method", NULL),
        .path = measure_text(argc, argv, path, "/query"),
        .body = measure_text(argc, argv, body, NULL),
        .sql = measure_text(argc, argv, sql, ""),
        .refusal = measure_text(argc, argv, "refuse", NULL),
        .batch = measure_number(argc, argv, "batch", 1, 1, 100000),
    };
}

static struct options read_options(int argc, char **argv)
{
    static const char *const names[] = {
        "protocol", "port",   "database", "user",      "password", "connections", "requests",
        "seconds",  "warmup", "keys",     "first",     "bytes",    "method",      "path",
        "body",     "sql",    "path2",    "body2",     "sql2",     "share",       "batch",
        "refuse",   "rate",   "timeline", "reconnect", NULL};
    measure_check(argc, argv, names);
    struct options o = {
        .protocol = protocol_find(measure_text(argc, argv, "protocol", "http")),
        .connections = measure_number(argc, argv, "connections", 1, 1, MAX_CONNECTIONS),
        .requests = measure_number(argc, argv, "requests", 1000, 1, MAX_REQUESTS),
        .seconds = measure_number(argc, argv, "seconds", 30, 1, 3600),
        .warmup = measure_number(argc, argv, "warmup", 0, 0, 100000),
        .keys = measure_number(argc, argv, "keys", 1, 1, LONG_MAX),
        .share = measure_number(argc, argv, "share", 0, 0, 100),
        .rate = measure_number(argc, argv, "rate", 0, 0, 1000000),
        .reconnect = measure_number(argc, argv, "reconnect", 0, 0, 1) == 1,
        .timeline = measure_number(argc, argv, "timeline", 0, 0, 1) == 1,
        .work = read_work(argc, argv, "path", "body", "sql"),
        .second = read_work(argc, argv, "path2", "body2", "sql2"),
        .bytes = (size_t)measure_number(argc, argv, "bytes", 10, 0, MAX_FILL),
    };
    if (!o.protocol)
        measure_fail("protocol=: http, mysql, pg or sqlite is wanted");
    o.pool = text_pool(o.bytes);
    read_ports(&o, measure_text(argc, argv, "port", "8080"),
               (struct target){.database = measure_text(argc, argv, "database", ""),
                               .user = measure_text(argc, argv, "user", ""),
                               .password = measure_text(argc, argv, "password", "")});
    atomic_store(&next_number, measure_number(argc, argv, "first", 1, 0, LONG_MAX / 2));
    return o;
}

static void start(const struct options *o, struct client *clients, pthread_t *threads)
{
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK_BYTES);
    long quota = (o->requests + o->connections - 1) / o->connections;
    for (long i = 0; i < o->connections; i++) {
        struct client *c = &clients[i];
        c->opt = o;
        c->quota = quota;
        c->place = i;
        c->port = i % o->ports;
        c->numbers = (struct numbers){.next = &next_number,
                                      .seed = 0x9E3779B97F4A7C15u * (uint64_t)(i + 1),
                                      .keys = o->keys,
                                      .pool = o->pool,
                                      .bytes = o->bytes};
        c->ns = measure_alloc((size_t)quota, sizeof *c->ns);
        c->ends_ms = o->timeline ? measure_alloc((size_t)quota, sizeof *c->ends_ms) : NULL;
        if (pthread_create(&threads[i], &small, client_main, c) != 0)
            measure_fail("no more threads");
    }
    pthread_attr_destroy(&small);
}

int main(int argc, char **argv)
{
    struct options o = read_options(argc, argv);
    struct client *clients = measure_alloc((size_t)o.connections, sizeof *clients);
    pthread_t *threads = measure_alloc((size_t)o.connections, sizeof *threads);
    deadline_ns = INT64_MAX;
    pthread_barrier_init(&barrier, NULL, (unsigned)o.connections + 1);
    start(&o, clients, threads);
    pthread_barrier_wait(&barrier);
    start_ns = measure_now_ns();
    deadline_ns = start_ns + (int64_t)o.seconds * 1000000000;
    pthread_barrier_wait(&barrier);
    for (long i = 0; i < o.connections; i++)
        pthread_join(threads[i], NULL);
    report(&o, clients, measure_now_ns() - start_ns);
    for (long i = 0; i < o.connections; i++) {
        o.protocol->close(clients[i].connection);
        free(clients[i].ns);
        free(clients[i].ends_ms);
    }
    free(o.pool);
    free(threads);
    free(clients);
    pthread_barrier_destroy(&barrier);
    return 0;
}
