/*
 * A real nats-server on loopback, with a store of its own, that dies with the test. It does not use
 * src/nats: what is tested there shall not be needed to test it.
 *
 *     struct nats_fixture f;
 *     nats_up(&f, 0);              starts it; 0 = the server's own max_payload
 *     nats_pause(&f), nats_resume(&f)       SIGSTOP, SIGCONT
 *     nats_kill(&f); nats_start(&f);        the same port and store again
 *     nats_down(&f);               ends it and removes the store
 */
#ifndef HA_TEST_NATS_FIXTURE_H
#define HA_TEST_NATS_FIXTURE_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "nats/client.h"
#include "os/child.h"
#include "os/file.h"

#define UNUSED_OK __attribute__((unused))

struct nats_fixture {
    pid_t pid; /* 0 = down */
    int port;
    size_t max_payload;
    char dir[64];
    char url[64];
    char program[256];
};

/* Deadlines of tests: long, for a machine that does other things and for sanitizers. */
#define PATIENCE_NS (30 * CLOCK_S)

/* Looks again every few milliseconds until the condition holds or patience ends. */
#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        int64_t wait_until = clock_deadline(PATIENCE_NS);                                          \
        while (!(condition)) {                                                                     \
            if (clock_mono_ns() >= wait_until)                                                     \
                fail_msg("line %d: waited in vain for %s", __LINE__, #condition);                  \
            (void)poll(NULL, 0, 3);                                                                \
        }                                                                                          \
    } while (0)

UNUSED_OK static int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) != 0)
        fail_msg("no free port");
    (void)close(fd);
    return ntohs(a.sin_port);
}

UNUSED_OK static bool can_connect(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ok = connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
    (void)close(fd);
    return ok;
}

/* The server greets with one line; it has JetStream when the line says so. */
static bool nats_answers(const struct nats_fixture *f)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)f->port)};
    struct timeval wait = {2, 0};
    char line[4096];
    ssize_t n = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        n = recv(fd, line, sizeof line - 1, 0);
    (void)close(fd);
    line[n > 0 ? n : 0] = '\0';
    return strstr(line, "\"jetstream\":true") != NULL;
}

static void nats_write_config(const struct nats_fixture *f)
{
    char path[128];
    FILE *out;

    (void)snprintf(path, sizeof path, "%s/nats.conf", f->dir);
    out = fopen(path, "w");
    assert_non_null(out);
    (void)fprintf(out, "listen: \"127.0.0.1:%d\"\njetstream { store_dir: \"%s/store\" }\n", f->port,
                  f->dir);
    if (f->max_payload > 0)
        (void)fprintf(out, "max_payload: %zu\n", f->max_payload);
    assert_int_equal(fclose(out), 0);
}

/* Starts the process; false if it has ended again at once, because somebody took the port. */
static bool nats_spawn(struct nats_fixture *f)
{
    char config[128], log[128];
    pid_t parent = getpid();
    int64_t until = clock_deadline(PATIENCE_NS);

    (void)snprintf(config, sizeof config, "%s/nats.conf", f->dir);
    (void)snprintf(log, sizeof log, "%s/nats.log", f->dir);
    f->pid = fork();
    assert_true(f->pid >= 0);
    if (f->pid == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        (void)dup2(fd, STDOUT_FILENO);
        (void)dup2(fd, STDERR_FILENO);
        (void)execl(f->program, "nats-server", "-c", config, (char *)NULL);
        _exit(127);
    }
    while (!nats_answers(f)) {
        int status;
        if (waitpid(f->pid, &status, WNOHANG) == f->pid) {
            f->pid = 0;
            return false;
        }
        if (clock_mono_ns() >= until)
            fail_msg("nats-server does not answer");
        (void)poll(NULL, 0, 3);
    }
    return true;
}

UNUSED_OK static void nats_start(struct nats_fixture *f)
{
    if (!nats_spawn(f))
        fail_msg("nats-server does not start again");
}

UNUSED_OK static void nats_up(struct nats_fixture *f, size_t max_payload)
{
    const char *name = getenv("HA_NATS_SERVER");

    memset(f, 0, sizeof *f);
    if (!child_find(name && *name ? name : "nats-server", f->program, sizeof f->program) &&
        !child_find("/usr/sbin/nats-server", f->program, sizeof f->program))
        fail_msg("nats-server is not installed");
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/ha-nats-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->max_payload = max_payload;
    for (int tries = 0; f->pid == 0; tries++) {
        if (tries == 5)
            fail_msg("nats-server does not start; its log is in %s", f->dir);
        f->port = free_port();
        nats_write_config(f);
        nats_spawn(f);
    }
    (void)snprintf(f->url, sizeof f->url, "nats://127.0.0.1:%d", f->port);
}

