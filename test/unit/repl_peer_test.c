/* Questions between nodes, and copies of databases that travel that way, over a real nats-server.
 */
#include "repl/peer.h"

#include "sql/image.h"

#include "support/nats_fixture.h"
#include "support/repl_fixture.h"

#define BIG (5 * 1000 * 1000 + 17)

static char byte_at(uint64_t i)
{
    return (char)((i * 2654435761u) >> 13);
}

/* ---- a service of the test's ---- */

struct desk {
    atomic_bool open_gate; /* `wait` answers when it is set */
    atomic_uint waiting, gone;
};

static enum err_code echo(void *arg, struct rpc_call *call, struct err *e)
{
    size_t len;
    const char *body = rpc_call_body(call, &len);

    (void)arg;
    (void)e;
    buf_put(rpc_call_answer(call), body, len);
    return ERR_OK;
}

static enum err_code refuse(void *arg, struct rpc_call *call, struct err *e)
{
    (void)arg;
    (void)call;
    return err_set(e, ERR_UNIQUE, "there is one \"ä\" already");
}

static enum err_code big(void *arg, struct rpc_call *call, struct err *e)
{
    struct desk *desk = arg;
    char piece[7777];

    rpc_call_size(call, BIG);
    for (uint64_t at = 0; at < BIG;) {
        size_t n = BIG - at < sizeof piece ? (size_t)(BIG - at) : sizeof piece;

        for (size_t i = 0; i < n; i++)
            piece[i] = byte_at(at + i);
        if (!rpc_call_write(call, piece, n)) {
            atomic_fetch_add(&desk->gone, 1);
            return err_set(e, ERR_INTERRUPTED, "nobody reads");
        }
        at += n;
    }
    buf_puts(rpc_call_answer(call), "all of it");
    return ERR_OK;
}

static enum err_code wait_for_gate(void *arg, struct rpc_call *call, struct err *e)
{
    struct desk *desk = arg;

    (void)e;
    atomic_fetch_add(&desk->waiting, 1);
    while (!atomic_load(&desk->open_gate) && !atomic_load(rpc_call_cancel(call)))
        (void)poll(NULL, 0, 3);
    return ERR_OK;
}

#define WAIT_AT_ONCE 4u

static const struct rpc_method methods[] = {
    {"echo", 0, echo},
    {"refuse", 0, refuse},
    {"big", 4, big},
    {"wait", WAIT_AT_ONCE, wait_for_gate},
};

static struct nats_client *serve(struct desk *desk, struct rpc_service **s)
{
    struct nats_client *c = nats_connect(&server, NULL, NULL);
    struct err e = ERR_INIT;

    if (rpc_service_open(s, c, "T_RPC", methods, 4, desk, &e) != ERR_OK)
        fail_msg("%s", e.msg);
    return c;
}

/* ---- small texts ---- */

struct heard {
    unsigned n, errors;
    char nodes[8][ID_SIZE];
    enum err_code code;
    char text[64];
};

static bool hear(void *arg, const struct rpc_answer *a)
{
    struct heard *h = arg;

    memcpy(h->nodes[h->n % 8], a->node, ID_SIZE);
    h->n++;
    h->code = a->err.code;
    (void)snprintf(h->text, sizeof h->text, "%.*s", a->err.code ? 63 : (int)a->len,
                   a->err.code ? a->err.msg : a->data);
    return true;
}

static void ask(struct nats_client *c, const char *method, const char *target, struct heard *h)
{
    struct rpc_question q = {
        .prefix = "T_RPC", .method = method, .target = target, .body = "hello", .len = 5};
    struct err e = ERR_INIT;
    int64_t window = target ? PATIENCE_NS : CLOCK_S;

    *h = (struct heard){0};
    if (rpc_ask(c, &q, clock_deadline(window), hear, h, &e) != ERR_OK)
        fail_msg("%s", e.msg);
}

