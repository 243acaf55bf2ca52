/* Named locks, GET_LOCK() and its like: the node's own, for migrations that are not to run twice.
 * They end with their connection. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/array.h"
#include "wire/mysql/conn.h"

#define LOCKS_MAX 10000u /* of the server */

struct mysql_lock {
    char *name;
    uint32_t owner; /* the connection's number */
    unsigned count; /* how often it was taken */
};

static struct mysql_lock *find_locked(struct mysql_server *s, const char *name)
{
    for (size_t i = 0; i < s->n_locks; i++)
        if (strcasecmp(s->locks[i].name, name) == 0)
            return &s->locks[i];
    return NULL;
}

static bool add_locked(struct mysql_server *s, const char *name, uint32_t owner)
{
    struct mysql_lock *room = s->n_locks < LOCKS_MAX
                                  ? array_room(s->locks, s->n_locks, &s->cap_locks, sizeof *room)
                                  : NULL;
    char *copy = room ? strdup(name) : NULL;

    if (room)
        s->locks = room;
    if (!copy)
        return false;
    s->locks[s->n_locks++] = (struct mysql_lock){copy, owner, 1};
    return true;
}

static void remove_locked(struct mysql_server *s, struct mysql_lock *l)
{
    free(l->name);
    *l = s->locks[--s->n_locks];
}

static bool lock(void *arg, const char *name)
{
    struct mysql_conn *c = arg;
    struct mysql_server *s = c->server;

    pthread_mutex_lock(&s->locks_mu);
    struct mysql_lock *l = find_locked(s, name);
    bool ok = l ? l->owner == c->id : add_locked(s, name, c->id);
    if (ok && l)
        l->count++;
    pthread_mutex_unlock(&s->locks_mu);
    return ok;
}

static int64_t owner(void *arg, const char *name)
{
    struct mysql_server *s = ((struct mysql_conn *)arg)->server;

    pthread_mutex_lock(&s->locks_mu);
    const struct mysql_lock *l = find_locked(s, name);
    int64_t id = l ? l->owner : 0;
    pthread_mutex_unlock(&s->locks_mu);
    return id;
}

static int unlock(void *arg, const char *name)
{
    struct mysql_conn *c = arg;
    struct mysql_server *s = c->server;
    int rc = -1;

    pthread_mutex_lock(&s->locks_mu);
    struct mysql_lock *l = find_locked(s, name);
    if (l)
        rc = l->owner == c->id;
    if (rc == 1 && --l->count == 0)
        remove_locked(s, l);
    pthread_mutex_unlock(&s->locks_mu);
    return rc;
}

static int64_t unlock_all(void *arg)
{
    struct mysql_conn *c = arg;
    struct mysql_server *s = c->server;
    int64_t n = 0;

    pthread_mutex_lock(&s->locks_mu);
    for (size_t i = s->n_locks; i-- > 0;)
        if (s->locks[i].owner == c->id) {
            n += s->locks[i].count;
            remove_locked(s, &s->locks[i]);
        }
    pthread_mutex_unlock(&s->locks_mu);
    return n;
}

void mysql_locks_begin(struct mysql_conn *c)
{
    c->front = (struct mysql_session){
        .lock = lock, .owner = owner, .unlock = unlock, .unlock_all = unlock_all, .arg = c};
    mysql_session_enter(&c->front);
}

void mysql_locks_release(struct mysql_conn *c)
{
    (void)unlock_all(c);
}

void mysql_locks_free(struct mysql_server *s)
{
    for (size_t i = 0; i < s->n_locks; i++)
        free(s->locks[i].name);
    free(s->locks);
}
