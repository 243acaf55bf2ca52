/*
 * Supervised children.
 *
 *   spawn              fork and exec, with everything that the child must not inherit taken away
 *   supervise          the supervisor thread: spawn, read output, wait, back off, again
 *   child_start, child_query, child_wait_exit, child_signal, child_stop, child_free
 *   child_find, child_run
 */
#include "os/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define BACKOFF_MIN_NS  (10 * CLOCK_MS)
#define BACKOFF_MAX_NS  (5 * CLOCK_S)
#define HEALTHY_NS      (10 * CLOCK_S) /* a child that ran this long starts without back-off again */
#define DRAIN_MS        200  /* for output that is still in the pipe when a child is gone */
#define POLL_MS         50   /* where the kernel has no pidfd_open() */
#define LINE_MAX_BYTES  4096 /* of one line of output; longer ones are broken */
#define FALLBACK_MAX_FD 4096 /* where the kernel has no close_range() */

struct child {
    /* Immutable after init. */
    char *name, *path;
    char **argv;
    int inherit_fd;
    bool log_output, restart;
    pthread_t thread;

    pthread_mutex_t mu;
    pthread_cond_t changed; /* any field below changed */
    /* Guarded by mu. */
    enum child_state state;
    bool stopping;
    bool started;    /* the first exec succeeded or failed: */
    int start_error; /* errno of the first exec */
    pid_t pid;       /* 0 = none; never one that was reaped, so it may be signalled */
    uint64_t exits;
    int wait_status;
    char tail[CHILD_TAIL_SIZE];
    size_t tail_len;
    bool joined; /* owner only */

    /* Supervisor thread only. */
    char line[LINE_MAX_BYTES];
    size_t line_len;
};

/* ---- fork and exec ------------------------------------------------------------------------- */

static void close_on_exec_from(unsigned first)
{
    /* 4 = CLOSE_RANGE_CLOEXEC; old kernels know neither the call nor the flag. */
    if (syscall(SYS_close_range, first, ~0U, 4U) == 0)
        return;
    for (unsigned fd = first; fd < FALLBACK_MAX_FD; fd++)
        (void)fcntl((int)fd, F_SETFD, FD_CLOEXEC);
}

/* In the child, between fork and exec: async-signal-safe calls only. */
static void become(const char *path, char *const *argv, int inherit_fd, bool tied, pid_t parent,
                   int output, int failure)
{
    sigset_t none;
    int null, number;

    for (int s = 1; s < NSIG; s++)
        (void)signal(s, SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setpgid(0, 0);
    if (tied) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent) /* it died before prctl(): no signal will come */
            _exit(0);
    }
    null = open("/dev/null", O_RDWR);
    if (null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0 &&
        dup2(output, STDERR_FILENO) >= 0) {
        close_on_exec_from(3);
        if (inherit_fd >= 0)
            (void)fcntl(inherit_fd, F_SETFD, 0);
        (void)execv(path, argv);
    }
    number = errno;
    (void)!write(failure, &number, sizeof number);
    _exit(127);
}

/* A pipe whose ends are not among the standard descriptors, which the child redirects. */
static int make_pipe(int fds[2])
{
    if (pipe2(fds, O_CLOEXEC) != 0)
        return errno;
    for (int i = 0; i < 2; i++) {
        int fd;
        if (fds[i] > 2)
            continue;
        fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
        (void)close(fds[i]);
        fds[i] = fd; /* -1 fails later, in read() or write() */
    }
    return 0;
}

/* Returns 0 or an errno. The child's output comes out of *output. */
static int spawn(const char *path, char *const *argv, int inherit_fd, bool tied, pid_t *pid,
                 int *output)
{
    int out[2], failure[2];
    int number;
    pid_t parent = getpid();
    sigset_t all, old;
    ssize_t n;

    number = make_pipe(out);
    if (number)
        return number;
    number = make_pipe(failure);
    if (number) {
        (void)close(out[0]);
        (void)close(out[1]);
        return number;
    }
    /* No handler of ours may run in the child before it has reset them. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    *pid = fork();
    if (*pid == 0)
        become(path, argv, inherit_fd, tied, parent, out[1], failure[1]);
    number = *pid < 0 ? errno : 0;
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)close(out[1]);
    (void)close(failure[1]);
    if (!number) {
        do
            n = read(failure[0], &number, sizeof number);
        while (n < 0 && errno == EINTR);
        if (n != (ssize_t)sizeof number)
            number = 0; /* closed by exec */
        else
            (void)waitpid(*pid, NULL, 0);
    }
    (void)close(failure[0]);
    if (number)
        (void)close(out[0]);
    else
        *output = out[0];
    return number;
}