static void everyone_answers(void **state)
{
    struct desk desk = {0};
    struct rpc_service *s[3];
    struct nats_client *node[3], *c = nats_connect(&server, NULL, NULL);
    struct heard h;

    (void)state;
    ask(c, "echo", NULL, &h);
    assert_int_equal(h.n, 0);
    for (int i = 0; i < 3; i++)
        node[i] = serve(&desk, &s[i]);
    ask(c, "echo", NULL, &h);
    assert_int_equal(h.n, 3);
    assert_string_equal(h.text, "hello");
    for (int i = 0; i < 3; i++) {
        bool known = false;
        for (int k = 0; k < 3; k++)
            known = known || strcmp(h.nodes[k], rpc_self(node[i])) == 0;
        assert_true(known);
    }
    ask(c, "echo", rpc_self(node[1]), &h);
    assert_int_equal(h.n, 1);
    assert_string_equal(h.nodes[0], rpc_self(node[1]));
    ask(c, "refuse", rpc_self(node[2]), &h);
    assert_int_equal(h.code, ERR_UNIQUE);
    assert_string_equal(h.text, "there is one \"ä\" already");
    for (int i = 0; i < 3; i++) {
        rpc_service_close(s[i]);
        nats_client_close(node[i]);
    }
    nats_client_close(c);
}

/* ---- streams ---- */

struct sink {
    uint64_t n, size;
    uint64_t stop_at; /* 0 = never */
    bool wrong;
};

static void sink_size(void *arg, uint64_t bytes)
{
    ((struct sink *)arg)->size = bytes;
}

static bool sink_write(void *arg, const void *bytes, size_t len)
{
    struct sink *k = arg;
    const char *p = bytes;

    for (size_t i = 0; i < len; i++)
        k->wrong = k->wrong || p[i] != byte_at(k->n + i);
    k->n += len;
    return k->stop_at == 0 || k->n < k->stop_at;
}

static enum err_code fetch(struct nats_client *c, const char *method, const char *target,
                           struct sink *k, struct buf *answer, struct err *e)
{
    struct rpc_question q = {
        .prefix = "T_RPC", .method = method, .target = target, .body = "x", .len = 1};
    struct rpc_reader r = {.size = sink_size, .write = sink_write, .arg = k};

    err_clear(e);
    return rpc_fetch(c, &q, &r, answer, e);
}

static void a_stream_arrives_whole(void **state)
{
    struct desk desk = {0};
    struct rpc_service *s;
    struct nats_client *node = serve(&desk, &s), *c = nats_connect(&server, NULL, NULL);
    struct sink k = {0};
    struct buf answer = BUF_INIT;
    struct err e = ERR_INIT;

    (void)state;
    if (fetch(c, "big", rpc_self(node), &k, &answer, &e) != ERR_OK)
        fail_msg("%s", e.msg);
    assert_true(k.n == BIG && k.size == BIG && !k.wrong);
    assert_string_equal(buf_cstr(&answer), "all of it");
    buf_free(&answer);
    assert_int_equal(fetch(c, "big", "nobody", &k, NULL, &e), ERR_LOG_UNAVAILABLE);
    assert_int_equal(fetch(c, "refuse", rpc_self(node), &k, NULL, &e), ERR_UNIQUE);
    rpc_service_close(s);
    nats_client_close(node);
    nats_client_close(c);
}

static void a_reader_that_leaves_ends_the_stream(void **state)
{
    struct desk desk = {0};
    struct rpc_service *s;
    struct nats_client *node = serve(&desk, &s), *c = nats_connect(&server, NULL, NULL);
    struct sink k = {.stop_at = 300000};
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(fetch(c, "big", rpc_self(node), &k, NULL, &e), ERR_INTERRUPTED);
    WAIT_FOR(atomic_load(&desk.gone) == 1);
    rpc_service_close(s);
    nats_client_close(node);
    nats_client_close(c);
}

struct asker {
    pthread_t thread;
    struct nats_client *client;
    const char *target;
    enum err_code code;
};

static void *ask_to_wait(void *arg)
{
    struct asker *a = arg;
    struct sink k = {0};
    struct err e = ERR_INIT;

    a->code = fetch(a->client, "wait", a->target, &k, NULL, &e);
    return NULL;
}

