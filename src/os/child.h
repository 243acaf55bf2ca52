/*
 * Child processes: one that is kept running (struct child), and one that is run to its end
 * (child_run). What they print comes here through a pipe.
 *
 *     child_start ──► RUNNING ──exits──► WAITING (back-off) ──► RUNNING …
 *                        └────────────── child_stop ──► STOPPED
 *
 * A supervised child belongs to a supervisor thread that lives until child_stop(), because the
 * kernel's "my parent died" signal (SIGTERM here) is tied to the thread that forked, not to the
 * process. It leads a process group of its own, so that a Ctrl-C at the terminal reaches only us;
 * it inherits no descriptor but the one named in its options.
 *
 * Every function may be called by any thread; child_stop() and child_free() once, by the owner.
 */
#ifndef HA_OS_CHILD_H
#define HA_OS_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

struct child;

struct child_options {
    const char *name;        /* in the log */
    const char *path;        /* the program's file, as child_find() gives it */
    const char *const *argv; /* NULL-terminated, argv[0] included */
    int inherit_fd;          /* stays open in the child, -1 = none */
    bool log_output;         /* every line it prints goes to the log at INFO; else it is dropped */
    bool restart;            /* start it again, with back-off, when it exits by itself */
};

/* Copies the options. ERR_CONFIG if the program cannot be executed; what it does afterwards shows
 * in child_query(). */
enum err_code child_start(struct child **out, const struct child_options *opt, struct err *e);

enum child_state { CHILD_RUNNING, CHILD_WAITING, CHILD_STOPPED };

#define CHILD_TAIL_SIZE 1024

struct child_status {
    enum child_state state;
    pid_t pid;                  /* while running, else 0 */
    uint64_t exits;             /* how often it exited by itself */
    int wait_status;            /* of the last exit, as waitpid() gives it */
    char tail[CHILD_TAIL_SIZE]; /* the last lines it printed, terminated */
};

void child_query(struct child *c, struct child_status *out);

/* Blocks until the child exits by itself (more than `exits` times), or the deadline: then false. */
bool child_wait_exit(struct child *c, uint64_t exits, int64_t deadline_ns);

/* Signals the child if it is still in the life that began after so many exits; its process id, or 0
 * if that one is over: another process that has got its number is never signalled. */
pid_t child_signal(struct child *c, uint64_t exits, int number);

/* SIGTERM, and SIGKILL at the deadline; returns when the child is gone and the supervisor ended. */
void child_stop(struct child *c, int64_t deadline_ns);
void child_free(struct child *c); /* NULL is fine; kills a child that was not stopped */

/* The program's file: `name` itself if it contains a slash, else as found in PATH. */
bool child_find(const char *name, char *out, size_t size);

/* Runs a program to its end, both outputs appended to `output` (up to its limit). ERR_TIMEOUT:
 * killed at the deadline. *wait_status as waitpid() gives it. */
enum err_code child_run(const char *path, const char *const *argv, struct buf *output,
                        int *wait_status, int64_t deadline_ns, struct err *e);

#endif
