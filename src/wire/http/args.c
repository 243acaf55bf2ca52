/* What requests say beside their body: path parts, query string, headers. */
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/json.h"
#include "wire/http/exchange.h"

const char *http_decode(struct exchange *x, const char *s, size_t len)
{
    char *out = arena_alloc(x->arena, len + 1);
    size_t n = 0;

    if (!out) {
        err_set(&x->err, ERR_NO_MEMORY, "no memory for the request's path");
        return NULL;
    }
    for (size_t i = 0; i < len; i++) {
        int byte;

        if (s[i] != '%') {
            out[n++] = s[i];
            continue;
        }
        byte = len - i > 2 ? hex_pair(s + i + 1) : -1;
        if (byte < 0) {
            err_set(&x->err, ERR_PROTOCOL,
                    "a %% in the path or query string is not followed by two "
                    "hexadecimal digits");
            return NULL;
        }
        out[n++] = (char)byte;
        i += 2;
    }
    if (!json_is_text(out, n)) {
        err_set(&x->err, ERR_PROTOCOL, "the path or query string is not UTF-8 text");
        return NULL;
    }
    return out;
}

/* A plus sign is a blank in a query string, though not in a path. */
static const char *form_value(struct exchange *x, const char *s, size_t len)
{
    char *blank = arena_strndup(x->arena, s, len);

    if (!blank) {
        err_set(&x->err, ERR_NO_MEMORY, "no memory for the request's query string");
        return NULL;
    }
    for (size_t i = 0; i < len; i++)
        if (blank[i] == '+')
            blank[i] = ' ';
    return http_decode(x, blank, len);
}

/* The decoded value of a query-string argument; *given tells "?name" from an absent one. */
static const char *arg(struct exchange *x, const char *name, bool *given)
{
    size_t name_len = strlen(name), len;

    *given = false;
    for (const char *p = x->request_head.query; *p; p += len + (p[len] == '&')) {
        len = strcspn(p, "&");
        if (len < name_len || strncmp(p, name, name_len) != 0)
            continue;
        if (len > name_len && p[name_len] != '=')
            continue;
        *given = true;
        return len > name_len ? form_value(x, p + name_len + 1, len - name_len - 1) : NULL;
    }
    return NULL;
}

enum err_code http_arg_bool(struct exchange *x, const char *name, bool *out, struct err *e)
{
    bool given;
    const char *s = arg(x, name, &given);

    *out = false;
    if (!given)
        return ERR_OK;
    if (!s || *s == '\0' || strcmp(s, "true") == 0 || strcmp(s, "1") == 0) {
        *out = true;
        return ERR_OK;
    }
    if (strcmp(s, "false") == 0 || strcmp(s, "0") == 0)
        return ERR_OK;
    return err_set(e, ERR_PARAM, "?%s is true or false", name);
}

enum err_code http_arg_text(struct exchange *x, const char *name, const char **out, struct err *e)
{
    bool given;

    *out = arg(x, name, &given);
    if (given && !*out)
        return err_set(e, ERR_PARAM, "?%s has no value", name);
    return ERR_OK;
}

const char *http_header(struct exchange *x, const char *name)
{
    return httphead_field(&x->request_head, name);
}

/* ---- durations ---- */

/* The unit that `s` begins with, and how long its name is. */
static int64_t unit_ns(const char *s, size_t *len)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {
        {"ns", 1},      {"us", 1000},        {"ms", CLOCK_MS},
        {"s", CLOCK_S}, {"m", 60 * CLOCK_S}, {"h", 3600 * CLOCK_S},
    };

    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        *len = strlen(units[i].name);
        if (strncmp(s, units[i].name, *len) == 0)
            return units[i].ns;
    }
    return 0;
}

/* One number with its unit, added to *ns; NULL if there is none. */
static const char *duration_part(const char *s, int64_t *ns)
{
    double number = 0, scale = 1;
    const char *start = s;
    size_t unit_len = 0;
    int64_t unit = CLOCK_S;

    for (; *s >= '0' && *s <= '9'; s++)
        number = number * 10 + (*s - '0');
    if (*s == '.')
        for (s++; *s >= '0' && *s <= '9'; s++)
            number += (scale /= 10) * (*s - '0');
    if (s == start || (s == start + 1 && *start == '.'))
        return NULL;
    if (*s != '\0') {
        unit = unit_ns(s, &unit_len);
        if (unit == 0)
            return NULL;
    }
    number = number * (double)unit + (double)*ns;
    if (number > 9e18) /* nearly what an int64 holds: 285 years */
        return NULL;
    *ns = (int64_t)number;
    return s + unit_len;
}

bool http_duration_parse(const char *s, int64_t *ns)
{
    *ns = 0;
    do
        s = duration_part(s, ns);
    while (s && *s != '\0');
    return s != NULL;
}

/* ---- options of a request ---- */

static bool parse_u64(const char *s, uint64_t *out)
{
    uint64_t u = 0;

    if (*s == '\0')
        return false;
    for (; *s; s++) {
        unsigned digit = (unsigned)(*s - '0');
        if (digit > 9 || u > (UINT64_MAX - digit) / 10)
            return false;
        u = u * 10 + digit;
    }
    *out = u;
    return true;
}

static enum err_code timeout_option(struct exchange *x, int64_t *ns, struct err *e)
{
    bool given;
    const char *s = arg(x, "timeout", &given);

    if (!given)
        s = http_header(x, "HA-Timeout");
    else if (!s)
        s = "";
    if (!s)
        return ERR_OK;
    if (!http_duration_parse(s, ns) || *ns == 0)
        return err_set(e, ERR_PARAM, "the timeout is a duration over zero such as 500ms or 5s");
    return ERR_OK;
}

enum err_code http_request_options(struct exchange *x, struct request_options *o, struct err *e)
{
    const char *seq = http_header(x, "HA-Min-Seq");

    *o = (struct request_options){0};
    if (http_arg_bool(x, "local", &o->local, e) != ERR_OK)
        return e->code;
    if (seq && !parse_u64(seq, &o->min_seq))
        return err_set(e, ERR_PARAM, "HA-Min-Seq is a number, as HA-Seq gives it");
    if (timeout_option(x, &o->timeout_ns, e) != ERR_OK)
        return e->code;
    if (x->err.code != ERR_OK) /* from http_decode() */
        return *e = x->err, e->code;
    return ERR_OK;
}