static void too_many_calls_are_refused(void **state)
{
    struct desk desk = {0};
    struct rpc_service *s;
    struct nats_client *node = serve(&desk, &s), *c = nats_connect(&server, NULL, NULL);
    struct asker a[WAIT_AT_ONCE];
    struct sink k = {0};
    struct err e = ERR_INIT;

    (void)state;
    for (unsigned i = 0; i < WAIT_AT_ONCE; i++) {
        a[i] = (struct asker){.client = c, .target = rpc_self(node)};
        assert_int_equal(pthread_create(&a[i].thread, NULL, ask_to_wait, &a[i]), 0);
    }
    WAIT_FOR(atomic_load(&desk.waiting) == WAIT_AT_ONCE);
    assert_int_equal(fetch(c, "wait", rpc_self(node), &k, NULL, &e), ERR_BUSY);
    atomic_store(&desk.open_gate, true);
    for (unsigned i = 0; i < WAIT_AT_ONCE; i++) {
        pthread_join(a[i].thread, NULL);
        assert_int_equal(a[i].code, ERR_OK);
    }
    rpc_service_close(s);
    nats_client_close(node);
    nats_client_close(c);
}

/* ---- copies of a database ---- */

static enum err_code serve_position(void *arg, struct rpc_call *call, struct err *e)
{
    struct peer *p = arg;

    return peer_serve_position(call, atomic_load(&p->replica), p->name, e);
}

static enum err_code serve_copy(void *arg, struct rpc_call *call, struct err *e)
{
    struct peer *p = arg;

    return peer_serve_copy(call, atomic_load(&p->replica), p->name, p->path, p->dir, e);
}

static const struct rpc_method copying[] = {
    {PEER_POSITION, 0, serve_position},
    {PEER_COPY, 4, serve_copy},
};

static void a_copy_comes_from_the_furthest(void **state)
{
    struct peer p = {.mode = REPLICA_SERIALIZABLE}, q = {.mode = REPLICA_SERIALIZABLE};
    struct rpc_service *s, *t;
    struct nats_client *c;
    struct position pos;
    struct image img;
    struct err e = ERR_INIT;
    char prefix[PEER_PREFIX_SIZE], path[128];
    const struct peer_wanted w = {.stream = "furthest", .id = "t.db", .path = path};

    (void)state;
    peer_prefix("furthest", prefix);
    peer_make(&p, "p");
    peer_make(&q, "q");
    peer_open(&p, &server, "furthest");
    WAIT_FOR(peer_follows(&p));
    c = nats_connect(&server, NULL, NULL);
    (void)snprintf(path, sizeof path, "%s/copy.db", p.dir);
    assert_int_equal(peer_copy(c, &w, &pos, &e), ERR_NOT_FOUND);
    assert_int_equal(rpc_service_open(&s, p.client, prefix, copying, 2, &p, &e), ERR_OK);

    /* Its own answer does not count. */
    assert_int_equal(peer_copy(p.client, &w, &pos, &e), ERR_NOT_FOUND);

    peer_write(&p, "CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
    peer_write(&p, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)"
                   " INSERT INTO t SELECT i, hex(randomblob(200)) FROM n");
    peer_open(&q, &server, "furthest");
    WAIT_FOR(peer_status(&q).seq == 2);
    assert_int_equal(rpc_service_open(&t, q.client, prefix, copying, 2, &q, &e), ERR_OK);
    if (peer_copy(c, &w, &pos, &e) != ERR_OK)
        fail_msg("%s", e.msg);
    assert_true(pos.seq == 2);
    assert_int_equal(image_check(path, NULL, NULL, &img, &e), ERR_OK);
    assert_true(img.pos.seq == 2 && img.bytes > 500000);
    assert_string_equal(img.pos.stream, pos.stream);

    /* Never over a file that is there. */
    assert_int_not_equal(peer_copy(c, &w, &pos, &e), ERR_OK);
    rpc_service_close(s);
    rpc_service_close(t);
    nats_client_close(c);
    peer_remove(&q);
    peer_remove(&p);
}

/* A node that is further than all others, and whose copies are worth nothing. */
static enum err_code boast(void *arg, struct rpc_call *call, struct err *e)
{
    (void)arg;
    (void)e;
    buf_puts(rpc_call_answer(call), "1000 1 boaster");
    return ERR_OK;
}

