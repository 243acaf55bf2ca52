#include "os/holder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A process of that name that has the file open, and its lock or not. */
static pid_t start(const char *name, const char *path, bool locks)
{
    int fds[2];
    char byte = 0;

    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open(path, O_RDONLY);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)prctl(PR_SET_NAME, name);
        if (fd < 0 || (locks && flock(fd, LOCK_EX | LOCK_NB) != 0) || write(fds[1], "r", 1) != 1)
            _exit(1);
        for (;;)
            (void)pause();
    }
    (void)close(fds[1]);
    assert_int_equal(read(fds[0], &byte, 1), 1);
    (void)close(fds[0]);
    return pid;
}

static void end(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_holder_is_of_that_name_and_has_the_lock(void **state)
{
    char path[] = "/tmp/ha-holder-test-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(holder_find(path, "holder"), 0);
    pid_t reader = start("holder", path, false);
    assert_int_equal(holder_find(path, "holder"), 0);
    pid_t other = start("backup", path, true);
    assert_int_equal(holder_find(path, "holder"), 0);
    assert_int_equal(holder_find(path, "backup"), other);
    end(other);
    pid_t holder = start("holder-2.10", path, true);
    assert_int_equal(holder_find(path, "holder"), holder);
    end(holder);
    end(reader);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(holder_find(path, "holder"), 0);
}

/* A server is started with its lock: who locked the file may be no more. */
static void test_lock_is_inherited(void **state)
{
    char path[] = "/tmp/ha-holder-test-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    pid_t heir = fork();
    if (heir == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            (void)pause();
    }
    (void)close(fd);
    assert_int_equal(holder_find(path, "os_holder_test"), heir);
    end(heir);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holder_is_of_that_name_and_has_the_lock),
        cmocka_unit_test(test_lock_is_inherited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
