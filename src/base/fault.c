/* Fault points of the test build; an empty file in every other. */
#include "base/fault.h"

#ifdef HA_FAULTS

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FAULT_MAX       32 /* armed points */
#define FAULT_NAME_SIZE 64
#define FAULT_PATH_SIZE 256
#define FAULT_LOOK_MS   5 /* between two looks at the file of a hold */

struct fault {
    char name[FAULT_NAME_SIZE];
    enum { FAULT_KILL, FAULT_FAIL, FAULT_PAUSE, FAULT_HOLD } action;
    unsigned long at; /* pass at which it acts; 0 = every pass */
    unsigned long pause_ms;
    char path[FAULT_PATH_SIZE]; /* FAULT_HOLD */
    atomic_ulong passes;
};

static struct fault faults[FAULT_MAX]; /* immutable after init, but for `passes` */
static size_t n_faults;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* A mistyped fault would make a test pass for the wrong reason: say so and end. */
static void refuse(const char *spec)
{
    (void)fprintf(stderr, "HA_FAULT: cannot read '%s'\n", spec);
    _exit(2);
}

static void arm(const char *spec)
{
    struct fault *f = &faults[n_faults];
    const char *eq = strchr(spec, '=');
    char *end = NULL;

    if (n_faults == FAULT_MAX || !eq || eq == spec || eq - spec >= FAULT_NAME_SIZE)
        refuse(spec);
    memcpy(f->name, spec, (size_t)(eq - spec));
    f->name[eq - spec] = '\0';
    eq++;
    if (strncmp(eq, "kill", 4) == 0) {
        f->action = FAULT_KILL;
        f->at = 1;
        eq += 4;
    } else if (strncmp(eq, "fail", 4) == 0) {
        f->action = FAULT_FAIL;
        eq += 4;
    } else if (strncmp(eq, "pause:", 6) == 0) {
        f->action = FAULT_PAUSE;
        f->pause_ms = strtoul(eq + 6, &end, 10);
        if (end == eq + 6)
            refuse(spec);
        eq = end;
    } else if (strncmp(eq, "hold:", 5) == 0 && strlen(eq + 5) < FAULT_PATH_SIZE) {
        f->action = FAULT_HOLD;
        memcpy(f->path, eq + 5, strlen(eq + 5) + 1);
        eq += strlen(eq);
    } else {
        refuse(spec);
    }
    if (*eq == '@' && f->action != FAULT_PAUSE) {
        f->at = strtoul(eq + 1, &end, 10);
        if (end == eq + 1 || f->at == 0)
            refuse(spec);
        eq = end;
    }
    if (*eq)
        refuse(spec);
    n_faults++;
}

static void arm_all(void)
{
    const char *env = getenv("HA_FAULT");
    char *copy, *save = NULL;

    if (!env || !*env)
        return;
    copy = strdup(env);
    if (!copy)
        refuse(env);
    for (char *s = strtok_r(copy, ",", &save); s; s = strtok_r(NULL, ",", &save))
        arm(s);
    free(copy);
}

static void pause_for(unsigned long ms)
{
    struct timespec ts = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};

    while (nanosleep(&ts, &ts) != 0)
        ;
}

static void hold(const char *path)
{
    char here[FAULT_PATH_SIZE + sizeof ".here"];
    int fd;

    (void)snprintf(here, sizeof here, "%s.here", path);
    while (access(path, F_OK) == 0) {
        fd = open(here, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        if (fd >= 0)
            (void)close(fd);
        pause_for(FAULT_LOOK_MS);
    }
}

bool fault_hit(const char *name)
{
    bool fails = false;

    (void)pthread_once(&once, arm_all);
    for (size_t i = 0; i < n_faults; i++) {
        struct fault *f = &faults[i];
        unsigned long pass;

        if (strcmp(f->name, name) != 0)
            continue;
        pass = atomic_fetch_add(&f->passes, 1) + 1;
        if (f->at && pass != f->at)
            continue;
        switch (f->action) {
        case FAULT_KILL:
            (void)kill(getpid(), SIGKILL);
            break;
        case FAULT_FAIL:
            fails = true;
            break;
        case FAULT_PAUSE:
            pause_for(f->pause_ms);
            break;
        case FAULT_HOLD:
            hold(f->path);
            break;
        }
    }
    return fails;
}

#else
typedef int fault_is_empty; /* ISO C wants a declaration in every file */
#endif
