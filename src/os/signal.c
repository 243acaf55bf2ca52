#include "os/signal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

static void stop_signals(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGHUP);
}

static void end_now(int number)
{
    _exit(128 + number);
}

static void end_late(int number)
{
    static const char text[] = "ha: the stop took too long, ending now\n";

    (void)number;
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(1);
}

void signal_setup(void)
{
    sigset_t set;

    (void)signal(SIGPIPE, SIG_IGN);
    stop_signals(&set);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void signal_release(void)
{
    sigset_t set;

    stop_signals(&set);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* A signal's number; 0 = the deadline passed. */
static int take_signal(const sigset_t *set, int64_t deadline_ns)
{
    for (;;) {
        int64_t left = deadline_ns - clock_mono_ns();
        struct timespec ts = {left > 0 ? left / CLOCK_S : 0, left > 0 ? left % CLOCK_S : 0};
        int number =
            deadline_ns == CLOCK_EVER ? sigwaitinfo(set, NULL) : sigtimedwait(set, NULL, &ts);
        if (number > 0 || errno == EAGAIN)
            return number > 0 ? number : 0;
    }
}

int signal_wait(int64_t deadline_ns)
{
    struct sigaction action;
    sigset_t set;
    int number;

    stop_signals(&set);
    number = take_signal(&set, deadline_ns);
    if (number == 0)
        return 0;
    memset(&action, 0, sizeof action);
    action.sa_handler = end_now;
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGHUP, &action, NULL);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    return number;
}

bool signal_pending(void)
{
    sigset_t pending;

    return sigpending(&pending) == 0 &&
           (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1 ||
            sigismember(&pending, SIGHUP) == 1);
}

void signal_end_after(unsigned seconds)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = end_late;
    (void)sigaction(SIGALRM, &action, NULL);
    (void)alarm(seconds);
}
