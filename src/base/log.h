/*
 * The program's log: one line an event on standard error, as logfmt or JSON, times in RFC 3339 UTC.
 *
 *     LOG_INFO("database opened", LOG_STR("db", id), LOG_UINT("seq", seq));
 *
 * Any thread may log; a line is written with one write(2). Secrets never go in: URLs pass through
 * log_url() first, which blanks credentials.
 */
#ifndef HA_BASE_LOG_H
#define HA_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

struct log_field {
    const char *key;
    enum { LOG_FIELD_STR, LOG_FIELD_INT, LOG_FIELD_UINT, LOG_FIELD_REAL } type;
    union {
        const char *s; /* NULL is written as "" */
        int64_t i;
        uint64_t u;
        double r;
    } v;
};

#define LOG_STR(k, val)  ((struct log_field){(k), LOG_FIELD_STR, {.s = (val)}})
#define LOG_INT(k, val)  ((struct log_field){(k), LOG_FIELD_INT, {.i = (int64_t)(val)}})
#define LOG_UINT(k, val) ((struct log_field){(k), LOG_FIELD_UINT, {.u = (uint64_t)(val)}})
#define LOG_REAL(k, val) ((struct log_field){(k), LOG_FIELD_REAL, {.r = (val)}})
#define LOG_END          ((struct log_field){NULL, LOG_FIELD_STR, {.s = NULL}})

void log_configure(enum log_level least, enum log_format format);
/* Lines go to `fd` (borrowed, open as long as anybody logs) from now on; -1: nowhere. A library in
 * a process that is not ours keeps standard error clean with it. */
void log_to(int fd);
bool log_enabled(enum log_level level);

/* `fields` ends with LOG_END. */
void log_write(enum log_level level, const char *msg, const struct log_field *fields);

#define LOG_AT(level, msg, ...)                                                                    \
    do {                                                                                           \
        if (log_enabled(level))                                                                    \
            log_write(level, msg, (const struct log_field[]){__VA_ARGS__});                        \
    } while (0)
#define LOG_DEBUG(...) LOG_AT(LOG_LEVEL_DEBUG, __VA_ARGS__, LOG_END)
#define LOG_INFO(...)  LOG_AT(LOG_LEVEL_INFO, __VA_ARGS__, LOG_END)
#define LOG_WARN(...)  LOG_AT(LOG_LEVEL_WARN, __VA_ARGS__, LOG_END)
#define LOG_ERROR(...) LOG_AT(LOG_LEVEL_ERROR, __VA_ARGS__, LOG_END)

/* Copies `url` with user and password blanked into `out` (always terminated); returns `out`. */
const char *log_url(const char *url, char *out, size_t size);

#endif
