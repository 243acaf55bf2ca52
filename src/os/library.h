/* Libraries that are loaded when they are first needed: a node, which is the same program, does
 * without them. Any thread. */
#ifndef HA_OS_LIBRARY_H
#define HA_OS_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

/* Stores the function of that name in the pointer of `size` bytes at `function`. */
bool library_find(void *library, const char *name, void *function, size_t size);

#endif
