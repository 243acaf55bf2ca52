#include "os/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

#define PATIENCE clock_deadline(20 * CLOCK_S)

static struct child *start(const char *script, bool restart, int inherit_fd)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    struct child_options opt = {.name = "test",
                                .path = "/bin/sh",
                                .argv = argv,
                                .inherit_fd = inherit_fd,
                                .restart = restart};
    struct child *c = NULL;
    struct err e = ERR_INIT;

    assert_int_equal(child_start(&c, &opt, &e), ERR_OK);
    return c;
}

/* Until the child has printed `text`. */
static void wait_for_output(struct child *c, const char *text, struct child_status *s)
{
    int64_t deadline = PATIENCE;

    do {
        child_query(c, s);
        if (strstr(s->tail, text))
            return;
        (void)poll(NULL, 0, 2);
    } while (clock_mono_ns() < deadline);
    fail_msg("the child never printed %s", text);
}

static bool is_alive(pid_t pid)
{
    char path[64], state = 0;
    FILE *f;

    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    f = fopen(path, "r");
    if (!f)
        return false;
    if (fscanf(f, "%*d %*s %c", &state) != 1)
        state = 'X';
    (void)fclose(f);
    return state != 'Z' && state != 'X';
}

static void wait_until_dead(pid_t pid)
{
    int64_t deadline = PATIENCE;

    while (is_alive(pid)) {
        assert_true(clock_mono_ns() < deadline);
        (void)poll(NULL, 0, 2);
    }
}

static void test_stop_by_term(void **state)
{
    struct child *c = start("echo up; while :; do sleep 0.01; done", true, -1);
    struct child_status s;
    pid_t pid;

    (void)state;
    wait_for_output(c, "up\n", &s);
    assert_int_equal(s.state, CHILD_RUNNING);
    pid = s.pid;
    assert_true(pid > 0);
    assert_int_equal(getpgid(pid), pid);
    child_stop(c, PATIENCE);
    child_query(c, &s);
    assert_int_equal(s.state, CHILD_STOPPED);
    assert_int_equal(s.pid, 0);
    assert_int_equal(s.exits, 0);
    assert_true(WIFSIGNALED(s.wait_status) && WTERMSIG(s.wait_status) == SIGTERM);
    assert_int_equal(kill(pid, 0), -1);
    child_free(c);
    child_free(NULL);
}

static void test_kill_at_the_deadline(void **state)
{
    struct child *c = start("trap '' TERM; echo up; while :; do sleep 0.01; done", true, -1);
    struct child_status s;

    (void)state;
    wait_for_output(c, "up", &s);
    child_stop(c, clock_deadline(30 * CLOCK_MS));
    child_query(c, &s);
    assert_true(WIFSIGNALED(s.wait_status) && WTERMSIG(s.wait_status) == SIGKILL);
    child_free(c);
}

static void test_restart(void **state)
{
    struct child *c = start("echo life $$; exit 3", true, -1);
    struct child_status s;

    (void)state;
    assert_true(child_wait_exit(c, 2, PATIENCE));
    child_query(c, &s);
    assert_true(s.exits >= 3);
    assert_true(WIFEXITED(s.wait_status) && WEXITSTATUS(s.wait_status) == 3);
    child_free(c);
}

static void test_restart_after_kill(void **state)
{
    struct child *c = start("echo up; while :; do sleep 0.01; done", true, -1);
    struct child_status s;
    pid_t first;

    (void)state;
    wait_for_output(c, "up", &s);
    first = s.pid;
    assert_int_equal(kill(first, SIGKILL), 0);
    assert_true(child_wait_exit(c, 0, PATIENCE));
    wait_for_output(c, "up", &s);
    while (s.pid == first || s.pid == 0)
        child_query(c, &s);
    child_free(c);
}

static void test_no_restart(void **state)
{
    struct child *c = start("echo one; echo two >&2; exit 7", false, -1);
    struct child_status s;

    (void)state;
    assert_true(child_wait_exit(c, 0, PATIENCE));
    assert_false(child_wait_exit(c, 1, PATIENCE)); /* it is stopped: nothing to wait for */
    child_query(c, &s);
    assert_int_equal(s.state, CHILD_STOPPED);
    assert_string_equal(s.tail, "one\ntwo\n");
    child_free(c);
}

static void test_long_output_keeps_the_end(void **state)
{
    struct child *c = start("i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; "
                            "head -c 10000 /dev/zero | tr '\\0' x; echo; echo end",
                            false, -1);
    struct child_status s;

    (void)state;
    assert_true(child_wait_exit(c, 0, PATIENCE));
    child_query(c, &s);
    assert_true(strlen(s.tail) < CHILD_TAIL_SIZE);
    assert_string_equal(s.tail + strlen(s.tail) - 4, "end\n");
    child_free(c);
}

