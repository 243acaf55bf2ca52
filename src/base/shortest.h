/*
 * The shortest decimal that reads back as the same double, however the reader rounds what lies just
 * between two; of several as short as that, the one closest to it. The digits are PostgreSQL's.
 * Pure; any thread.
 */
#ifndef HA_BASE_SHORTEST_H
#define HA_BASE_SHORTEST_H

#include <stddef.h>
#include <stdint.h>

/* digits × 10^exponent; no trailing zeros, zero has exponent 0. At most 17 digits. */
struct shortest {
    uint64_t digits;
    int exponent;
};

/* Of the magnitude; r is finite. */
struct shortest shortest_of(double r);

#define SHORTEST_BYTES 32

/* Text as %.15g has it, but with those digits: 0.5, 100, -1.25e-07. Plain from 1e-4 to below 1e15,
 * with a point in any locale. Not terminated; the number of bytes. r is finite. */
size_t shortest_put(char out[SHORTEST_BYTES], double r);

#endif
