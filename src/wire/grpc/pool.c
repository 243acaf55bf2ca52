/*
 * Threads that run calls. A call holds its thread until it ends, as a session of the other
 * protocols does; a thread that is done waits a while for the next call, because most calls are
 * shorter than it takes to start one.
 */
#include "base/clock.h"
#include "base/stack.h"
#include "wire/grpc/conn.h"

#define IDLE_MAX 32u
#define IDLE_NS  (10 * CLOCK_S)

void grpc_pool_init(struct grpc_pool *p)
{
    pthread_mutex_init(&p->mu, NULL);
    clock_cond_init(&p->work);
    clock_cond_init(&p->left);
    p->last = &p->first;
}

/* The next call; NULL: the thread is to end. */
static struct grpc_call *next_locked(struct grpc_pool *p)
{
    int64_t until = clock_deadline(IDLE_NS);
    struct grpc_call *c;

    p->idle++;
    while (!p->first && !p->stopping && p->idle <= IDLE_MAX &&
           clock_cond_wait(&p->work, &p->mu, until))
        ;
    p->idle--;
    c = p->first;
    if (!c)
        return NULL;
    p->first = c->next_work;
    if (!p->first)
        p->last = &p->first;
    p->waiting--;
    return c;
}

static void *thread_run(void *arg)
{
    struct grpc_pool *p = arg;
    struct grpc_call *c;

    pthread_mutex_lock(&p->mu);
    while ((c = next_locked(p))) {
        pthread_mutex_unlock(&p->mu);
        grpc_call_run(c);
        pthread_mutex_lock(&p->mu);
    }
    p->threads--;
    pthread_cond_broadcast(&p->left);
    pthread_mutex_unlock(&p->mu);
    return NULL;
}

bool grpc_pool_run(struct grpc_pool *p, struct grpc_call *c)
{
    bool taken = true;

    pthread_mutex_lock(&p->mu);
    if (p->waiting >= p->idle) {
        taken = p->threads < GRPC_ALL_CALLS_MAX && stack_start(NULL, thread_run, p) == 0;
        p->threads += taken;
    }
    if (taken) {
        c->next_work = NULL;
        *p->last = c;
        p->last = &c->next_work;
        p->waiting++;
        pthread_cond_signal(&p->work);
    }
    pthread_mutex_unlock(&p->mu);
    return taken;
}

void grpc_pool_fini(struct grpc_pool *p)
{
    pthread_mutex_lock(&p->mu);
    p->stopping = true;
    pthread_cond_broadcast(&p->work);
    while (p->threads > 0)
        (void)clock_cond_wait(&p->left, &p->mu, CLOCK_EVER);
    pthread_mutex_unlock(&p->mu);
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->left);
    pthread_mutex_destroy(&p->mu);
}
