#include "core/claim.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "os/file.h"

#define SUFFIX "-lock"

struct claim {
    struct claim *next;
    int fd;     /* of the lock */
    char *lock; /* its file */
    char path[];
};

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_cond_t released;
static struct claim *claims; /* guarded by mu */

static void init(void)
{
    clock_cond_init(&released);
}

/* mu is held. The link that leads to the claim of `path`, or to the list's end. */
static struct claim **find_locked(const char *path)
{
    struct claim **at = &claims;
    while (*at && strcmp((*at)->path, path) != 0)
        at = &(*at)->next;
    return at;
}

static struct claim *claim_new(const char *path)
{
    size_t n = strlen(path) + 1;
    struct claim *c = malloc(sizeof *c + n + n - 1 + sizeof SUFFIX);
    if (!c)
        return NULL;
    c->fd = -1;
    c->lock = c->path + n;
    memcpy(c->path, path, n);
    memcpy(c->lock, path, n - 1);
    memcpy(c->lock + n - 1, SUFFIX, sizeof SUFFIX);
    return c;
}

static bool claim_here(struct claim *c, int64_t deadline_ns)
{
    bool in_time = true;
    pthread_once(&once, init);
    pthread_mutex_lock(&mu);
    while (*find_locked(c->path) && in_time)
        in_time = clock_cond_wait(&released, &mu, deadline_ns);
    if (in_time) {
        c->next = claims;
        claims = c;
    }
    pthread_mutex_unlock(&mu);
    return in_time;
}

enum err_code claim_path(const char *path, int64_t deadline_ns, struct err *e)
{
    struct claim *c = claim_new(path);
    if (!c)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    if (!claim_here(c, deadline_ns)) {
        free(c);
        return err_set(e, ERR_BUSY, "the file is still open as a database that was dropped");
    }
    enum err_code code = file_lock(&c->fd, c->lock, deadline_ns, e);
    /* No place for any file: opening the database will say so. */
    if (code == ERR_CONFIG && access(c->lock, F_OK) != 0) {
        err_clear(e);
        return ERR_OK;
    }
    if (code != ERR_OK)
        claim_release(path);
    return code == ERR_BUSY ? err_wrap(e, "%s is open in another node", path) : code;
}

void claim_release(const char *path)
{
    pthread_mutex_lock(&mu);
    struct claim **at = find_locked(path);
    struct claim *c = *at;
    if (c)
        *at = c->next;
    if (c)
        file_lock_remove(c->fd, c->lock);
    pthread_cond_broadcast(&released);
    pthread_mutex_unlock(&mu);
    free(c);
}

void claim_forget(void)
{
    for (struct claim *c = claims; c; c = c->next) {
        if (c->fd >= 0)
            (void)close(c->fd);
        c->fd = -1;
    }
}
