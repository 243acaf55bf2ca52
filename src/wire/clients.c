#include "wire/clients.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/stack.h"
#include "core/session.h"

void clients_init(struct clients *l, unsigned max)
{
    *l = (struct clients){.max = max};
    pthread_mutex_init(&l->mu, NULL);
    clock_cond_init(&l->changed);
}

void clients_fini(struct clients *l)
{
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->mu);
}

bool clients_full(struct clients *l)
{
    pthread_mutex_lock(&l->mu);
    bool full = l->n >= l->max;
    pthread_mutex_unlock(&l->mu);
    return full;
}

void clients_prepare_socket(int fd)
{
    static const int on = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

static void unlist_locked(struct clients *l, struct client *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else
        l->first = c->next;
    if (c->next)
        c->next->prev = c->prev;
    l->n--;
    pthread_cond_broadcast(&l->changed);
}

bool clients_start(struct clients *l, struct client *c, void *(*run)(void *), void *arg)
{
    pthread_mutex_lock(&l->mu);
    c->next = l->first;
    if (c->next)
        c->next->prev = c;
    l->first = c;
    l->n++;
    pthread_mutex_unlock(&l->mu);
    if (stack_start(NULL, run, arg) == 0)
        return true;
    pthread_mutex_lock(&l->mu);
    unlist_locked(l, c);
    pthread_mutex_unlock(&l->mu);
    return false;
}

void clients_set_session(struct clients *l, struct client *c, struct session *s)
{
    pthread_mutex_lock(&l->mu);
    c->session = s;
    pthread_mutex_unlock(&l->mu);
}

/* The number must not be reused while clients_stop() may still shut it down. */
void clients_end(struct clients *l, struct client *c)
{
    pthread_mutex_lock(&l->mu);
    close(c->io->fd);
    c->io->fd = -1;
    unlist_locked(l, c);
    pthread_mutex_unlock(&l->mu);
}

static void shut_locked(struct clients *l, int how, bool cancel)
{
    for (struct client *c = l->first; c; c = c->next) {
        if (cancel && c->session)
            session_cancel(c->session);
        if (c->io->fd >= 0)
            (void)shutdown(c->io->fd, how);
    }
}

void clients_stop(struct clients *l, int64_t deadline_ns)
{
    atomic_store(&l->stopping, true);
    pthread_mutex_lock(&l->mu);
    shut_locked(l, SHUT_RD, false);
    while (l->n > 0 && clock_cond_wait(&l->changed, &l->mu, deadline_ns))
        ;
    if (l->n > 0)
        shut_locked(l, SHUT_RDWR, true);
    while (l->n > 0)
        (void)clock_cond_wait(&l->changed, &l->mu, CLOCK_EVER);
    pthread_mutex_unlock(&l->mu);
}
