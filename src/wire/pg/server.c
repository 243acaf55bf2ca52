/*
 * The server's threads: one accepts, one a connection.
 *
 *   pg_start, pg_port, pg_stop, pg_free
 */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "wire/pg/conn.h"

/* ---- connections ---- */

static void *connection_run(void *arg)
{
    struct pg_conn *c = arg;

    node_connection_opened(c->server->node, "pg");
    if (pg_startup(c))
        pg_serve(c);
    stream_flush(&c->io);
    node_connection_closed(c->server->node, "pg");

    clients_set_session(&c->server->clients, &c->client, NULL);
    session_close(c->session);
    pg_settings_fini(&c->settings);
    arena_free(c->arena);
    stream_fini(&c->io);
    clients_end(&c->server->clients, &c->client);
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
    stream_init(&c->io, fd, &s->clients.stopping);
    c->client.io = &c->io;
    c->io.deadline_ns = clock_deadline(s->auth_timeout_ns);
    c->pid = atomic_fetch_add(&s->next_pid, 1) & INT32_MAX;
    return c;
}

static void take(void *arg, int fd, const struct sockaddr_storage *from, socklen_t len)
{
    struct pg_server *s = arg;
    struct pg_conn *c;

    (void)from;
    (void)len;
    clients_prepare_socket(fd);
    c = clients_full(&s->clients) ? NULL : new_conn(s, fd);
    if (c && clients_start(&s->clients, &c->client, connection_run, c))
        return;
    if (c)
        arena_free(c->arena);
    free(c);
    refuse(fd);
}

bool pg_server_cancel(struct pg_server *s, uint32_t pid, const void *key, size_t len)
{
    bool found = false;

    pthread_mutex_lock(&s->clients.mu);
    for (struct client *k = s->clients.first; k && !found; k = k->next) {
        const struct pg_conn *c = (const struct pg_conn *)k;
        found =
            c->pid == pid && c->key_len == len && len > 0 && CRYPTO_memcmp(c->key, key, len) == 0;
        if (found && k->session)
            session_cancel(k->session);
    }
    pthread_mutex_unlock(&s->clients.mu);
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
    s->auth_timeout_ns =
        (o->auth_timeout_s ? o->auth_timeout_s : PG_DEFAULT_AUTH_TIMEOUT_S) * CLOCK_S;
    atomic_init(&s->next_pid, 1000);
    clients_init(&s->clients, o->max_connections ? o->max_connections : PG_DEFAULT_MAX_CONNECTIONS);
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

void pg_stop(struct pg_server *s, int64_t deadline_ns)
{
    if (!s)
        return;
    atomic_store(&s->clients.stopping, true);
    acceptor_stop(&s->acceptor);
    clients_stop(&s->clients, deadline_ns);
}

void pg_free(struct pg_server *s)
{
    if (!s)
        return;
    pg_stop(s, 0);
    acceptor_fini(&s->acceptor);
    SSL_CTX_free(s->tls);
    pg_users_free(&s->users);
    clients_fini(&s->clients);
    free(s);
}
