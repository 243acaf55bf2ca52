#include "os/signal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

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

int signal_wait(void)
{
    struct sigaction action;
    sigset_t set;
    int number;

    stop_signals(&set);
    do
        number = sigwaitinfo(&set, NULL);
    while (number < 0 && errno == EINTR);
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