static void nats_end(struct nats_fixture *f, int number)
{
    int status;

    if (f->pid == 0)
        return;
    (void)kill(f->pid, SIGCONT);
    (void)kill(f->pid, number);
    assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
    f->pid = 0;
}

UNUSED_OK static void nats_kill(struct nats_fixture *f)
{
    nats_end(f, SIGKILL);
}

UNUSED_OK static void nats_stop(struct nats_fixture *f)
{
    nats_end(f, SIGTERM);
}

UNUSED_OK static void nats_pause(const struct nats_fixture *f)
{
    siginfo_t info;

    assert_int_equal(kill(f->pid, SIGSTOP), 0);
    assert_int_equal(waitid(P_PID, (id_t)f->pid, &info, WSTOPPED), 0);
}

UNUSED_OK static void nats_resume(const struct nats_fixture *f)
{
    assert_int_equal(kill(f->pid, SIGCONT), 0);
}

/* Copies what JetStream has stored aside under a name, and back; the server must be down. */
UNUSED_OK static void nats_copy(const struct nats_fixture *f, const char *from, const char *to)
{
    char source[128], target[128];
    const char *argv[] = {"cp", "-a", source, target, NULL};
    struct buf out = BUF_INIT;
    struct err e = ERR_INIT;
    int status = -1;

    assert_int_equal(f->pid, 0);
    (void)snprintf(source, sizeof source, "%s/%s", f->dir, from);
    (void)snprintf(target, sizeof target, "%s/%s", f->dir, to);
    assert_true(file_remove_tree(target));
    if (child_run("/bin/cp", argv, &out, &status, clock_deadline(PATIENCE_NS), &e) != ERR_OK ||
        status != 0)
        fail_msg("cp: %s %s", e.msg, buf_cstr(&out));
    buf_free(&out);
}

UNUSED_OK static void nats_keep(const struct nats_fixture *f, const char *name)
{
    nats_copy(f, "store", name);
}

UNUSED_OK static void nats_restore(const struct nats_fixture *f, const char *name)
{
    nats_copy(f, name, "store");
}

UNUSED_OK static void nats_down(struct nats_fixture *f)
{
    nats_end(f, SIGKILL);
    assert_true(file_remove_tree(f->dir));
}

/* Takes one message out of a stream, as an operator might. Speaks the protocol itself, for src/nats
 * cannot do such a thing. */
UNUSED_OK static void nats_delete_message(const struct nats_fixture *f, const char *stream,
                                          uint64_t seq)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)f->port)};
    struct timeval wait = {10, 0};
    char line[8192], body[64];
    size_t have = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    (void)snprintf(body, sizeof body, "{\"seq\":%llu}", (unsigned long long)seq);
    int n = snprintf(line, sizeof line,
                     "CONNECT {\"verbose\":false}\r\nSUB answer 1\r\n"
                     "PUB $JS.API.STREAM.MSG.DELETE.%s answer %zu\r\n%s\r\n",
                     stream, strlen(body), body);
    assert_true(send(fd, line, (size_t)n, MSG_NOSIGNAL) == n);
    for (line[0] = '\0'; !strstr(line, "\"success\":true");) {
        ssize_t got = recv(fd, line + have, sizeof line - 1 - have, 0);
        if (got <= 0)
            fail_msg("the message is not deleted: %s", line);
        have += (size_t)got;
        line[have] = '\0';
    }
    (void)close(fd);
}

/* A connected client. `changed` may be NULL. */
UNUSED_OK static struct nats_client *nats_connect(const struct nats_fixture *f,
                                                  void (*changed)(void *, bool), void *arg)
{
    struct err e = ERR_INIT;
    struct nats_client *c = NULL;
    struct nats_client_options o = {.url = f->url,
                                    .user = "",
                                    .pass = "",
                                    .name = "test",
                                    .timeout_ms = 2000,
                                    .changed = changed,
                                    .arg = arg};

    if (nats_client_open(&c, &o, &e) != ERR_OK)
        fail_msg("%s", e.msg);
    WAIT_FOR(nats_client_connected(c));
    return c;
}

#endif
