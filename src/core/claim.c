#include "core/claim.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

struct claim {
    struct claim *next;
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

enum err_code claim_path(const char *path, int64_t deadline_ns, struct err *e)
{
    size_t n = strlen(path) + 1;
    struct claim *c = malloc(sizeof *c + n);
    if (!c)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    memcpy(c->path, path, n);
    pthread_once(&once, init);
    bool in_time = true;
    pthread_mutex_lock(&mu);
    while (*find_locked(path) && in_time)
        in_time = clock_cond_wait(&released, &mu, deadline_ns);
    if (in_time) {
        c->next = claims;
        claims = c;
    }
    pthread_mutex_unlock(&mu);
    if (in_time)
        return ERR_OK;
    free(c);
    return err_set(e, ERR_BUSY, "the file is still open as a database that was dropped");
}

void claim_release(const char *path)
{
    pthread_mutex_lock(&mu);
    struct claim **at = find_locked(path);
    struct claim *c = *at;
    if (c)
        *at = c->next;
    pthread_cond_broadcast(&released);
    pthread_mutex_unlock(&mu);
    free(c);
}
