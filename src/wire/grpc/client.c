#include "wire/grpc/client.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/stack.h"
#include "os/dial.h"
#include "proto/grpcframe.h"
#include "wire/channel.h"

#define ADDRESS_SIZE  300
#define TOKEN_SIZE    4200
#define IN_BYTES      ((size_t)64 << 10) /* at most, with one recv() */
#define OUT_BYTES     ((size_t)64 << 10) /* taken from nghttp2 before they are sent */
#define STREAM_WINDOW (1 << 20)          /* bytes that may come before they were read */
#define CONN_WINDOW   (16 << 20)
#define STATUS_SIZE   16
#define NAME_SIZE     64

struct grpc_talk {
    struct grpc_client *client; /* owned reference, until it is closed */
    int32_t stream;
    char path[NAME_SIZE * 2];
    pthread_cond_t changed;
    /* guarded by client->mu */
    struct grpc_talk *next, *prev;
    struct buf out;
    size_t out_at;
    struct buf in;
    size_t in_at;
    bool sent;    /* its headers are on their way: the server may begin with it */
    bool out_end; /* no more messages of ours */
    bool over;    /* its stream is closed */
    bool refused; /* … before the server had begun */
    bool too_big; /* … because of a message that is */
    bool ended;   /* its trailers have come */
    bool orphan;  /* nobody has it any more: freed when its stream is closed */
    char status[STATUS_SIZE], http[STATUS_SIZE];
    char error[NAME_SIZE]; /* ha-error: the name */
    char message[ERR_MSG_SIZE];
};

struct grpc_client {
    /* immutable */
    char address[ADDRESS_SIZE], host[ADDRESS_SIZE], port[16];
    char authorization[TOKEN_SIZE]; /* "" = none */
    size_t max_bytes;
    SSL_CTX *tls; /* borrowed; NULL = none */
    int wake;     /* an eventfd */
    pthread_t thread;
    nghttp2_session_callbacks *callbacks;
    /* atomic */
    atomic_uint refs;
    atomic_bool unwanted; /* nobody has a reference any more */

    pthread_mutex_t mu;
    pthread_cond_t changed; /* greeted, dead */
    /* guarded by mu */
    int fd; /* -1 = not connected yet */
    nghttp2_session *session;
    struct buf scratch; /* what nghttp2 wants to send, from `sent` on */
    size_t sent;
    struct channel channel; /* made by the client's thread before `connected` */
    bool connected, blocked, greeted, dead, told; /* told: the server takes no more talks */
    struct err why;                               /* it is dead */
    struct grpc_talk *first;
    unsigned n_talks;
    char node[GRPC_CLIENT_NAME_SIZE];
    int64_t heard_ns; /* when the last byte came, or the first talk after a pause began */
    int64_t asked_ns; /* when a ping went out that nothing has answered; 0 = none */
};

/* ---- talks ---- */

static void unlink_locked(struct grpc_talk *t)
{
    struct grpc_client *c = t->client;
    if (t->prev)
        t->prev->next = t->next;
    else
        c->first = t->next;
    if (t->next)
        t->next->prev = t->prev;
    c->n_talks--;
}

static void free_locked(struct grpc_talk *t)
{
    unlink_locked(t);
    buf_free(&t->out);
    buf_free(&t->in);
    pthread_cond_destroy(&t->changed);
    free(t);
}

static void over_locked(struct grpc_talk *t, bool refused)
{
    t->over = true;
    t->refused = refused;
    if (t->orphan)
        free_locked(t);
    else
        pthread_cond_broadcast(&t->changed);
}

/* ---- nghttp2's callbacks: the mutex is held ---- */

