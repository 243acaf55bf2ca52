/* Lines are put together in memory and leave with one write(2), so that they never mix. */
#include "base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"

#define LOG_VALUE_MAX  ((size_t)8192) /* bytes of one text; the rest is cut off */
#define LOG_FIELDS_MAX 32             /* fields of one line */

static atomic_int least_level = LOG_LEVEL_INFO;
static atomic_int line_format = LOG_FORMAT_LOGFMT;
static atomic_int target_fd = STDERR_FILENO;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_configure(enum log_level least, enum log_format format)
{
    atomic_store_explicit(&least_level, (int)least, memory_order_relaxed);
    atomic_store_explicit(&line_format, (int)format, memory_order_relaxed);
}

void log_to(int fd)
{
    atomic_store_explicit(&target_fd, fd, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
    if (atomic_load_explicit(&target_fd, memory_order_relaxed) < 0)
        return false;
    return (int)level >= atomic_load_explicit(&least_level, memory_order_relaxed);
}

static bool is_bare(const char *s, size_t n)
{
    if (n == 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c <= ' ' || c >= 0x7F || c == '"' || c == '=' || c == '\\')
            return false;
    }
    return true;
}

static void put_text(struct buf *b, const char *s, bool json)
{
    size_t n = strnlen(s, LOG_VALUE_MAX);

    if (n == LOG_VALUE_MAX) /* longer: not within a character */
        for (int i = 0; i < 3 && ((unsigned char)s[n] & 0xC0) == 0x80; i++)
            n--;
    if (!json && is_bare(s, n))
        buf_put(b, s, n);
    else
        json_put_string(b, s, n);
}

static void put_field(struct buf *b, const struct log_field *f, bool json)
{
    if (json) {
        buf_putc(b, ',');
        json_put_cstr(b, f->key);
        buf_putc(b, ':');
    } else {
        buf_putc(b, ' ');
        buf_puts(b, f->key);
        buf_putc(b, '=');
    }
    switch (f->type) {
    case LOG_FIELD_STR:
        put_text(b, f->v.s ? f->v.s : "", json);
        break;
    case LOG_FIELD_INT:
        buf_i64(b, f->v.i);
        break;
    case LOG_FIELD_UINT:
        buf_u64(b, f->v.u);
        break;
    case LOG_FIELD_REAL:
        if (f->v.r - f->v.r == 0) /* finite */
            json_put_double(b, f->v.r);
        else
            buf_puts(b, json ? "null" : "nan");
        break;
    }
}

static void write_line(const char *data, size_t len)
{
    int fd = atomic_load_explicit(&target_fd, memory_order_relaxed);
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nowhere left to complain */
        data += n;
        len -= (size_t)n;
    }
}

void log_write(enum log_level level, const char *msg, const struct log_field *fields)
{
    int saved = errno;
    bool json = atomic_load_explicit(&line_format, memory_order_relaxed) == LOG_FORMAT_JSON;
    struct buf b = BUF_INIT;
    char when[CLOCK_TEXT_SIZE];

    clock_format(clock_wall_ns(), when);
    buf_printf(&b,
               json ? "{\"time\":\"%s\",\"level\":\"%s\",\"msg\":" : "time=%s level=%s msg=", when,
               level_names[(unsigned)level < 4 ? level : LOG_LEVEL_ERROR]);
    put_text(&b, msg, json);
    for (unsigned i = 0; i < LOG_FIELDS_MAX && fields[i].key; i++)
        put_field(&b, &fields[i], json);
    buf_puts(&b, json ? "}\n" : "\n");
    if (buf_ok(&b))
        write_line(b.data, b.len);
    else
        write_line("msg=\"out of memory while logging\"\n", 34);
    buf_free(&b);
    errno = saved;
}

/* Where the next URL of a comma-separated list begins: a comma, then a scheme and "://". */
static const char *url_end(const char *s)
{
    for (; *s; s++) {
        const char *p = s + 1;
        if (*s != ',')
            continue;
        while ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '+' || *p == ' ')
            p++;
        if (strncmp(p, "://", 3) == 0)
            break;
    }
    return s;
}

static void put_cut(char *out, size_t size, size_t *len, const char *s, size_t n)
{
    if (n > size - 1 - *len)
        n = size - 1 - *len;
    memcpy(out + *len, s, n);
    *len += n;
}

/* When in doubt too much is blanked: everything between "://" and the last "@" of a URL. */
const char *log_url(const char *url, char *out, size_t size)
{
    size_t len = 0;

    if (size == 0)
        return "";
    while (url && *url) {
        const char *end = url_end(url);
        const char *at = memrchr(url, '@', (size_t)(end - url));

        if (at) {
            const char *scheme = memmem(url, (size_t)(at - url), "://", 3);
            if (scheme)
                put_cut(out, size, &len, url, (size_t)(scheme + 3 - url));
            put_cut(out, size, &len, "***", 3);
            url = at;
        }
        put_cut(out, size, &len, url, (size_t)(end - url));
        if (*end == ',')
            put_cut(out, size, &len, end++, 1);
        url = end;
    }
    out[len] = '\0';
    return out;
}
