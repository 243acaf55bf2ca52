/* The table of err.h as lookups, and texts cut where UTF-8 allows. */
#include "base/err.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *text, *sqlstate;
    int mysql, http, grpc;
} errs[] = {
#define X(name, text, sqlstate, mysql, http, grpc) {#name, text, sqlstate, mysql, http, grpc},
    ERR_TABLE(X)
#undef X
};

/* Ends the text of `size` bytes (terminator included) before a character that was cut in two. */
static void cut_at_character(char *s, size_t size)
{
    size_t end = strnlen(s, size - 1);
    size_t start = end;

    while (start > 0 && end - start < 4 && ((unsigned char)s[start - 1] & 0xC0) == 0x80)
        start--;
    if (start > 0) {
        unsigned char lead = (unsigned char)s[start - 1];
        size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
        if (want > 1 && end - (start - 1) < want)
            end = start - 1;
    }
    s[end] = '\0';
}

static void print_cut(char *out, size_t size, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

static void print_cut(char *out, size_t size, const char *fmt, va_list ap)
{
    int n = vsnprintf(out, size, fmt, ap);

    if (n < 0)
        out[0] = '\0';
    else if ((size_t)n >= size)
        cut_at_character(out, size);
}

enum err_code err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
    /* The arguments may point into e->msg, so the new text is made elsewhere. */
    char text[ERR_MSG_SIZE];
    va_list ap;

    va_start(ap, fmt);
    print_cut(text, sizeof text, fmt, ap);
    va_end(ap);
    e->code = code;
    e->sqlite_code = 0;
    e->offset = -1;
    e->sqlstate[0] = '\0';
    e->number = 0;
    memcpy(e->msg, text, strlen(text) + 1);
    return code;
}

enum err_code err_wrap(struct err *e, const char *fmt, ...)
{
    char text[ERR_MSG_SIZE];
    va_list ap;
    size_t n;
    size_t old = strlen(e->msg);

    va_start(ap, fmt);
    print_cut(text, sizeof text - 2, fmt, ap);
    va_end(ap);
    n = strlen(text);
    memcpy(text + n, ": ", 3);
    n += 2;
    if (n + old < sizeof text) {
        memcpy(text + n, e->msg, old + 1);
    } else {
        memcpy(text + n, e->msg, sizeof text - 1 - n);
        text[sizeof text - 1] = '\0';
        cut_at_character(text, sizeof text);
    }
    memcpy(e->msg, text, strlen(text) + 1);
    return e->code;
}

void err_clear(struct err *e)
{
    e->code = ERR_OK;
    e->sqlite_code = 0;
    e->offset = -1;
    e->sqlstate[0] = '\0';
    e->number = 0;
    e->msg[0] = '\0';
}

static size_t row(enum err_code code)
{
    return (unsigned)code < ERR_COUNT ? (size_t)code : (size_t)ERR_INTERNAL;
}

const char *err_name(enum err_code code)
{
    return errs[row(code)].name;
}

enum err_code err_of_name(const char *name, size_t len)
{
    for (int i = 0; i < ERR_COUNT; i++)
        if (strlen(err_name((enum err_code)i)) == len &&
            memcmp(err_name((enum err_code)i), name, len) == 0)
            return (enum err_code)i;
    return ERR_INTERNAL;
}

enum err_code err_of_sqlstate(const char *state)
{
    static const struct {
        const char *class;
        enum err_code code;
    } classes[] = {{"08", ERR_IO},        {"22", ERR_PARAM},   {"23", ERR_CONSTRAINT},
                   {"25", ERR_TX_NONE},   {"28", ERR_AUTH},    {"40", ERR_CONFLICT},
                   {"53", ERR_NO_MEMORY}, {"54", ERR_TOO_BIG}, {"57", ERR_SHUTDOWN},
                   {"58", ERR_IO},        {"XX", ERR_INTERNAL}};

    for (int i = 0; i < ERR_COUNT; i++)
        if (i != ERR_OK && strcmp(err_sqlstate((enum err_code)i), state) == 0)
            return (enum err_code)i;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (strncmp(classes[i].class, state, 2) == 0)
            return classes[i].code;
    return ERR_SQL;
}

const char *err_text(enum err_code code)
{
    return errs[row(code)].text;
}

const char *err_sqlstate(enum err_code code)
{
    return errs[row(code)].sqlstate;
}

const char *err_state(const struct err *e)
{
    return e->sqlstate[0] ? e->sqlstate : err_sqlstate(e->code);
}

int err_mysql(enum err_code code)
{
    return errs[row(code)].mysql;
}

int err_http(enum err_code code)
{
    return errs[row(code)].http;
}

int err_grpc(enum err_code code)
{
    return errs[row(code)].grpc;
}

bool err_is_transient(enum err_code code)
{
    switch (code) {
    case ERR_CONFLICT:
    case ERR_TX_IDLE:
    case ERR_BUSY:
    case ERR_TOO_MANY:
    case ERR_NO_MEMORY:
    case ERR_LOG_UNAVAILABLE:
    case ERR_NO_LEADER:
    case ERR_LAGGING:
    case ERR_SHUTDOWN:
    case ERR_TIMEOUT:
        return true;
    default:
        return false;
    }
}
