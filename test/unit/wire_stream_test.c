/* How long a client that takes little or nothing is waited for, on a pair of sockets; with TLS,
 * too. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "wire/stream.h"

#define PATIENCE_NS (8 * CLOCK_S) /* of the client, who then leaves */
#define OUT_BYTES   ((size_t)4 << 20)

static const atomic_bool never;

/* A client that takes `bite` bytes every 20 ms. */
struct client {
    int fd;
    size_t bite;
    SSL *ssl;
    bool handshake;
    pthread_t thread;
    atomic_bool leave;
};

static void *client_run(void *arg)
{
    struct client *t = arg;
    int64_t deadline = clock_deadline(PATIENCE_NS);
    char bytes[4096];

    if (t->handshake && SSL_connect(t->ssl) != 1)
        return NULL;
    while (!atomic_load(&t->leave) && clock_mono_ns() < deadline) {
        struct pollfd p = {.fd = -1};
        (void)poll(&p, 1, 20);
        if (t->bite && recv(t->fd, bytes, t->bite, MSG_DONTWAIT) == 0)
            break;
    }
    (void)shutdown(t->fd, SHUT_RDWR);
    return NULL;
}

static void begin(struct stream *c, struct client *t)
{
    int fds[2], small = 4096;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    (void)setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    t->fd = fds[1];
    stream_init(c, fds[0], &never);
    c->deadline_ns = CLOCK_EVER;
    if (t->ssl)
        assert_int_equal(SSL_set_fd(t->ssl, t->fd), 1);
    assert_int_equal(pthread_create(&t->thread, NULL, client_run, t), 0);
}

static void end(struct stream *c, struct client *t)
{
    atomic_store(&t->leave, true);
    pthread_join(t->thread, NULL);
    SSL_free(t->ssl);
    stream_fini(c);
    close(c->fd);
    close(t->fd);
}

/* Seconds that the flush of more than the client takes has lasted. */
static int64_t flush(struct stream *c)
{
    int64_t began = clock_mono_ns();

    assert_non_null(buf_reserve(&c->out, OUT_BYTES));
    memset(c->out.data, 'x', OUT_BYTES);
    c->out.len = OUT_BYTES;
    stream_flush(c);
    return (clock_mono_ns() - began) / CLOCK_S;
}

static void who_takes_little_is_not_waited_for(void **state)
{
    static const size_t bites[] = {0, 100};

    (void)state;
    for (size_t i = 0; i < sizeof bites / sizeof bites[0]; i++) {
        struct stream c;
        struct client t = {.bite = bites[i]};

        begin(&c, &t);
        assert_true(flush(&c) < 5 && c.dead);
        end(&c, &t);
    }
}

/* It lasts longer than the limit, but all the time enough is taken. */
static void who_is_slow_gets_everything(void **state)
{
    struct stream c;
    struct client t = {.bite = 4096};

    (void)state;
    begin(&c, &t);
    assert_non_null(buf_reserve(&c.out, (size_t)300 << 10));
    memset(c.out.data, 'x', (size_t)300 << 10);
    c.out.len = (size_t)300 << 10;
    stream_flush(&c);
    assert_false(c.dead);
    end(&c, &t);
}

/* ---- TLS ---- */

static SSL_CTX *server_context(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();

    assert_true(ctx && key && cert);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    (void)X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    (void)X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    (void)X509_set_pubkey(cert, key);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    (void)SSL_CTX_set_mode(ctx,
                           SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
    X509_free(cert);
    EVP_PKEY_free(key);
    return ctx;
}

static void who_says_nothing_in_the_handshake_is_sent_away(void **state)
{
    SSL_CTX *server = server_context();
    struct stream c;
    struct client t = {.bite = 0};
    int64_t began = clock_mono_ns();

    (void)state;
    begin(&c, &t);
    c.deadline_ns = clock_deadline(CLOCK_S);
    assert_false(stream_accept_tls(&c, server));
    /* The last fraction of a millisecond is not waited for. */
    assert_in_range((clock_mono_ns() - began) / CLOCK_MS, 990, 5000);
    end(&c, &t);
    SSL_CTX_free(server);
}

static void who_takes_little_is_not_waited_for_with_tls(void **state)
{
    static const size_t bites[] = {0, 100};
    SSL_CTX *server = server_context();
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    (void)state;
    for (size_t i = 0; i < sizeof bites / sizeof bites[0]; i++) {
        struct stream c;
        struct client t = {.bite = bites[i], .ssl = SSL_new(ctx), .handshake = true};

        begin(&c, &t);
        c.deadline_ns = clock_deadline(PATIENCE_NS);
        assert_true(stream_accept_tls(&c, server));
        c.deadline_ns = CLOCK_EVER;
        assert_true(flush(&c) < 5 && c.dead);
        end(&c, &t); /* which does not wait for the client either */
    }
    SSL_CTX_free(ctx);
    SSL_CTX_free(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_takes_little_is_not_waited_for),
        cmocka_unit_test(who_is_slow_gets_everything),
        cmocka_unit_test(who_says_nothing_in_the_handshake_is_sent_away),
        cmocka_unit_test(who_takes_little_is_not_waited_for_with_tls),
    };

    (void)setenv("HA_FAULT", "wire.impatient=fail", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
