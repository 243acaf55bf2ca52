/* Starts real nats-servers; skipped where none is installed. */
#include "nats/server.h"

#include <arpa/inet.h>
#include <errno.h>
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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "os/child.h"
#include "os/file.h"

#define PATIENCE clock_deadline(20 * CLOCK_S)

static char base[] = "/tmp/ha-nats-test-XXXXXX";
static char store[64];
static bool installed;

static int set_up(void **state)
{
    char path[256];

    (void)state;
    installed = getenv("HA_NATS_SERVER") || child_find("nats-server", path, sizeof path) ||
                child_find("/usr/sbin/nats-server", path, sizeof path);
    if (!mkdtemp(base))
        return -1;
    (void)snprintf(store, sizeof store, "%s/store dir", base);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return file_remove_tree(base) ? 0 : -1;
}

static struct nats_server_options options(void)
{
    return (struct nats_server_options){.server_name = "node 1",
                                        .port = -1,
                                        .store_dir = store,
                                        .config = "",
                                        .user = "",
                                        .pass = "",
                                        .sync_always = true,
                                        .replicas = 1};
}

static int port_of(const char *url)
{
    assert_memory_equal(url, "nats://127.0.0.1:", 17);
    return (int)strtol(strrchr(url, ':') + 1, NULL, 10);
}

static bool can_connect(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool ok;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ok = connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
    (void)close(fd);
    return ok;
}

static int listening_socket(int *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static void test_versions(void **state)
{
    (void)state;
    assert_int_equal(nats_server_version_number("nats-server: v2.9.10\n"), 2009010);
    assert_int_equal(nats_server_version_number("nats-server: v2.10.27"), 2010027);
    assert_int_equal(nats_server_version_number("v2.12.0-dev"), 2012000);
    assert_int_equal(nats_server_version_number("usage: 7 things"), 0);
    assert_int_equal(nats_server_version_number(""), 0);
}

static void test_start_restart_stop(void **state)
{
    struct nats_server_options opt = options();
    struct nats_server *s = NULL, *second = NULL;
    struct err e = ERR_INIT;
    struct stat st;
    char path[128], url[128];
    int64_t deadline, begin = clock_mono_ns();
    long first;
    int port;

    (void)state;
    if (!installed)
        skip();
    assert_int_equal(nats_server_start(&s, &opt, PATIENCE, &e), ERR_OK);
    print_message("ready after %lld ms\n", (long long)((clock_mono_ns() - begin) / CLOCK_MS));
    port = port_of(nats_server_url(s));
    assert_true(can_connect(port));
    assert_true(nats_server_version_number(nats_server_version(s)) > 2000000);
    (void)snprintf(path, sizeof path, "%s/nats.conf", store);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);

    /* The directory is ours alone. */
    assert_int_equal(nats_server_start(&second, &opt, PATIENCE, &e), ERR_BUSY);
    assert_null(second);
    assert_non_null(strstr(e.msg, "--nats-store-dir"));

    /* Killed, it comes back at the same address. */
    (void)snprintf(url, sizeof url, "%s", nats_server_url(s));
    assert_int_equal(nats_server_restarts(s), 0);
    first = nats_server_signal(s, 0, SIGKILL);
    assert_true(first > 0);
    deadline = PATIENCE;
    while (nats_server_restarts(s) == 0 || !can_connect(port)) {
        assert_true(clock_mono_ns() < deadline);
        (void)poll(NULL, 0, 2);
    }
    assert_int_equal(nats_server_signal(s, 0, SIGKILL), 0); /* that was another one */
    assert_int_not_equal(nats_server_signal(s, 1, 0), first);
    assert_string_equal(nats_server_url(s), url);

    nats_server_stop(s, PATIENCE);
    assert_false(can_connect(port));
    nats_server_free(s);
    nats_server_free(NULL);

    /* And the directory may be used again. */
    assert_int_equal(nats_server_start(&s, &opt, PATIENCE, &e), ERR_OK);
    nats_server_stop(s, PATIENCE);
    nats_server_free(s);
}

static void test_hangs(void **state)
{
    struct nats_server_options opt = options();
    struct nats_server *s = NULL;
    struct err e = ERR_INIT;
    siginfo_t info;

    (void)state;
    if (!installed)
        skip();
    assert_int_equal(nats_server_start(&s, &opt, PATIENCE, &e), ERR_OK);
    assert_false(nats_server_hangs(s));
    long pid = nats_server_signal(s, 0, SIGSTOP);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT), 0);
    assert_true(nats_server_hangs(s));
    assert_int_equal(nats_server_signal(s, 0, SIGCONT), pid);
    assert_false(nats_server_hangs(s));
    nats_server_stop(s, PATIENCE);
    assert_false(nats_server_hangs(s)); /* it does not even listen */
    nats_server_free(s);
}

/* A node is killed: the next one on its directory and port waits for the dying server and starts.
 */