static void keep(char *out, size_t size, const uint8_t *value, size_t len)
{
    snprintf(out, size, "%.*s", (int)(len < size ? len : size - 1), (const char *)value);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *f, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *arg)
{
    struct grpc_client *c = arg;
    struct grpc_talk *t = nghttp2_session_get_stream_user_data(session, f->hd.stream_id);
    (void)flags;
    if (!t)
        return 0;
    const struct {
        const char *name;
        char *to;
        size_t size;
    } known[] = {
        {":status", t->http, sizeof t->http},
        {"grpc-status", t->status, sizeof t->status},
        {"grpc-message", t->message, sizeof t->message},
        {"ha-error", t->error, sizeof t->error},
        {"ha-node", c->node, sizeof c->node},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i].name) == name_len && memcmp(known[i].name, name, name_len) == 0)
            keep(known[i].to, known[i].size, value, value_len);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes,
                   size_t n, void *arg)
{
    struct grpc_client *c = arg;
    struct grpc_talk *t = nghttp2_session_get_stream_user_data(session, stream);
    (void)flags;
    if (!t || t->orphan || t->too_big)
        return 0;
    buf_put(&t->in, bytes, n);
    if (!buf_ok(&t->in) || t->in.len - t->in_at > c->max_bytes + GRPCFRAME_HEAD) {
        t->too_big = true;
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
    }
    pthread_cond_broadcast(&t->changed);
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *f, void *arg)
{
    struct grpc_client *c = arg;
    if (f->hd.type == NGHTTP2_SETTINGS && !c->greeted) {
        c->greeted = true;
        pthread_cond_broadcast(&c->changed);
    }
    if (f->hd.type == NGHTTP2_GOAWAY)
        c->told = true;
    if (f->hd.type != NGHTTP2_HEADERS || !(f->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    struct grpc_talk *t = nghttp2_session_get_stream_user_data(session, f->hd.stream_id);
    if (t) {
        t->ended = true;
        pthread_cond_broadcast(&t->changed);
    }
    return 0;
}

static int on_sent(nghttp2_session *session, const nghttp2_frame *f, void *arg)
{
    (void)arg;
    if (f->hd.type != NGHTTP2_HEADERS)
        return 0;
    struct grpc_talk *t = nghttp2_session_get_stream_user_data(session, f->hd.stream_id);
    if (t)
        t->sent = true;
    return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t error, void *arg)
{
    struct grpc_talk *t = nghttp2_session_get_stream_user_data(session, stream);
    (void)arg;
    if (!t)
        return 0;
    (void)nghttp2_session_set_stream_user_data(session, stream, NULL);
    over_locked(t, !t->sent || error == NGHTTP2_REFUSED_STREAM);
    return 0;
}

static ssize_t give(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room,
                    uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct grpc_talk *t = source->ptr;
    size_t n = t->out.len - t->out_at;
    (void)session;
    (void)stream;
    (void)arg;
    n = n < room ? n : room;
    if (n > 0)
        memcpy(to, t->out.data + t->out_at, n);
    t->out_at += n;
    if (t->out_at == t->out.len) {
        buf_free(&t->out);
        t->out_at = 0;
        if (t->out_end)
            *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return n > 0 || t->out_end ? (ssize_t)n : NGHTTP2_ERR_DEFERRED;
}

static enum err_code set_callbacks(struct grpc_client *c, struct err *e)
{
    if (nghttp2_session_callbacks_new(&c->callbacks) != 0)
        return err_set(e, ERR_NO_MEMORY, "no memory for a connection to the leader");
    nghttp2_session_callbacks_set_on_header_callback(c->callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c->callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c->callbacks, on_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(c->callbacks, on_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(c->callbacks, on_close);
    return ERR_OK;
}

/* ---- the connection; its thread, but for flush_locked() ---- */

static void die_locked(struct grpc_client *c, const char *why)
{
    if (c->dead)
        return;
    c->dead = true;
    err_set(&c->why, ERR_LOG_UNAVAILABLE, "%s: %s", c->address, why);
    pthread_cond_broadcast(&c->changed);
    (void)eventfd_write(c->wake, 1);
}

static void fill_locked(struct grpc_client *c)
{
    buf_reset(&c->scratch);
    c->sent = 0;
    while (c->scratch.len < OUT_BYTES) {
        const uint8_t *bytes = NULL;
        ssize_t n = nghttp2_session_mem_send(c->session, &bytes);
        if (n < 0)
            die_locked(c, nghttp2_strerror((int)n));
        if (n <= 0)
            break;
        buf_put(&c->scratch, bytes, (size_t)n);
    }
    if (!buf_ok(&c->scratch))
        die_locked(c, "no memory");
}

static void flush_locked(struct grpc_client *c)
{
    bool was_blocked = c->blocked;
    c->blocked = false;
    while (!c->dead && c->connected) {
        if (c->sent == c->scratch.len)
            fill_locked(c);
        if (c->dead || c->sent == c->scratch.len)
            break;
        ssize_t n = channel_send(&c->channel, c->scratch.data + c->sent, c->scratch.len - c->sent);
        if (n > 0) {
            c->sent += (size_t)n;
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            c->blocked = true;
            break;
        } else if (n == 0 || errno != EINTR) {
            die_locked(c, strerror(errno));
        }
    }
    if (c->blocked != was_blocked)
        (void)eventfd_write(c->wake, 1);
}

/* The socket, and TLS on it; others see it when it stands. */
static bool connect_to_server(struct grpc_client *c)
{
    int64_t deadline = clock_deadline(GRPC_CLIENT_GREETING);
    unsigned patience_ms = (unsigned)((GRPC_CLIENT_SILENCE + GRPC_CLIENT_PING_NS) / CLOCK_MS);
    struct err e = ERR_INIT;
    int fd = -1;
    if (dial(&fd, c->host, c->port, patience_ms, &c->unwanted, deadline, &e) == ERR_OK) {
        channel_init(&c->channel, fd);
        if (c->tls)
            (void)channel_connect(&c->channel, c->tls, c->host, deadline, &e);
    }
    pthread_mutex_lock(&c->mu);
    c->fd = fd;
    c->connected = e.code == ERR_OK;
    if (!c->connected)
        die_locked(c, e.msg);
    c->heard_ns = clock_mono_ns();
    flush_locked(c);
    pthread_mutex_unlock(&c->mu);
    return e.code == ERR_OK;
}

static void take_in(struct grpc_client *c, const uint8_t *bytes, size_t n)
{
    pthread_mutex_lock(&c->mu);
    ssize_t taken = nghttp2_session_mem_recv(c->session, bytes, n);
    flush_locked(c);
    if (taken < 0)
        die_locked(c, nghttp2_strerror((int)taken));
    c->heard_ns = clock_mono_ns();
    c->asked_ns = 0;
    pthread_mutex_unlock(&c->mu);
}

/* Others send through the channel. */
static ssize_t receive_some(struct grpc_client *c, uint8_t *bytes, bool *more)
{
    pthread_mutex_lock(&c->mu);
    ssize_t n = channel_recv(&c->channel, bytes, IN_BYTES, false);
    bool over = n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
    if (over)
        die_locked(c, n == 0 ? "the connection was closed" : strerror(errno));
    *more = n > 0 && channel_has_more(&c->channel);
    pthread_mutex_unlock(&c->mu);
    return n;
}

static void receive(struct grpc_client *c, uint8_t *bytes)
{
    for (bool more = true; more;) {
        ssize_t n = receive_some(c, bytes, &more);
        if (n > 0)
            take_in(c, bytes, (size_t)n);
    }
}

/* Looks after it, and says when it is to be looked after again. */
static int64_t tend_locked(struct grpc_client *c)
{
    int64_t now = clock_mono_ns();
    if (!c->greeted) {
        if (now - c->heard_ns > GRPC_CLIENT_GREETING)
            die_locked(c, "it does not answer as a node of ha does");
        return c->heard_ns + GRPC_CLIENT_GREETING;
    }
    if (c->asked_ns != 0) {
        if (now - c->asked_ns > GRPC_CLIENT_PING_NS)
            die_locked(c, "it does not answer any more");
        return c->asked_ns + GRPC_CLIENT_PING_NS;
    }
    if (c->n_talks == 0) /* somebody who comes wakes this thread */
        return CLOCK_EVER;
    if (now - c->heard_ns > GRPC_CLIENT_SILENCE) {
        c->asked_ns = now;
        (void)nghttp2_submit_ping(c->session, NGHTTP2_FLAG_NONE, NULL);
        return now + GRPC_CLIENT_PING_NS;
    }
    return c->heard_ns + GRPC_CLIENT_SILENCE;
}

static bool prepare(struct grpc_client *c, struct pollfd p[2], int *wait_ms)
{
    pthread_mutex_lock(&c->mu);
    int64_t until = tend_locked(c);
    flush_locked(c);
    bool more = !c->dead && !atomic_load(&c->unwanted);
    p[0] = (struct pollfd){.fd = c->fd, .events = POLLIN};
    if (c->blocked)
        p[0].events |= POLLOUT;
    p[1] = (struct pollfd){.fd = c->wake, .events = POLLIN};
    pthread_mutex_unlock(&c->mu);
    int64_t left = until == CLOCK_EVER ? CLOCK_EVER : until - clock_mono_ns();
    *wait_ms = left == CLOCK_EVER ? -1 : left <= 0 ? 1 : (int)(left / CLOCK_MS) + 1;
    return more;
}

static void serve(struct grpc_client *c, uint8_t *bytes)
{
    struct pollfd p[2];
    eventfd_t ignored;
    int wait_ms;
    while (prepare(c, p, &wait_ms)) {
        if (poll(p, 2, wait_ms) < 0 && errno != EINTR)
            break;
        if (p[1].revents)
            (void)eventfd_read(c->wake, &ignored);
        if (p[0].revents & (POLLIN | POLLHUP | POLLERR))
            receive(c, bytes);
    }
}

/* Nothing comes any more: every talk is told. */
static void end(struct grpc_client *c)
{
    pthread_mutex_lock(&c->mu);
    die_locked(c, "the connection was ended");
    for (struct grpc_talk *t = c->first, *next; t; t = next) {
        next = t->next;
        if (t->over)
            continue;
        over_locked(t, !t->sent);
    }
    c->connected = false;
    if (c->fd >= 0) {
        channel_fini(&c->channel);
        close(c->fd);
    }
    c->fd = -1;
    pthread_mutex_unlock(&c->mu);
}

static void *run(void *arg)
{
    struct grpc_client *c = arg;
    uint8_t *bytes = malloc(IN_BYTES);
    if (bytes && connect_to_server(c))
        serve(c, bytes);
    end(c);
    free(bytes);
    return NULL;
}

/* ---- its life ---- */

static void client_free(struct grpc_client *c)
{
    if (c->session)
        nghttp2_session_del(c->session);
    if (c->callbacks)
        nghttp2_session_callbacks_del(c->callbacks);
    buf_free(&c->scratch);
    if (c->wake >= 0)
        close(c->wake);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->mu);
    free(c);
}

static enum err_code set_up(struct grpc_client *c, struct err *e)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
    };
    c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (set_callbacks(c, e) != ERR_OK)
        return e->code;
    if (c->wake < 0 || nghttp2_session_client_new(&c->session, c->callbacks, c) != 0 ||
        nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings,
                                sizeof settings / sizeof *settings) != 0 ||
        nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, CONN_WINDOW) != 0)
        return err_set(e, ERR_NO_MEMORY, "no memory for a connection to the leader");
    int rc = stack_start(&c->thread, run, c);
    return rc == 0 ? ERR_OK : err_set(e, ERR_NO_MEMORY, "cannot start a thread: %s", strerror(rc));
}

