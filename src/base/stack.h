/* Threads that may run SQL: how much stack they have, and how one is started. */
#ifndef HA_BASE_STACK_H
#define HA_BASE_STACK_H

#include <pthread.h>
#include <stddef.h>

/* SQLite's own limits must come before the stack's end: statements at its limits of depth need up
 * to 700 KiB, a chain of 2,000 views more than 1 MiB. Pages that nobody touches cost nothing, and
 * below 2 MiB no transparent huge page can lie in a stack. Sanitizers put red zones around
 * variables. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_BYTES ((size_t)8 << 20)
#else
#define STACK_BYTES ((size_t)1984 << 10)
#endif

/* Starts run(arg) on a thread of its own. *thread is for the caller to join; where thread is NULL
 * nobody joins it. 0, or an errno value; then run() is not called. Any thread. */
static inline int stack_start(pthread_t *thread, void *(*run)(void *), void *arg)
{
    pthread_attr_t attr;
    pthread_t detached;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    if (!thread)
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int rc = pthread_create(thread ? thread : &detached, &attr, run, arg);
    pthread_attr_destroy(&attr);
    return rc;
}

#endif
