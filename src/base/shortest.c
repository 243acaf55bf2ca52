/*
 * Schubfach: R. Giulietti, "The Schubfach way to render doubles" (2022). Section numbers are the
 * paper's.
 *
 * What reads back as the double v is an interval around it. With 10^k just smaller than that
 * interval is wide, it holds a multiple of 10^k and at most one of 10^(k+1). So four candidates are
 * enough: the multiples of both on either side of v. They are compared in units of 10^k / 4, where
 * v and the interval's ends are rounded to odd (9.4), which keeps every comparison right.
 */
#include "base/shortest.h"

#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define POWER_MIN (-292) /* of ten, for the largest double … */
#define POWER_MAX 324    /* … and the smallest */
#define PLAIN_MIN (-4)   /* exponents of the first digit that are written without one */
#define PLAIN_MAX 14

typedef unsigned __int128 u128;

/* 10^i / 2^(floor(log2(10^i)) - 127), rounded up: their first 128 bits. */
static u128 powers[POWER_MAX - POWER_MIN + 1];
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* ---- the powers of ten ---- */

/* A long integer, the least significant word first: 10^324 has 1,077 bits. */
#define WORDS 20

static void multiply(uint64_t n[WORDS], unsigned by)
{
    u128 carry = 0;

    for (int i = 0; i < WORDS; i++) {
        carry += (u128)n[i] * by;
        n[i] = (uint64_t)carry;
        carry >>= 64;
    }
}

static void divide(uint64_t n[WORDS], unsigned by)
{
    u128 rest = 0;

    for (int i = WORDS; i-- > 0;) {
        rest = rest << 64 | n[i];
        n[i] = (uint64_t)(rest / by);
        rest %= by;
    }
}

/* The first 128 bits, rounded up. `inexact`: something was lost behind the last word already. */
static u128 first_bits(const uint64_t n[WORDS], bool inexact)
{
    int top = WORDS - 1;

    while (n[top] == 0)
        top--;
    int shift = __builtin_clzll(n[top]);
    uint64_t w[3] = {top > 1 ? n[top - 2] : 0, top > 0 ? n[top - 1] : 0, n[top]};
    u128 bits = (u128)w[2] << 64 | w[1];
    if (shift > 0)
        bits = bits << shift | w[0] >> (64 - shift);
    inexact = inexact || w[0] << shift;
    for (int i = 0; i < top - 2; i++)
        inexact = inexact || n[i];
    return bits + inexact;
}

static void compute_powers(void)
{
    uint64_t n[WORDS] = {1};

    for (int i = 0; i <= POWER_MAX; i++, multiply(n, 10))
        powers[i - POWER_MIN] = first_bits(n, false);
    /* 2^1216 / 10^i: dividing a quotient that was rounded down gives the same as dividing once. */
    memset(n, 0, sizeof n);
    n[WORDS - 1] = 1;
    for (int i = -1; i >= POWER_MIN; i--) {
        divide(n, 10);
        powers[i - POWER_MIN] = first_bits(n, true);
    }
}

/* ---- one double ---- */

/* floor(log10(2^e)), of 3/4 × 2^e where `closer`; floor(log2(10^e)) */
static int log10_of_2(int e, bool closer)
{
    return (e * 1262611 - (closer ? 524031 : 0)) >> 22;
}

static int log2_of_10(int e)
{
    return (e * 1741647) >> 19;
}

/* power × n / 2^128, its last bit set if anything was cut off. */
static uint64_t scale_to_odd(u128 power, uint64_t n)
{
    u128 low = (u128)(uint64_t)power * n;
    u128 high = (u128)(uint64_t)(power >> 64) * n + (low >> 64);

    return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

static struct shortest without_zeros(uint64_t digits, int exponent)
{
    if (digits % 100000000 == 0) {
        digits /= 100000000;
        exponent += 8;
    }
    while (digits % 10 == 0) {
        digits /= 10;
        exponent++;
    }
    return (struct shortest){digits, exponent};
}

/* c × 2^q; `closer`: the double below is only half as far away as the one above. */
static struct shortest schubfach(uint64_t c, int q, bool closer)
{
    int k = log10_of_2(q, closer), h = q + log2_of_10(-k) + 1;
    u128 power = powers[-k - POWER_MIN];
    uint64_t v = scale_to_odd(power, 4 * c << h);
    /* The ends of the interval are left out, as PostgreSQL does: only whoever rounds half to even
     * reads them back as v, where v is even. */
    uint64_t low = scale_to_odd(power, (4 * c - (closer ? 1 : 2)) << h) + 1;
    uint64_t high = scale_to_odd(power, (4 * c + 2) << h) - 1;
    uint64_t s = v / 4, ten = s / 10 * 10;

    if (s >= 10) {
        bool below = low <= 4 * ten, above = 4 * ten + 40 <= high;
        if (below != above)
            return without_zeros(ten / 10 + above, k + 1);
    }
    bool below = low <= 4 * s, above = 4 * s + 4 <= high;
    if (below == above)
        above = v > 4 * s + 2 || (v == 4 * s + 2 && (s & 1));
    return without_zeros(s + above, k);
}

struct shortest shortest_of(double r)
{
    uint64_t bits, fraction;
    int exponent;

    memcpy(&bits, &r, sizeof bits);
    fraction = bits & ((UINT64_C(1) << 52) - 1);
    exponent = (int)(bits >> 52 & 0x7FF);
    r = fabs(r);
    if (r == 0)
        return (struct shortest){0, 0};
    if (r < 0x1p53 && r == (double)(uint64_t)r)
        return without_zeros((uint64_t)r, 0);
    pthread_once(&once, compute_powers);
    if (exponent == 0)
        return schubfach(fraction, -1074, false);
    return schubfach(fraction | UINT64_C(1) << 52, exponent - 1075, fraction == 0 && exponent > 1);
}

/* ---- text ---- */

static char *put_exponent(char *p, int e)
{
    *p++ = 'e';
    *p++ = e < 0 ? '-' : '+';
    e = e < 0 ? -e : e;
    if (e >= 100)
        *p++ = (char)('0' + e / 100);
    *p++ = (char)('0' + e / 10 % 10);
    *p++ = (char)('0' + e % 10);
    return p;
}

size_t shortest_put(char out[SHORTEST_BYTES], double r)
{
    struct shortest s = shortest_of(r);
    char digits[20];
    int n = 0;
    char *p = out;

    do
        digits[sizeof digits - (size_t)++n] = (char)('0' + s.digits % 10);
    while ((s.digits /= 10) > 0);
    const char *d = digits + sizeof digits - n;
    int first = s.exponent + n - 1; /* exponent of the first digit */
    if (signbit(r))
        *p++ = '-';
    if (first < PLAIN_MIN || first > PLAIN_MAX) {
        *p++ = *d++;
        if (n > 1)
            *p++ = '.';
        p = mempcpy(p, d, (size_t)n - 1);
        p = put_exponent(p, first);
    } else if (first < 0) {
        p = mempcpy(p, "0.000", (size_t)(1 - first));
        p = mempcpy(p, d, (size_t)n);
    } else if (first + 1 < n) {
        p = mempcpy(p, d, (size_t)first + 1);
        *p++ = '.';
        p = mempcpy(p, d + first + 1, (size_t)(n - first - 1));
    } else {
        p = mempcpy(p, d, (size_t)n);
        memset(p, '0', (size_t)s.exponent);
        p += s.exponent;
    }
    return (size_t)(p - out);
}