/* ---- output -------------------------------------------------------------------------------- */

static void keep_tail(struct child *c, const char *line, size_t n)
{
    size_t most = sizeof c->tail - 1;

    if (n + 1 > most)
        n = most - 1;
    (void)pthread_mutex_lock(&c->mu);
    while (c->tail_len + n + 1 > most) { /* drop the oldest line */
        char *eol = memchr(c->tail, '\n', c->tail_len);
        size_t drop = eol ? (size_t)(eol - c->tail) + 1 : c->tail_len;
        memmove(c->tail, c->tail + drop, c->tail_len - drop);
        c->tail_len -= drop;
    }
    memcpy(c->tail + c->tail_len, line, n);
    c->tail_len += n;
    c->tail[c->tail_len++] = '\n';
    c->tail[c->tail_len] = '\0';
    (void)pthread_mutex_unlock(&c->mu);
}

static void end_line(struct child *c)
{
    while (c->line_len > 0 && c->line[c->line_len - 1] == '\r')
        c->line_len--;
    c->line[c->line_len] = '\0';
    if (c->line_len > 0) {
        keep_tail(c, c->line, c->line_len);
        if (c->log_output)
            LOG_INFO(c->line, LOG_STR("from", c->name));
    }
    c->line_len = 0;
}

/* Takes what the pipe has; false at its end. */
static bool take_output(struct child *c, int fd)
{
    char bytes[4096];
    ssize_t n = read(fd, bytes, sizeof bytes);

    if (n < 0)
        return errno == EINTR;
    for (ssize_t i = 0; i < n; i++) {
        if (bytes[i] == '\n')
            end_line(c);
        else if (bytes[i] != '\0')
            c->line[c->line_len++] = bytes[i];
        if (c->line_len == sizeof c->line - 1)
            end_line(c);
    }
    return n > 0;
}

/* ---- the supervisor ------------------------------------------------------------------------ */

static bool has_exited(pid_t pid)
{
    siginfo_t info = {0};

    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == pid;
}

/* Returns when the process is gone (not reaped yet), its output read. */
static void attend(struct child *c, pid_t pid, int output)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0U);
    struct pollfd fds[2] = {{.fd = output, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};

    c->line_len = 0;
    while (!has_exited(pid)) {
        (void)poll(fds, 2, pidfd >= 0 ? -1 : POLL_MS);
        if (fds[0].fd >= 0 && fds[0].revents && !take_output(c, output))
            fds[0].fd = -1; /* it closed its output and may live on */
    }
    /* A grandchild may hold the pipe open: the rest is read as long as it comes at once. */
    while (fds[0].fd >= 0 && poll(fds, 1, DRAIN_MS) > 0 && take_output(c, output))
        ;
    end_line(c);
    if (pidfd >= 0)
        (void)close(pidfd);
}

static void reap(struct child *c, pid_t pid)
{
    (void)pthread_mutex_lock(&c->mu);
    if (waitpid(pid, &c->wait_status, 0) != pid)
        c->wait_status = 0;
    c->pid = 0;
    if (!c->stopping) {
        c->exits++;
        c->state = CHILD_WAITING;
    }
    (void)pthread_cond_broadcast(&c->changed);
    (void)pthread_mutex_unlock(&c->mu);
}

/* One life of the child. False if it could not be started. */
static bool run_once(struct child *c, bool first)
{
    int output = -1;
    pid_t pid = 0;
    int number;

    /* Under the lock, so that child_stop() either prevents the fork or sees the pid. */
    (void)pthread_mutex_lock(&c->mu);
    if (c->stopping) {
        (void)pthread_mutex_unlock(&c->mu);
        return false;
    }
    number = spawn(c->path, c->argv, c->inherit_fd, true, &pid, &output);
    if (!number) {
        c->pid = pid;
        c->state = CHILD_RUNNING;
        c->tail_len = 0;
        c->tail[0] = '\0';
    }
    if (first) {
        c->started = true;
        c->start_error = number;
    }
    (void)pthread_cond_broadcast(&c->changed);
    (void)pthread_mutex_unlock(&c->mu);
    if (number) {
        if (!first)
            LOG_ERROR("child process cannot be started", LOG_STR("child", c->name),
                      LOG_STR("error", strerror(number)));
        return false;
    }
    attend(c, pid, output);
    (void)close(output);
    reap(c, pid);
    return true;
}