enum err_code grpc_client_open(struct grpc_client **out, const char *address, const char *token,
                               SSL_CTX *tls, size_t max_bytes, struct err *e)
{
    *out = NULL;
    struct grpc_client *c = calloc(1, sizeof *c);
    if (!c)
        return err_set(e, ERR_NO_MEMORY, "no memory for a connection to the leader");
    c->fd = c->wake = -1;
    c->max_bytes = max_bytes;
    c->tls = tls;
    snprintf(c->address, sizeof c->address, "%s", address);
    c->heard_ns = clock_mono_ns();
    atomic_store(&c->refs, 1);
    pthread_mutex_init(&c->mu, NULL);
    clock_cond_init(&c->changed);
    enum err_code code = ERR_OK;
    if (!dial_split(address, c->host, sizeof c->host, c->port, sizeof c->port))
        code = err_set(e, ERR_CONFIG, "\"%.200s\" is no address: host:port is wanted", address);
    if (code == ERR_OK && token && *token &&
        (size_t)snprintf(c->authorization, sizeof c->authorization, "Bearer %s", token) >=
            sizeof c->authorization)
        code = err_set(e, ERR_CONFIG, "the token is too long");
    if (code == ERR_OK)
        code = set_up(c, e);
    if (code != ERR_OK) {
        client_free(c);
        return code;
    }
    *out = c;
    return ERR_OK;
}

