/*
 * Time. Durations and deadlines come from the monotonic clock, in nanoseconds; the wall clock is
 * only ever written down, never compared. Any thread.
 */
#ifndef HA_BASE_CLOCK_H
#define HA_BASE_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLOCK_MS   INT64_C(1000000)
#define CLOCK_S    INT64_C(1000000000)
#define CLOCK_EVER INT64_MAX /* a deadline that never comes */

int64_t clock_mono_ns(void);
int64_t clock_wall_ns(void); /* since 1970-01-01 UTC */

/* now + duration, saturating at CLOCK_EVER. */
int64_t clock_deadline(int64_t duration_ns);

/* Somewhere in 0 … most - 1 ns: so that nodes which wait for the same thing do not act at once. */
int64_t clock_jitter(int64_t most_ns);

/* "2026-01-31T12:34:56.789Z", terminated; `out` needs CLOCK_TEXT_SIZE bytes. */
#define CLOCK_TEXT_SIZE 32
void clock_format(int64_t wall_ns, char out[CLOCK_TEXT_SIZE]);

/* Sleeps for so long, or shorter where a signal comes. */
void clock_nap(int64_t duration_ns);

/* A condition variable on the monotonic clock, and a wait until a deadline; false = deadline
 * passed. `mu` is held on entry and on return. */
void clock_cond_init(pthread_cond_t *cond);
bool clock_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mu, int64_t deadline_ns);

#endif