static void log_exit(struct child *c, int64_t wait_ns)
{
    int status;

    (void)pthread_mutex_lock(&c->mu);
    status = c->wait_status;
    (void)pthread_mutex_unlock(&c->mu);
    LOG_WARN("child process ended", LOG_STR("child", c->name),
             WIFSIGNALED(status) ? LOG_INT("signal", WTERMSIG(status))
                                 : LOG_INT("status", WEXITSTATUS(status)),
             LOG_INT("restart_ms", wait_ns / CLOCK_MS));
}

static void *supervise(void *arg)
{
    struct child *c = arg;
    int64_t backoff = BACKOFF_MIN_NS;
    bool first = true;

    for (;;) {
        int64_t start = clock_mono_ns();
        int64_t deadline;
        bool ran = run_once(c, first);
        bool ends;

        if (clock_mono_ns() - start >= HEALTHY_NS)
            backoff = BACKOFF_MIN_NS;
        deadline = clock_deadline(backoff);
        (void)pthread_mutex_lock(&c->mu);
        ends = c->stopping || !c->restart || (first && !ran);
        (void)pthread_mutex_unlock(&c->mu);
        if (!ends && ran)
            log_exit(c, backoff);
        first = false;
        (void)pthread_mutex_lock(&c->mu);
        while (!ends && !c->stopping)
            if (!clock_cond_wait(&c->changed, &c->mu, deadline))
                break;
        ends = ends || c->stopping;
        if (ends) {
            c->state = CHILD_STOPPED;
            (void)pthread_cond_broadcast(&c->changed);
        }
        (void)pthread_mutex_unlock(&c->mu);
        if (ends)
            return NULL;
        backoff = backoff * 2 < BACKOFF_MAX_NS ? backoff * 2 : BACKOFF_MAX_NS;
    }
}

/* ---- the owner's side ---------------------------------------------------------------------- */

static void destroy(struct child *c)
{
    for (char **a = c->argv; a && *a; a++)
        free(*a);
    free(c->argv);
    free(c->name);
    free(c->path);
    (void)pthread_cond_destroy(&c->changed);
    (void)pthread_mutex_destroy(&c->mu);
    free(c);
}

static char **copy_argv(const char *const *argv)
{
    size_t n = 0;
    char **copy;

    while (argv[n])
        n++;
    copy = calloc(n + 1, sizeof *copy);
    for (size_t i = 0; copy && i < n; i++) {
        copy[i] = strdup(argv[i]);
        if (!copy[i]) {
            while (i > 0)
                free(copy[--i]);
            free(copy);
            return NULL;
        }
    }
    return copy;
}

enum err_code child_start(struct child **out, const struct child_options *opt, struct err *e)
{
    struct child *c = calloc(1, sizeof *c);
    int number;

    *out = NULL;
    if (!c)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    (void)pthread_mutex_init(&c->mu, NULL);
    clock_cond_init(&c->changed);
    c->name = strdup(opt->name);
    c->path = strdup(opt->path);
    c->argv = copy_argv(opt->argv);
    c->inherit_fd = opt->inherit_fd;
    c->log_output = opt->log_output;
    c->restart = opt->restart;
    c->state = CHILD_WAITING;
    if (!c->name || !c->path || !c->argv) {
        destroy(c);
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    }
    number = pthread_create(&c->thread, NULL, supervise, c);
    if (number) {
        destroy(c);
        return err_set(e, ERR_NO_MEMORY, "cannot create a thread: %s", strerror(number));
    }
    (void)pthread_mutex_lock(&c->mu);
    while (!c->started)
        (void)pthread_cond_wait(&c->changed, &c->mu);
    number = c->start_error;
    (void)pthread_mutex_unlock(&c->mu);
    if (number) {
        (void)pthread_join(c->thread, NULL);
        (void)err_set(e, ERR_CONFIG, "cannot run %s: %s", c->path, strerror(number));
        destroy(c);
        return e->code;
    }
    *out = c;
    return ERR_OK;
}

void child_query(struct child *c, struct child_status *out)
{
    (void)pthread_mutex_lock(&c->mu);
    out->state = c->state;
    out->pid = c->pid;
    out->exits = c->exits;
    out->wait_status = c->wait_status;
    memcpy(out->tail, c->tail, c->tail_len + 1);
    (void)pthread_mutex_unlock(&c->mu);
}