struct grpc_client *grpc_client_ref(struct grpc_client *c)
{
    atomic_fetch_add(&c->refs, 1);
    return c;
}

void grpc_client_unref(struct grpc_client *c)
{
    if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    atomic_store(&c->unwanted, true);
    (void)eventfd_write(c->wake, 1);
    pthread_join(c->thread, NULL);
    client_free(c);
}

bool grpc_client_is_alive(struct grpc_client *c)
{
    pthread_mutex_lock(&c->mu);
    bool alive = !c->dead && !c->told;
    pthread_mutex_unlock(&c->mu);
    return alive;
}

bool grpc_client_has_room(struct grpc_client *c)
{
    pthread_mutex_lock(&c->mu);
    bool room = c->n_talks < GRPC_CLIENT_TALKS;
    pthread_mutex_unlock(&c->mu);
    return room;
}

void grpc_client_node(struct grpc_client *c, char *out, size_t size)
{
    pthread_mutex_lock(&c->mu);
    snprintf(out, size, "%s", c->node);
    pthread_mutex_unlock(&c->mu);
}

/* ---- for whoever talks ---- */

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)name,
                        .value = (uint8_t *)value,
                        .namelen = strlen(name),
                        .valuelen = strlen(value)};
}

static int submit_locked(struct grpc_talk *t)
{
    struct grpc_client *c = t->client;
    nghttp2_data_provider body = {.source.ptr = t, .read_callback = give};
    nghttp2_nv nv[8];
    size_t n = 0;
    nv[n++] = field(":method", "POST");
    nv[n++] = field(":scheme", c->tls ? "https" : "http");
    nv[n++] = field(":path", t->path);
    nv[n++] = field(":authority", c->address);
    nv[n++] = field("content-type", "application/grpc");
    nv[n++] = field("te", "trailers");
    if (c->authorization[0])
        nv[n++] = field("authorization", c->authorization);
    t->stream = nghttp2_submit_request(c->session, NULL, nv, n, &body, t);
    return t->stream < 0 ? t->stream : 0;
}

