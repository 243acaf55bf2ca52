/* How much stack the threads have that may run SQL. */
#ifndef HA_BASE_STACK_H
#define HA_BASE_STACK_H

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

#endif