bool child_wait_exit(struct child *c, uint64_t exits, int64_t deadline_ns)
{
    bool more;

    (void)pthread_mutex_lock(&c->mu);
    while (c->exits <= exits && c->state != CHILD_STOPPED)
        if (!clock_cond_wait(&c->changed, &c->mu, deadline_ns))
            break;
    more = c->exits > exits;
    (void)pthread_mutex_unlock(&c->mu);
    return more;
}

pid_t child_signal(struct child *c, uint64_t exits, int number)
{
    (void)pthread_mutex_lock(&c->mu);
    pid_t pid = c->exits == exits ? c->pid : 0;
    if (pid && kill(pid, number) != 0)
        pid = 0;
    (void)pthread_mutex_unlock(&c->mu);
    return pid;
}

void child_stop(struct child *c, int64_t deadline_ns)
{
    if (c->joined)
        return;
    (void)pthread_mutex_lock(&c->mu);
    c->stopping = true;
    if (c->pid)
        (void)kill(c->pid, SIGTERM);
    (void)pthread_cond_broadcast(&c->changed);
    while (c->state != CHILD_STOPPED)
        if (!clock_cond_wait(&c->changed, &c->mu, deadline_ns))
            break;
    if (c->pid) {
        LOG_WARN("child process is killed: it did not end in time", LOG_STR("child", c->name));
        (void)kill(c->pid, SIGKILL);
    }
    (void)pthread_mutex_unlock(&c->mu);
    (void)pthread_join(c->thread, NULL);
    c->joined = true;
}

void child_free(struct child *c)
{
    if (!c)
        return;
    child_stop(c, clock_mono_ns());
    destroy(c);
}

/* ---- programs that end by themselves -------------------------------------------------------- */

bool child_find(const char *name, char *out, size_t size)
{
    const char *path = getenv("PATH");
    int n;

    if (strchr(name, '/')) {
        n = snprintf(out, size, "%s", name);
        return n > 0 && (size_t)n < size && access(out, X_OK) == 0;
    }
    for (const char *p = path ? path : "/usr/local/bin:/usr/bin:/bin:/usr/sbin"; *p;) {
        size_t len = strcspn(p, ":");

        n = snprintf(out, size, "%.*s/%s", len ? (int)len : 1, len ? p : ".", name);
        if (n > 0 && (size_t)n < size && access(out, X_OK) == 0)
            return true;
        p += len + (p[len] == ':');
    }
    return false;
}

/* Reads until the end of the pipe; false at the deadline. */
static bool collect(int fd, struct buf *output, int64_t deadline_ns)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = deadline_ns - clock_mono_ns();
        char bytes[4096];
        ssize_t n;

        if (left <= 0)
            return false;
        if (poll(&p, 1, left > 60 * CLOCK_S ? 60000 : (int)(left / CLOCK_MS) + 1) <= 0)
            continue;
        n = read(fd, bytes, sizeof bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return true;
        buf_put(output, bytes, (size_t)n);
    }
}

/* A process that closed its output is about to exit, as a rule: no reason to sleep long. */
static bool ends_before(pid_t pid, int64_t deadline_ns)
{
    while (!has_exited(pid)) {
        if (clock_mono_ns() >= deadline_ns)
            return false;
        (void)poll(NULL, 0, 1);
    }
    return true;
}

enum err_code child_run(const char *path, const char *const *argv, struct buf *output,
                        int *wait_status, int64_t deadline_ns, struct err *e)
{
    char **copy = copy_argv(argv);
    bool in_time;
    int fd = -1;
    pid_t pid = 0;
    int number = copy ? spawn(path, copy, -1, false, &pid, &fd) : ENOMEM;

    for (char **a = copy; a && *a; a++)
        free(*a);
    free(copy);
    if (number)
        return err_set(e, ERR_CONFIG, "cannot run %s: %s", path, strerror(number));
    in_time = collect(fd, output, deadline_ns);
    (void)close(fd);
    in_time = in_time && ends_before(pid, deadline_ns);
    if (!in_time)
        (void)kill(pid, SIGKILL);
    while (waitpid(pid, wait_status, 0) < 0 && errno == EINTR)
        ;
    return in_time ? ERR_OK : err_set(e, ERR_TIMEOUT, "%s did not end in time", path);
}