enum err_code grpc_talk_open(struct grpc_talk **out, struct grpc_client *c, const char *path,
                             int64_t deadline_ns, struct err *e)
{
    *out = NULL;
    struct grpc_talk *t = calloc(1, sizeof *t);
    if (!t)
        return err_set(e, ERR_NO_MEMORY, "no memory for a call to the leader");
    snprintf(t->path, sizeof t->path, "%s", path);
    clock_cond_init(&t->changed);
    enum err_code code = ERR_OK;
    pthread_mutex_lock(&c->mu);
    t->client = c;
    while (!c->greeted && !c->dead && code == ERR_OK)
        if (!clock_cond_wait(&c->changed, &c->mu, deadline_ns))
            code = err_set(e, ERR_LOG_UNAVAILABLE, "%s: no connection yet", c->address);
    if (code == ERR_OK && c->dead) {
        *e = c->why;
        code = e->code;
    }
    if (code == ERR_OK && (c->told || submit_locked(t) != 0))
        code = err_set(e, ERR_LOG_UNAVAILABLE, "%s: it takes no more calls", c->address);
    if (code == ERR_OK) {
        t->next = c->first;
        if (t->next)
            t->next->prev = t;
        c->first = t;
        if (c->n_talks++ == 0) {
            c->heard_ns = clock_mono_ns();
            (void)eventfd_write(c->wake, 1);
        }
    }
    pthread_mutex_unlock(&c->mu);
    if (code != ERR_OK) {
        pthread_cond_destroy(&t->changed);
        free(t);
        return code;
    }
    (void)grpc_client_ref(c);
    *out = t;
    return ERR_OK;
}

