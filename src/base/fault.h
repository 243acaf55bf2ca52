/*
 * Named points where a test may make something happen: the process dies, a thread waits, a call
 * fails. Compiled to nothing unless HA_FAULTS is defined (the test build); a release binary has no
 * trace of them.
 *
 * Armed by the environment variable HA_FAULT, read once at start:
 *
 *     HA_FAULT="group.published=kill@3,apply.commit=fail@1,group.begin=pause:200"
 *
 *     name=kill@N      SIGKILL to the own process at the N-th pass (default 1)
 *     name=fail@N      FAULT_FAILS(name) is true at the N-th pass only; fail alone: at every pass
 *     name=pause:MS    every pass waits MS milliseconds
 *     name=hold:FILE   every pass waits as long as the file exists; then there is a FILE.here, too
 *
 * Any thread.
 */
#ifndef HA_BASE_FAULT_H
#define HA_BASE_FAULT_H

#include <stdbool.h>

#ifdef HA_FAULTS
/* True if the caller shall behave as if the call behind this point had failed. */
bool fault_hit(const char *name);
#define FAULT_POINT(name) ((void)fault_hit(name))
#define FAULT_FAILS(name) fault_hit(name)
#else
#define FAULT_POINT(name) ((void)0)
#define FAULT_FAILS(name) false
#endif

#endif