static void test_after_kill(void **state)
{
    struct nats_server_options opt = options();
    struct nats_server *s = NULL;
    struct err e = ERR_INIT;
    int fds[2], port = 0;

    (void)state;
    if (!installed)
        skip();
    (void)close(listening_socket(&port));
    opt.port = port;
    assert_int_equal(pipe(fds), 0);
    for (int round = 0; round < 5; round++) {
        char ready = 0;
        pid_t node = fork();

        if (node == 0) {
            ready = nats_server_start(&s, &opt, PATIENCE, &e) == ERR_OK;
            if (write(fds[1], &ready, 1) != 1)
                _exit(1);
            for (;;)
                (void)pause();
        }
        assert_int_equal(read(fds[0], &ready, 1), 1);
        assert_int_equal(ready, 1);
        assert_true(can_connect(port));
        assert_int_equal(kill(node, SIGKILL), 0);
        assert_int_equal(waitpid(node, NULL, 0), node);
    }
    assert_int_equal(nats_server_start(&s, &opt, PATIENCE, &e), ERR_OK);
    nats_server_stop(s, PATIENCE);
    nats_server_free(s);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static bool always(void)
{
    return true;
}

static void test_port_in_use(void **state)
{
    struct nats_server_options opt = options();
    struct nats_server *s = NULL;
    struct err e = ERR_INIT;
    int fd = listening_socket(&opt.port);

    (void)state;
    if (!installed)
        skip();
    assert_int_equal(nats_server_start(&s, &opt, clock_deadline(200 * CLOCK_MS), &e), ERR_BUSY);
    assert_non_null(strstr(e.msg, "--nats-port"));
    opt.gave_up = always;
    assert_int_equal(nats_server_start(&s, &opt, PATIENCE, &e), ERR_SHUTDOWN);
    opt.gave_up = NULL;
    (void)close(fd);
    assert_int_equal(nats_server_start(&s, &opt, PATIENCE, &e), ERR_OK);
    nats_server_stop(s, PATIENCE);
    nats_server_free(s);
}

static enum err_code start_with(const char *config, struct nats_server **s, struct err *e)
{
    struct nats_server_options opt = options();
    char path[128];

    (void)snprintf(path, sizeof path, "%s/user.conf", base);
    assert_int_equal(file_write(path, config, strlen(config), 0600, e), ERR_OK);
    opt.config = path;
    return nats_server_start(s, &opt, PATIENCE, e);
}

static void test_users_config(void **state)
{
    struct nats_server *s = NULL;
    struct err e = ERR_INIT;
    char config[256];
    int64_t begin = clock_mono_ns();

    (void)state;
    if (!installed)
        skip();
    (void)snprintf(config, sizeof config,
                   "listen: \"127.0.0.1:-1\"\njetstream { store_dir: \"%s/own\" }\n", base);
    assert_int_equal(start_with(config, &s, &e), ERR_OK);
    assert_true(can_connect(port_of(nats_server_url(s))));
    nats_server_stop(s, PATIENCE);
    nats_server_free(s);

    assert_int_equal(start_with("listen: \"127.0.0.1:-1\"\n", &s, &e), ERR_CONFIG);
    assert_non_null(strstr(e.msg, "jetstream"));
    assert_int_equal(start_with("listen: {\n", &s, &e), ERR_CONFIG);
    assert_non_null(strstr(e.msg, "Parse error"));
    assert_true(clock_mono_ns() - begin < 15 * CLOCK_S); /* mistakes are told at once */
}

static void test_odd_credentials(void **state)
{
    struct nats_server_options opt = options();
    struct nats_server *s = NULL;
    struct err e = ERR_INIT;

    (void)state;
    if (!installed)
        skip();
    opt.user = "u\"s{e}r $HOME";
    opt.pass = "p\\a\ts'#;\x01 \xC3\xA9";
    assert_int_equal(nats_server_start(&s, &opt, PATIENCE, &e), ERR_OK);
    nats_server_stop(s, PATIENCE);
    nats_server_free(s);
}

static void test_no_program(void **state)
{
    struct nats_server_options opt = options();
    struct nats_server *s = NULL;
    struct err e = ERR_INIT;
    const char *old = getenv("HA_NATS_SERVER");
    char *saved = old ? strdup(old) : NULL;

    (void)state;
    setenv("HA_NATS_SERVER", "/no/such/nats", 1);
    assert_int_equal(nats_server_start(&s, &opt, PATIENCE, &e), ERR_CONFIG);
    assert_non_null(strstr(e.msg, "/no/such/nats"));
    setenv("HA_NATS_SERVER", "/bin/true", 1);
    assert_int_equal(nats_server_start(&s, &opt, PATIENCE, &e), ERR_CONFIG);
    if (saved)
        setenv("HA_NATS_SERVER", saved, 1);
    else
        unsetenv("HA_NATS_SERVER");
    free(saved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),     cmocka_unit_test(test_start_restart_stop),
        cmocka_unit_test(test_after_kill),   cmocka_unit_test(test_port_in_use),
        cmocka_unit_test(test_users_config), cmocka_unit_test(test_odd_credentials),
        cmocka_unit_test(test_no_program),   cmocka_unit_test(test_hangs),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
