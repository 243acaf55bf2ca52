/* A run of decimal digits as a number. Any thread. */
#ifndef HA_BASE_DIGITS_H
#define HA_BASE_DIGITS_H

#include <stdbool.h>
#include <stdint.h>

/* Moves *p, which ends somewhere, behind the digits that stand there. False: there is none, *p then
 * being where it was, or the number is beyond 64 bits. */
static inline bool digits_read(const char **p, uint64_t *out)
{
    const char *start = *p;

    *out = 0;
    for (; **p >= '0' && **p <= '9'; (*p)++) {
        uint64_t digit = (uint64_t)(**p - '0');
        if (*out > (UINT64_MAX - digit) / 10)
            return false;
        *out = *out * 10 + digit;
    }
    return *p > start;
}

#endif
