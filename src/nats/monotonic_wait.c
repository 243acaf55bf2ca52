/*
 * libnats waits by the monotonic clock.
 *
 * Every wait of libnats (3.4 as well as the newest) ends at a time of the wall clock, for its
 * conditions have the default clock and it calls pthread_cond_timedwait(). A wall clock that is set
 * back by an hour makes such a wait an hour longer: timeouts of the node, which are libnats' waits,
 * would not end. The library offers no other way, so the program puts this function in the place of
 * the C library's. Called by libnats it waits, by the monotonic clock, for as long as the wall
 * clock says that is left. Everyone else, the database's extensions among them, gets the C
 * library's own, which knows which clock a condition was made for.
 *
 * Part of the program only: libha leaves the process that it is in as it is, and has libnats' own
 * behaviour. Absent where a sanitizer has a pthread_cond_timedwait() of its own. No header: nothing
 * calls it by name but libraries.
 */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_ITS_OWN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_ITS_OWN 1
#endif

#ifndef HAS_ITS_OWN

#include <dlfcn.h>
#include <link.h>
#include <nats/nats.h>
#include <pthread.h>
#include <stdint.h>

#include "base/clock.h"

typedef int timedwait_fn(pthread_cond_t *restrict, pthread_mutex_t *restrict,
                         const struct timespec *restrict);

/* Immutable after look_up(). */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static uintptr_t from, to; /* where libnats' code lies; equal = not found */
static timedwait_fn *original;

/* Is this the module that libnats is in? That is the program, where it was linked statically; no
 * file of the program waits by pthread_cond_timedwait() itself. */
static int look_at(struct dl_phdr_info *module, size_t size, void *unused)
{
    uintptr_t known = (uintptr_t)nats_GetVersion;
    (void)size;
    (void)unused;
    for (unsigned i = 0; i < module->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &module->dlpi_phdr[i];
        uintptr_t begin = module->dlpi_addr + segment->p_vaddr;
        if (segment->p_type != PT_LOAD || known < begin || known - begin >= segment->p_memsz)
            continue;
        from = begin;
        to = begin + segment->p_memsz;
        return 1;
    }
    return 0;
}

static void look_up(void)
{
    original = (timedwait_fn *)dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    (void)dl_iterate_phdr(look_at, NULL);
}

/* What is left until a time of the wall clock, as a time of the monotonic one. */
static struct timespec monotonic(const struct timespec *until)
{
    int64_t most = INT64_MAX / CLOCK_S / 2;
    int64_t s = until->tv_sec < most ? until->tv_sec : most;
    int64_t left = s * CLOCK_S + until->tv_nsec - clock_wall_ns();
    int64_t at = clock_deadline(left > 0 ? left : 0);
    return (struct timespec){.tv_sec = (time_t)(at / CLOCK_S), .tv_nsec = (long)(at % CLOCK_S)};
}

__attribute__((visibility("default"))) int pthread_cond_timedwait(
    pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
    const struct timespec *restrict until)
{
    uintptr_t caller = (uintptr_t)__builtin_return_address(0);
    (void)pthread_once(&once, look_up);
    if (original && (caller < from || caller >= to))
        return original(cond, mutex, until);
    struct timespec at = monotonic(until);
    return pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC, &at);
}

#endif