static void test_cannot_execute(void **state)
{
    const char *argv[] = {"x", NULL};
    struct child_options opt = {
        .name = "test", .path = "/nonexistent/x", .argv = argv, .inherit_fd = -1};
    struct child *c = NULL;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(child_start(&c, &opt, &e), ERR_CONFIG);
    assert_null(c);
    assert_non_null(strstr(e.msg, "/nonexistent/x"));
}

/* Only the named descriptor arrives. */
static void test_descriptors(void **state)
{
    char script[128];
    int kept = open("/dev/null", O_RDONLY), dropped = open("/dev/null", O_RDONLY);
    struct child *c;
    struct child_status s;

    (void)state;
    (void)snprintf(script, sizeof script,
                   "[ -e /proc/self/fd/%d ] && echo kept; [ -e /proc/self/fd/%d ] || echo dropped",
                   kept, dropped);
    c = start(script, false, kept);
    assert_true(child_wait_exit(c, 0, PATIENCE));
    child_query(c, &s);
    assert_string_equal(s.tail, "kept\ndropped\n");
    child_free(c);
    (void)close(kept);
    (void)close(dropped);
}

/* kill -9 of the parent ends the child. */
static void test_dies_with_its_parent(void **state)
{
    int fds[2];
    pid_t parent, child = 0;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    parent = fork();
    if (parent == 0) {
        struct child_status s;
        struct child *c = start("echo up; while :; do sleep 0.01; done", true, -1);

        wait_for_output(c, "up", &s);
        if (write(fds[1], &s.pid, sizeof s.pid) != sizeof s.pid)
            _exit(1);
        for (;;)
            (void)pause();
    }
    assert_int_equal(read(fds[0], &child, sizeof child), sizeof child);
    assert_true(is_alive(child));
    assert_int_equal(kill(parent, SIGKILL), 0);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    wait_until_dead(child);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static void test_only_the_life_that_is_meant_is_signalled(void **state)
{
    struct child *c = start("echo up; while :; do sleep 0.01; done", true, -1);
    struct child_status s;

    (void)state;
    wait_for_output(c, "up", &s);
    assert_int_equal(child_signal(c, 1, SIGKILL), 0); /* not yet */
    assert_int_equal(child_signal(c, 0, SIGKILL), s.pid);
    assert_true(child_wait_exit(c, 0, PATIENCE));
    assert_int_equal(child_signal(c, 0, SIGKILL), 0); /* not any more */
    wait_for_output(c, "up", &s);
    assert_int_equal(s.exits, 1);
    assert_int_equal(child_signal(c, 1, 0), s.pid);
    child_free(c);
}

static void test_find_and_run(void **state)
{
    char path[256];
    const char *argv[] = {"sh", "-c", "echo out; echo err >&2; exit 4", NULL};
    const char *slow[] = {"sh", "-c", "exec >/dev/null 2>&1; while :; do sleep 0.01; done", NULL};
    struct buf out = BUF_INIT;
    struct err e = ERR_INIT;
    int status = 0;

    (void)state;
    assert_true(child_find("sh", path, sizeof path));
    assert_true(child_find("/bin/sh", path, sizeof path));
    assert_string_equal(path, "/bin/sh");
    assert_false(child_find("no-such-program-anywhere", path, sizeof path));
    assert_false(child_find("/no/such", path, sizeof path));
    assert_int_equal(child_run("/bin/sh", argv, &out, &status, PATIENCE, &e), ERR_OK);
    assert_string_equal(buf_cstr(&out), "out\nerr\n");
    assert_int_equal(WEXITSTATUS(status), 4);
    assert_int_equal(child_run("/bin/sh", slow, &out, &status, clock_deadline(50 * CLOCK_MS), &e),
                     ERR_TIMEOUT);
    assert_int_equal(child_run("/no/such", argv, &out, &status, PATIENCE, &e), ERR_CONFIG);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stop_by_term),
        cmocka_unit_test(test_kill_at_the_deadline),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_restart_after_kill),
        cmocka_unit_test(test_no_restart),
        cmocka_unit_test(test_long_output_keeps_the_end),
        cmocka_unit_test(test_cannot_execute),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_dies_with_its_parent),
        cmocka_unit_test(test_only_the_life_that_is_meant_is_signalled),
        cmocka_unit_test(test_find_and_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
