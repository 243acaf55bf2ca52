#include "os/signal.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

/* In a child: signals are the whole process's. */
static int graceful(void)
{
    signal_setup();
    if (signal_pending())
        return 1;
    if (signal_wait(clock_deadline(20 * CLOCK_MS)) != 0)
        return 3;
    (void)kill(getpid(), SIGPIPE);
    (void)kill(getpid(), SIGTERM);
    if (!signal_pending() || signal_wait(CLOCK_EVER) != SIGTERM || signal_pending())
        return 2;
    return 0;
}

static int twice(void)
{
    signal_setup();
    (void)kill(getpid(), SIGINT);
    if (signal_wait(CLOCK_EVER) != SIGINT)
        return 2;
    (void)kill(getpid(), SIGTERM); /* ends here */
    return 3;
}

static int late(void)
{
    signal_end_after(1);
    (void)pause(); /* the handler does not return */
    return 0;
}

static int in_child(int (*body)(void))
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        _exit(body());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_signals(void **state)
{
    (void)state;
    assert_int_equal(in_child(graceful), 0);
    assert_int_equal(in_child(twice), 128 + SIGTERM);
    assert_int_equal(in_child(late), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_signals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
