#include "proto/changeset_number.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void make_c_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

static bool parse_integer(const char *s, size_t len, int64_t *out)
{
    bool negative = s[0] == '-';
    uint64_t v = 0, most = (uint64_t)INT64_MAX + negative;

    for (size_t i = negative; i < len; i++) {
        unsigned d = (unsigned)(s[i] - '0');

        if (v > most / 10 || (v == most / 10 && d > most % 10))
            return false;
        v = v * 10 + d;
    }
    *out = (int64_t)(negative ? 0 - v : v);
    return true;
}

/*
 * Short decimals: where the digits fit into 53 bits and the power of ten is exact as a double, one
 * multiplication or division gives the nearest double (Clinger's fast path).
 */
static bool parse_short(const char *s, size_t len, double *out)
{
    static const double pow10[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const char *end = s + len;
    bool negative = *s == '-', fraction = false;
    uint64_t m = 0;
    int exponent = 0, written = 0, digits = 0;
    double r;

    for (s += negative; s < end && *s != 'e' && *s != 'E'; s++) {
        if (*s == '.') {
            fraction = true;
            continue;
        }
        if (m > 0 || *s != '0')
            digits++;
        if (digits > 18)
            return false;
        m = m * 10 + (uint64_t)(*s - '0');
        exponent -= fraction;
    }
    if (s < end) {
        bool minus = *++s == '-';

        for (s += minus || *s == '+'; s < end; s++) {
            if (written > 999)
                return false;
            written = written * 10 + (*s - '0');
        }
        exponent += minus ? -written : written;
    }
    if (m > UINT64_C(1) << 53 || exponent < -22 || exponent > 22)
        return false;
    r = exponent < 0 ? (double)m / pow10[-exponent] : (double)m * pow10[exponent];
    *out = negative ? -r : r;
    return true;
}

static bool parse_real(const char *s, size_t len, double *out)
{
    char text[NUMBER_MAX + 1];

    if (parse_short(s, len, out))
        return true;
    (void)pthread_once(&c_locale_once, make_c_locale);
    memcpy(text, s, len);
    text[len] = '\0';
    *out = c_locale ? strtod_l(text, NULL, c_locale) : strtod(text, NULL);
    return isfinite(*out);
}

bool number_parse(const char *s, size_t len, struct value *out)
{
    if (len == 0 || len > NUMBER_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '.' || s[i] == 'e' || s[i] == 'E') {
            out->type = VALUE_REAL;
            return parse_real(s, len, &out->u.r);
        }
    }
    out->type = VALUE_INTEGER;
    return parse_integer(s, len, &out->u.i);
}
