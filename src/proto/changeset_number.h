/*
 * JSON numbers, exactly: an INTEGER is one of 64 bits, a REAL the double nearest to the decimal, in
 * any locale of the process. Internal to the changeset reader; any thread.
 */
#ifndef HA_PROTO_CHANGESET_NUMBER_H
#define HA_PROTO_CHANGESET_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/value.h"

#define NUMBER_MAX 1200 /* bytes; the longest double in full takes 1079 */

/* `s` matches JSON's grammar of numbers. False: beyond 64 bits, beyond a double, longer than
 * NUMBER_MAX. */
bool number_parse(const char *s, size_t len, struct value *out);

#endif
