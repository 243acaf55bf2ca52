/* Lengths of time as Go writes them. Any thread. */
#ifndef HA_BASE_DURATION_H
#define HA_BASE_DURATION_H

#include <stdbool.h>
#include <stdint.h>

/* "15s", "1m30s", "1.5h", "300ms", "0". False if it is none, negative or too long. */
bool duration_parse(const char *text, int64_t *ns);

#endif
