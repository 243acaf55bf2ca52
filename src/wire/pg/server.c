/*
 * The server's threads: one accepts, one a connection.
 *
 *   pg_start, pg_port, pg_stop, pg_free
 *
 * Stopping:
 *
 *     stopping = true ─▶ accept thread joined, listener closed
 *       ─▶ reading ends on every socket: who idles says 57P01 and leaves, who works answers first
 *       ─▶ deadline: what still runs is cancelled ─▶ every connection has left
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/stack.h"
#include "wire/pg/conn.h"

/* ---- connections ---- */

static void unlist(struct pg_conn *c)
{
    struct pg_server *s = c->server;

    pthread_mutex_lock(&s->mu);
    if (c->prev)
        c->prev->next = c->next;
    else
        s->first = c->next;
    if (c->next)
        c->next->prev = c->prev;
    s->n_conns--;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mu);
}

static void *connection_run(void *arg)
{
    struct pg_conn *c = arg;

    node_connection_opened(c->server->node, "pg");
    if (pg_startup(c))
        pg_serve(c);
    pg_flush(c);
    node_connection_closed(c->server->node, "pg");

    struct session *session = c->session;
    pthread_mutex_lock(&c->server->mu);
    c->session = NULL;
    pthread_mutex_unlock(&c->server->mu);
    session_close(session);
    pg_settings_fini(&c->settings);
    arena_free(c->arena);
    pg_io_fini(c);
    /* The number must not be reused while pg_stop() may still shut it down. */
    pthread_mutex_lock(&c->server->mu);
    close(c->fd);
    c->fd = -1;
    pthread_mutex_unlock(&c->server->mu);
    unlist(c);
    free(c);
    return NULL;
}

/* A StartupMessage has not even been read: the answer goes out blindly, as PostgreSQL does when it
 * cannot fork. */
