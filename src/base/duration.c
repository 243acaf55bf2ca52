#include "base/duration.h"

#include <stddef.h>
#include <string.h>

#include "base/digits.h"

static const struct {
    const char *name;
    uint64_t ns;
} units[] = {
    {"ns", 1},       {"us", 1000},      {"\xC2\xB5s", 1000}, {"\xCE\xBCs", 1000},
    {"ms", 1000000}, {"s", 1000000000}, {"m", 60000000000},  {"h", 3600000000000},
};

/* One "1.5h". */
static bool parse_part(const char **p, uint64_t *ns)
{
    uint64_t whole = 0, scale = 1, fraction = 0;
    const char *start = *p;
    bool digits = digits_read(p, &whole);

    if (!digits && *p != start) /* too large */
        return false;
    if (**p == '.') {
        (*p)++;
        for (; **p >= '0' && **p <= '9'; (*p)++) {
            digits = true;
            if (scale < 1000000000) { /* digits beyond the ninth are below a nanosecond */
                scale *= 10;
                fraction = fraction * 10 + (uint64_t)(**p - '0');
            }
        }
    }
    if (!digits)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t n = strlen(units[i].name);
        uint64_t unit = units[i].ns;

        /* "m" is no unit where "ms" stands: the table has "ms" first. */
        if (strncmp(*p, units[i].name, n) != 0)
            continue;
        *p += n;
        if (whole > INT64_MAX / unit)
            return false;
        *ns = whole * unit + (uint64_t)((double)fraction * (double)unit / (double)scale);
        return true;
    }
    return false;
}

bool duration_parse(const char *text, int64_t *ns)
{
    uint64_t total = 0;

    if (*text == '+')
        text++;
    if (strcmp(text, "0") == 0) {
        *ns = 0;
        return true;
    }
    if (!*text)
        return false;
    while (*text) {
        uint64_t part;

        if (!parse_part(&text, &part) || part > INT64_MAX || total > INT64_MAX - part)
            return false;
        total += part;
    }
    *ns = (int64_t)total;
    return true;
}
