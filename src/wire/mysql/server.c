/*
 * The server's threads: one accepts, one a connection.
 *
 *   mysql_check, mysql_start, mysql_port, mysql_stop, mysql_free
 *   mysql_server_kill, mysql_server_connections, mysql_set_command
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "wire/mysql/conn.h"
#include "wire/mysql/session.h"
#include "wire/tls.h"

/* ---- connections ---- */

static void *connection_run(void *arg)
{
    struct mysql_conn *c = arg;

    node_connection_opened(c->server->node, "mysql");
    mysql_locks_begin(c);
    if (mysql_login(c))
        mysql_serve(c);
    stream_flush(&c->io);
    node_connection_closed(c->server->node, "mysql");

    clients_set_session(&c->server->clients, &c->client, NULL);
    mysql_session_enter(NULL);
    mysql_locks_release(c);
    mysql_prepared_clear(c);
    session_close(c->session);
    mysql_variables_free(&c->variables);
    free(c->warnings);
    buf_free(&c->big);
    arena_free(c->arena);
    stream_fini(&c->io);
    clients_end(&c->server->clients, &c->client);
    free(c);
    return NULL;
}

/* No greeting has been sent: MySQL tells it in its place, without an SQLSTATE. */
static void refuse(int fd)
{
    struct buf b = BUF_INIT;
    struct mysqlwire_out out = {.b = &b};

    mysqlwire_write_error(&out, 1040, NULL, "Too many connections");
    if (buf_ok(&b))
        (void)send(fd, b.data, b.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    buf_free(&b);
    (void)shutdown(fd, SHUT_WR);
    close(fd);
}

static struct mysql_conn *new_conn(struct mysql_server *s, int fd)
{
    struct mysql_conn *c = calloc(1, sizeof *c);

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
    c->out.b = &c->io.out;
    c->io.deadline_ns = clock_deadline(s->auth_timeout_ns);
    c->id = atomic_fetch_add(&s->next_id, 1);
    c->autocommit = true;
    c->since_ns = clock_mono_ns();
    (void)snprintf(c->command, sizeof c->command, "Connect");
    return c;
}

static void take(void *arg, int fd, const struct sockaddr_storage *from, socklen_t len)
{
    struct mysql_server *s = arg;
    struct mysql_conn *c;

    clients_prepare_socket(fd);
    c = clients_full(&s->clients) ? NULL : new_conn(s, fd);
    if (c && getnameinfo((const struct sockaddr *)from, len, c->host, sizeof c->host, NULL, 0,
                         NI_NUMERICHOST) != 0)
        (void)snprintf(c->host, sizeof c->host, "localhost");
    static const char mapped[] = "::ffff:"; /* an IPv4 address of an IPv6 socket */
    if (c && strncmp(c->host, mapped, sizeof mapped - 1) == 0)
        memmove(c->host, c->host + sizeof mapped - 1, strlen(c->host) - sizeof mapped + 2);
    if (c && clients_start(&s->clients, &c->client, connection_run, c))
        return;
    if (c)
        arena_free(c->arena);
    free(c);
    refuse(fd);
}

void mysql_set_command(struct mysql_conn *c, const char *command)
{
    pthread_mutex_lock(&c->server->clients.mu);
    (void)snprintf(c->command, sizeof c->command, "%s", command);
    c->since_ns = clock_mono_ns();
    pthread_mutex_unlock(&c->server->clients.mu);
}

bool mysql_server_kill(struct mysql_server *s, uint32_t id, bool connection)
{
    bool found = false;

    pthread_mutex_lock(&s->clients.mu);
    for (struct client *k = s->clients.first; k && !found; k = k->next) {
        const struct mysql_conn *c = (const struct mysql_conn *)k;
        found = c->id == id;
        if (found && k->session)
            session_cancel(k->session);
        if (found && connection && k->io->fd >= 0)
            (void)shutdown(k->io->fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&s->clients.mu);
    return found;
}

unsigned mysql_server_connections(struct mysql_server *s)
{
    pthread_mutex_lock(&s->clients.mu);
    unsigned n = s->clients.n;
    pthread_mutex_unlock(&s->clients.mu);
    return n;
}

/* ---- start and stop ---- */

/* The certificate, where there is one; what has been loaded is the caller's to free. */
static enum err_code load_tls(SSL_CTX **tls, const struct mysql_options *o, struct err *e)
{
    bool cert = o->cert && *o->cert, key = o->key && *o->key;

    if (cert != key)
        return err_set(e, ERR_CONFIG, "--mysql-cert and --mysql-key go together");
    return cert ? tls_load(tls, o->cert, "--mysql-cert", o->key, "--mysql-key", e) : ERR_OK;
}

enum err_code mysql_check(const struct mysql_options *o, struct err *e)
{
    struct secret secret;
    SSL_CTX *tls = NULL;
    enum err_code code = secret_init(&secret, o->pass, e);

    secret_fini(&secret);
    if (code == ERR_OK)
        code = load_tls(&tls, o, e);
    SSL_CTX_free(tls);
    return code;
}

static enum err_code start(struct mysql_server *s, const struct mysql_options *o, struct err *e)
{
    enum err_code code = secret_init(&s->secret, o->pass, e);

    if (code == ERR_OK)
        code = load_tls(&s->tls, o, e);
    s->user = strdup(o->user);
    if (code == ERR_OK && !s->user)
        code = err_set(e, ERR_NO_MEMORY, "no memory for the MySQL server");
    if (code != ERR_OK)
        return code;
    const struct acceptor_options ao = {.address = o->address,
                                        .port = o->port,
                                        .what = "MySQL",
                                        .flags = SOCK_CLOEXEC,
                                        .take = take,
                                        .arg = s};
    return acceptor_start(&s->acceptor, &ao, e);
}

enum err_code mysql_start(struct mysql_server **out, struct node *n, const struct mysql_options *o,
                          struct err *e)
{
    struct mysql_server *s = calloc(1, sizeof *s);

    *out = NULL;
    if (!s)
        return err_set(e, ERR_NO_MEMORY, "no memory for the MySQL server");
    s->node = n;
    s->acceptor = ACCEPTOR_INIT;
    s->started_ns = clock_mono_ns();
    s->auth_timeout_ns =
        (o->auth_timeout_s ? o->auth_timeout_s : MYSQL_DEFAULT_AUTH_TIMEOUT_S) * CLOCK_S;
    atomic_init(&s->next_id, 1);
    pthread_mutex_init(&s->rsa_mu, NULL);
    pthread_mutex_init(&s->locks_mu, NULL);
    clients_init(&s->clients,
                 o->max_connections ? o->max_connections : MYSQL_DEFAULT_MAX_CONNECTIONS);
    if (start(s, o, e) != ERR_OK) {
        mysql_free(s);
        return e->code;
    }
    *out = s;
    return ERR_OK;
}

uint16_t mysql_port(const struct mysql_server *s)
{
    return s->acceptor.port;
}

void mysql_stop(struct mysql_server *s, int64_t deadline_ns)
{
    if (!s)
        return;
    atomic_store(&s->clients.stopping, true);
    acceptor_stop(&s->acceptor);
    clients_stop(&s->clients, deadline_ns);
}

void mysql_free(struct mysql_server *s)
{
    if (!s)
        return;
    mysql_stop(s, 0);
    acceptor_fini(&s->acceptor);
    clients_fini(&s->clients);
    SSL_CTX_free(s->tls);
    EVP_PKEY_free(s->rsa);
    pthread_mutex_destroy(&s->rsa_mu);
    mysql_locks_free(s);
    pthread_mutex_destroy(&s->locks_mu);
    secret_fini(&s->secret);
    free(s->user);
    free(s);
}
