#include "repl/start.h"

#include <ctype.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

/* "2026-01-31T12:34:56.789+01:00"; a blank for the T and no zone (UTC) are accepted. */
static bool parse_time(const char *text, int64_t *ns)
{
    struct tm tm = {0};
    const char *p = strptime(text, "%Y-%m-%d", &tm);
    int64_t fraction = 0, unit = CLOCK_S, offset = 0;

    if (!p || (*p != 'T' && *p != 't' && *p != ' '))
        return false;
    p = strptime(p + 1, "%H:%M:%S", &tm);
    if (!p)
        return false;
    if (*p == '.') {
        for (p++; *p >= '0' && *p <= '9'; p++) {
            unit /= 10;
            fraction += (*p - '0') * unit;
        }
    }
    if (*p == '+' || *p == '-') {
        struct tm zone = {0};
        const char *end = strlen(p) == 6 ? strptime(p + 1, "%H:%M", &zone) : NULL;

        if (!end)
            return false;
        offset = ((int64_t)zone.tm_hour * 60 + zone.tm_min) * 60 * (*p == '-' ? -1 : 1);
        p = end;
    } else if (*p == 'Z' || *p == 'z') {
        p++;
    }
    if (*p || tm.tm_year < 70 || tm.tm_year > 300)
        return false;
    *ns = (int64_t)timegm(&tm) * CLOCK_S - offset * CLOCK_S + fraction;
    return true;
}

enum err_code start_parse(const char *text, enum replica_start *start, uint64_t *seq,
                          int64_t *time_ns, struct err *e)
{
    static const char by_seq[] = "by_start_sequence=", by_time[] = "by_start_time=";
    const char *p = text;
    char *end = NULL;

    *start = REPLICA_START_ALL;
    if (!*p || strcmp(p, "all") == 0)
        return ERR_OK;
    if (strcmp(p, "last") == 0) {
        *start = REPLICA_START_LAST;
        return ERR_OK;
    }
    if (strcmp(p, "new") == 0) {
        *start = REPLICA_START_NEW;
        return ERR_OK;
    }
    if (strncmp(p, by_seq, sizeof by_seq - 1) == 0) {
        p += sizeof by_seq - 1;
        *start = REPLICA_START_SEQ;
        *seq = isdigit((unsigned char)*p) ? strtoull(p, &end, 10) : 0;
        if (*seq == 0 || *seq == ULLONG_MAX || *end)
            return err_set(e, ERR_CONFIG, "'%.100s' is not a sequence", p);
        return ERR_OK;
    }
    if (strncmp(p, by_time, sizeof by_time - 1) == 0) {
        p += sizeof by_time - 1;
        *start = REPLICA_START_TIME;
        if (!parse_time(p, time_ns))
            return err_set(e, ERR_CONFIG, "'%.100s' is not a time like 2026-01-31T12:34:56Z", p);
        return ERR_OK;
    }
    return err_set(e, ERR_CONFIG,
                   "'%.100s' is not all, last, new, by_start_sequence=X or by_start_time=T", p);
}