void grpc_talk_send(struct grpc_talk *t, const void *bytes, size_t len)
{
    struct grpc_client *c = t->client;
    unsigned char head[GRPCFRAME_HEAD];
    grpcframe_head(head, (uint32_t)len);
    pthread_mutex_lock(&c->mu);
    if (!t->over && !t->ended) {
        buf_put(&t->out, head, sizeof head);
        buf_put(&t->out, bytes, len);
        if (!buf_ok(&t->out))
            (void)nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, t->stream,
                                            NGHTTP2_CANCEL);
        else
            (void)nghttp2_session_resume_data(c->session, t->stream);
        flush_locked(c);
    }
    pthread_mutex_unlock(&c->mu);
}

/* The server's status as an error. */
static enum grpc_word ended(struct grpc_talk *t, struct err *e)
{
    if (strcmp(t->status, "0") == 0) {
        err_clear(e);
    } else if (!t->status[0]) {
        err_set(e, ERR_PROTOCOL, "%s: HTTP status %s, which is no answer of gRPC",
                t->client->address, t->http);
    } else {
        enum err_code code = err_of_name(t->error, strlen(t->error));
        err_set(e, code == ERR_OK ? ERR_INTERNAL : code, "%s: %s", t->client->address,
                grpcframe_text(t->message));
    }
    return GRPC_WORD_END;
}

static enum grpc_word look_locked(struct grpc_talk *t, const char **bytes, size_t *len,
                                  struct err *e)
{
    struct grpcframe f;
    size_t here = t->in.len - t->in_at;
    enum grpcframe_verdict v = grpcframe_look(t->in.data + t->in_at, here, &f);
    if (v == GRPCFRAME_WHOLE && !f.compressed) {
        *bytes = t->in.data + t->in_at + GRPCFRAME_HEAD;
        *len = f.len;
        t->in_at += GRPCFRAME_HEAD + f.len;
        return GRPC_WORD_MESSAGE;
    }
    if (t->too_big) {
        err_set(e, ERR_TOO_BIG, "%s: an answer is too large", t->client->address);
        return GRPC_WORD_LOST;
    }
    if (t->ended && here == 0)
        return ended(t, e);
    if (t->ended || v == GRPCFRAME_BAD || v == GRPCFRAME_WHOLE) {
        err_set(e, ERR_PROTOCOL, "%s: what it has sent is no message", t->client->address);
        return GRPC_WORD_LOST;
    }
    if (!t->over)
        return GRPC_WORD_NONE;
    if (t->client->dead)
        *e = t->client->why;
    else
        err_set(e, ERR_LOG_UNAVAILABLE, "%s: the call was ended", t->client->address);
    return t->refused ? GRPC_WORD_REFUSED : GRPC_WORD_LOST;
}

enum grpc_word grpc_talk_wait(struct grpc_talk *t, int64_t until_ns, const char **bytes,
                              size_t *len, struct err *e)
{
    struct grpc_client *c = t->client;
    enum grpc_word word;
    pthread_mutex_lock(&c->mu);
    if (t->in_at > 0 && t->in_at == t->in.len) { /* the last message was read */
        buf_free(&t->in);
        t->in_at = 0;
    }
    while ((word = look_locked(t, bytes, len, e)) == GRPC_WORD_NONE &&
           clock_cond_wait(&t->changed, &c->mu, until_ns))
        ;
    pthread_mutex_unlock(&c->mu);
    return word;
}

void grpc_talk_close(struct grpc_talk *t, bool cancel)
{
    if (!t)
        return;
    struct grpc_client *c = t->client;
    pthread_mutex_lock(&c->mu);
    t->orphan = true;
    if (t->over) {
        free_locked(t);
    } else {
        t->out_end = true;
        if (cancel)
            (void)nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, t->stream,
                                            NGHTTP2_CANCEL);
        else
            (void)nghttp2_session_resume_data(c->session, t->stream);
        flush_locked(c);
    }
    pthread_mutex_unlock(&c->mu);
    grpc_client_unref(c);
}