static void refuse(int fd)
{
    struct buf b = BUF_INIT;
    const struct pgwire_error e = {
        .severity = "FATAL", .sqlstate = "53300", .message = "sorry, too many clients already"};

    pgwire_write_error(&b, 'E', &e);
    if (buf_ok(&b))
        (void)send(fd, b.data, b.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    buf_free(&b);
    (void)shutdown(fd, SHUT_WR);
    close(fd);
}

static struct pg_conn *new_conn(struct pg_server *s, int fd)
{
    struct pg_conn *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->server = s;
    c->arena = arena_new();
    if (!c->arena) {
        free(c);
        return NULL;
    }
    pg_io_init(c, fd);
    c->deadline_ns = clock_deadline(s->auth_timeout_ns);
    c->pid = atomic_fetch_add(&s->next_pid, 1) & INT32_MAX;
    return c;
}

static void take(void *arg, int fd, const struct sockaddr_storage *from, socklen_t len)
{
    static const int on = 1;
    struct pg_server *s = arg;
    struct pg_conn *c;

    (void)from;
    (void)len;
    pthread_mutex_lock(&s->mu);
    bool full = s->n_conns >= s->max_connections;
    pthread_mutex_unlock(&s->mu);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    c = full ? NULL : new_conn(s, fd);
    if (!c) {
        refuse(fd);
        return;
    }
    pthread_mutex_lock(&s->mu);
    c->next = s->first;
    if (c->next)
        c->next->prev = c;
    s->first = c;
    s->n_conns++;
    pthread_mutex_unlock(&s->mu);
    if (stack_start(NULL, connection_run, c) != 0) {
        unlist(c);
        arena_free(c->arena);
        free(c);
        refuse(fd);
    }
}

bool pg_server_cancel(struct pg_server *s, uint32_t pid, const void *key, size_t len)
{
    bool found = false;

    pthread_mutex_lock(&s->mu);
    for (struct pg_conn *c = s->first; c && !found; c = c->next) {
        found =
            c->pid == pid && c->key_len == len && len > 0 && CRYPTO_memcmp(c->key, key, len) == 0;
        if (found && c->session)
            session_cancel(c->session);
    }
    pthread_mutex_unlock(&s->mu);
    return found;
}

/* ---- start and stop ---- */

/* Users, and TLS where there is a certificate; what has been loaded is the caller's to free. */
static enum err_code load(struct pg_users *users, SSL_CTX **tls, const struct pg_options *o,
                          struct err *e)
{
    bool cert = o->cert && *o->cert, key = o->key && *o->key;

    if (pg_users_load(users, o, e) != ERR_OK)
        return e->code;
    if (cert != key)
        return err_set(e, ERR_CONFIG, "--pg-cert and --pg-key go together");
    return cert ? pg_tls_load(tls, o->cert, o->key, e) : ERR_OK;
}

enum err_code pg_check(const struct pg_options *o, struct err *e)
{
    struct pg_users users = {.list = NULL};
    SSL_CTX *tls = NULL;
    enum err_code code = load(&users, &tls, o, e);

    SSL_CTX_free(tls);
    pg_users_free(&users);
    return code;
}

static enum err_code start(struct pg_server *s, const struct pg_options *o, struct err *e)
{
    if (load(&s->users, &s->tls, o, e) != ERR_OK)
        return e->code;
    const struct acceptor_options ao = {.address = o->address,
                                        .port = o->port,
                                        .what = "PostgreSQL",
                                        .flags = SOCK_CLOEXEC,
                                        .take = take,
                                        .arg = s};
    return acceptor_start(&s->acceptor, &ao, e);
}

enum err_code pg_start(struct pg_server **out, struct node *n, const struct pg_options *o,
                       struct err *e)
{
    struct pg_server *s = calloc(1, sizeof *s);

    *out = NULL;
    if (!s)
        return err_set(e, ERR_NO_MEMORY, "no memory for the PostgreSQL server");
    s->node = n;
    s->acceptor = ACCEPTOR_INIT;
    s->auth = o->auth;
    s->max_connections = o->max_connections ? o->max_connections : PG_DEFAULT_MAX_CONNECTIONS;
    s->auth_timeout_ns =
        (o->auth_timeout_s ? o->auth_timeout_s : PG_DEFAULT_AUTH_TIMEOUT_S) * CLOCK_S;
    atomic_init(&s->next_pid, 1000);
    pthread_mutex_init(&s->mu, NULL);
    clock_cond_init(&s->changed);
    if (start(s, o, e) != ERR_OK) {
        pg_free(s);
        return e->code;
    }
    *out = s;
    return ERR_OK;
}

uint16_t pg_port(const struct pg_server *s)
{
    return s->acceptor.port;
}

static void shut_locked(struct pg_server *s, int how, bool cancel)
{
    for (struct pg_conn *c = s->first; c; c = c->next) {
        if (cancel && c->session)
            session_cancel(c->session);
        if (c->fd >= 0)
            (void)shutdown(c->fd, how);
    }
}

void pg_stop(struct pg_server *s, int64_t deadline_ns)
{
    if (!s)
        return;
    atomic_store(&s->stopping, true);
    acceptor_stop(&s->acceptor);
    pthread_mutex_lock(&s->mu);
    shut_locked(s, SHUT_RD, false);
    while (s->n_conns > 0 && clock_cond_wait(&s->changed, &s->mu, deadline_ns))
        ;
    if (s->n_conns > 0)
        shut_locked(s, SHUT_RDWR, true);
    while (s->n_conns > 0)
        (void)clock_cond_wait(&s->changed, &s->mu, CLOCK_EVER);
    pthread_mutex_unlock(&s->mu);
}

void pg_free(struct pg_server *s)
{
    if (!s)
        return;
    pg_stop(s, 0);
    acceptor_fini(&s->acceptor);
    SSL_CTX_free(s->tls);
    pg_users_free(&s->users);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->mu);
    free(s);
}