static enum err_code disappoint(void *arg, struct rpc_call *call, struct err *e)
{
    const enum err_code *how = arg;

    if (*how == ERR_OK) /* bytes that are no database */
        return rpc_call_write(call, "nonsense", 8) ? ERR_OK : err_set(e, ERR_IO, "nobody reads");
    return err_set(e, *how, "a failure of the other node");
}

static enum err_code refuse_once(void *arg, const struct position *pos, struct err *e)
{
    bool *refused = arg;

    assert_true(pos->seq > 0);
    if (*refused)
        return ERR_OK;
    *refused = true;
    return err_set(e, ERR_NOT_FOUND, "not this one");
}

static enum err_code break_off(void *arg, const struct position *pos, struct err *e)
{
    (void)pos;
    ++*(unsigned *)arg;
    return err_set(e, ERR_LOG_UNAVAILABLE, "the log does not answer");
}

static void after_a_failure_the_next_one_is_asked(void **state)
{
    static const enum err_code ways[] = {ERR_OK,          ERR_DISK_FULL, ERR_IO,  ERR_CONFIG,
                                         ERR_INTERRUPTED, ERR_NO_MEMORY, ERR_BUSY};
    static const struct rpc_method boasting[] = {
        {PEER_POSITION, 0, boast},
        {PEER_COPY, 4, disappoint},
    };
    struct peer p = {.mode = REPLICA_SERIALIZABLE};
    struct rpc_service *s, *t;
    struct nats_client *c, *d;
    struct position pos;
    struct err e = ERR_INIT;
    char prefix[PEER_PREFIX_SIZE], path[128];
    enum err_code how = ERR_OK;
    bool refused = false;
    unsigned asked = 0;
    struct peer_wanted w = {.stream = "next", .id = "t.db", .path = path};

    (void)state;
    peer_prefix("next", prefix);
    peer_make(&p, "p");
    peer_open(&p, &server, "next");
    WAIT_FOR(peer_follows(&p));
    peer_write(&p, "CREATE TABLE t (a)");
    c = nats_connect(&server, NULL, NULL);
    d = nats_connect(&server, NULL, NULL);
    (void)snprintf(path, sizeof path, "%s/copy.db", p.dir);
    assert_int_equal(rpc_service_open(&s, p.client, prefix, copying, 2, &p, &e), ERR_OK);
    assert_int_equal(rpc_service_open(&t, d, prefix, boasting, 2, &how, &e), ERR_OK);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        how = ways[i];
        if (peer_copy(c, &w, &pos, &e) != ERR_OK)
            fail_msg("%s", e.msg);
        assert_true(pos.seq == 1);
        image_remove(path);
    }
    /* One that does not fit; in the next round it does. */
    w.fits = refuse_once;
    w.arg = &refused;
    assert_int_equal(peer_copy(c, &w, &pos, &e), ERR_OK);
    assert_true(refused);
    image_remove(path);
    /* What would fail with every copy is not tried with every node. */
    w.fits = break_off;
    w.arg = &asked;
    assert_int_equal(peer_copy(c, &w, &pos, &e), ERR_LOG_UNAVAILABLE);
    assert_int_equal(asked, 1);
    assert_int_equal(access(path, F_OK), -1);
    /* Who is not far enough is not asked. */
    err_clear(&e);
    w.fits = NULL;
    w.least = 1001;
    assert_int_equal(peer_copy(c, &w, &pos, &e), ERR_NOT_FOUND);
    w.least = 2;
    assert_int_equal(peer_copy(c, &w, &pos, &e), ERR_BUSY);
    rpc_service_close(s);
    rpc_service_close(t);
    nats_client_close(c);
    nats_client_close(d);
    peer_remove(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everyone_answers),
        cmocka_unit_test(a_stream_arrives_whole),
        cmocka_unit_test(a_reader_that_leaves_ends_the_stream),
        cmocka_unit_test(too_many_calls_are_refused),
        cmocka_unit_test(a_copy_comes_from_the_furthest),
        cmocka_unit_test(after_a_failure_the_next_one_is_asked),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
