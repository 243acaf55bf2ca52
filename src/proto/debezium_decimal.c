#include "proto/debezium_decimal.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK        1000000000U
#define CHUNK_DIGITS 9

/* The magnitude in 32-bit limbs, the most significant one first; owned by the caller. */
static uint32_t *limbs_of(const unsigned char *p, size_t len, bool negative, size_t *n)
{
    size_t limbs = (len + 3) / 4;
    uint32_t *out = calloc(limbs ? limbs : 1, sizeof *out);
    bool carry = negative;

    *n = limbs;
    for (size_t i = 0; out && i < len; i++) { /* from the least significant byte */
        unsigned byte = p[len - 1 - i];
        if (negative) {
            byte = (~byte & 0xFFU) + carry;
            carry = byte > 0xFFU;
            byte &= 0xFFU;
        }
        out[limbs - 1 - i / 4] |= (uint32_t)byte << 8 * (i % 4);
    }
    return out;
}

/* Divides in place; the remainder. */
static uint32_t divide(uint32_t *limbs, size_t n)
{
    uint64_t rest = 0;

    for (size_t i = 0; i < n; i++) {
        uint64_t v = rest << 32 | limbs[i];
        limbs[i] = (uint32_t)(v / CHUNK);
        rest = v % CHUNK;
    }
    return (uint32_t)rest;
}

/* The digits of the magnitude, the last one first; at least one. */
static void put_reversed(struct buf *digits, uint32_t *limbs, size_t n)
{
    while (n > 0 && *limbs == 0) {
        limbs++;
        n--;
    }
    do {
        uint32_t chunk = divide(limbs, n);
        while (n > 0 && *limbs == 0) {
            limbs++;
            n--;
        }
        for (int i = 0; i < CHUNK_DIGITS && (n > 0 || chunk > 0 || i == 0); i++, chunk /= 10)
            buf_putc(digits, (char)('0' + chunk % 10));
    } while (n > 0);
}

bool debezium_put_decimal(struct buf *b, const void *unscaled, size_t len, int64_t scale)
{
    const unsigned char *p = unscaled;
    bool negative = len > 0 && p[0] & 0x80;
    struct buf digits = BUF_INIT;
    size_t n;

    if (len > DEBEZIUM_DECIMAL_BYTES || scale > DEBEZIUM_DECIMAL_SCALE ||
        scale < -DEBEZIUM_DECIMAL_SCALE)
        return false;
    uint32_t *limbs = limbs_of(p, len, negative, &n);
    if (!limbs)
        return false;
    put_reversed(&digits, limbs, n);
    free(limbs);
    for (int64_t i = (int64_t)digits.len; i <= scale; i++) /* one digit before the point */
        buf_putc(&digits, '0');
    bool zero = digits.len == 1 && *buf_cstr(&digits) == '0';
    if (negative)
        buf_putc(b, '-');
    for (size_t i = digits.len; i-- > 0;) {
        buf_putc(b, digits.data[i]);
        if (scale > 0 && (int64_t)i == scale)
            buf_putc(b, '.');
    }
    for (int64_t i = scale; i < 0 && !zero; i++)
        buf_putc(b, '0');
    bool ok = buf_ok(&digits) && buf_ok(b);
    buf_free(&digits);
    return ok;
}
