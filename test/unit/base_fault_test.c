#include "base/fault.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

#define HELD "fault-held" /* in the test's own directory */

/* Runs `body` in a child with HA_FAULT set, because the variable is read once per process. */
static int in_child(const char *faults, int (*body)(void))
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        setenv("HA_FAULT", faults, 1);
        _exit(body());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static int second_pass_fails(void)
{
    return !FAULT_FAILS("a.b") && FAULT_FAILS("a.b") && !FAULT_FAILS("a.b") &&
                   FAULT_FAILS("always") && FAULT_FAILS("always") && !FAULT_FAILS("unarmed")
               ? 0
               : 1;
}

static int third_pass_kills(void)
{
    FAULT_POINT("k");
    FAULT_POINT("k");
    FAULT_POINT("other");
    FAULT_POINT("k");
    return 0;
}

static int pauses(void)
{
    int64_t start = clock_mono_ns();

    FAULT_POINT("p");
    return clock_mono_ns() - start >= 30 * CLOCK_MS ? 0 : 1;
}

/* It is let go by whoever removes the file: another process. */
static int is_held(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        while (access(HELD ".here", F_OK) != 0)
            (void)poll(NULL, 0, 1);
        _exit(unlink(HELD) == 0 ? 0 : 1);
    }
    FAULT_POINT("h");
    return access(HELD, F_OK) != 0 && unlink(HELD ".here") == 0 ? 0 : 1;
}

static void test_faults(void **state)
{
    int status;

    (void)state;
#ifndef HA_FAULTS
    skip();
#endif
    assert_int_equal(in_child("a.b=fail@2,always=fail", second_pass_fails), 0);
    status = in_child("k=kill@3", third_pass_kills);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(in_child("k=kill@4", third_pass_kills), 0);
    assert_int_equal(in_child("p=pause:30", pauses), 0);

    int fd = open(HELD, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(in_child("h=hold:" HELD, is_held), 0);
    status = in_child("p=sleep", pauses);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_faults)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
