/*
 * How a person names a transaction of the log: `150` is the only or the first one of message 150,
 * `150.2` its second. Pure; any thread.
 */
#ifndef HA_PROTO_ADDRESS_H
#define HA_PROTO_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#define ADDRESS_SIZE 32 /* bytes of its text, terminator included */

struct address {
    uint64_t seq;
    unsigned index; /* 1-based place in the message; 0 = not said, which means the first */
};

/* "150" or "150.2". False for everything else; `150.0` is nothing. */
bool address_parse(const char *text, struct address *out);
/* Without the place where that is 0 or 1; seq 0 is "not in the log yet". */
void address_print(const struct address *a, char out[ADDRESS_SIZE]);

#endif
