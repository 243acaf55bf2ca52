/*
 * The query part of a SQLite DSN, as the drivers in use spell it:
 *
 *   _foreign_keys=1  _fk=1  foreign_keys=on  _pragma=foreign_keys(1)  _pragma=foreign_keys=1
 *
 * What tells a client library how to behave (_txlock, _loc, _mutex, …) has no meaning on a server
 * and is passed over.
 */
#include <limits.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "sql/conn.h"

#define PARAM_SIZE 128 /* bytes of one decoded name or value, terminator included */

enum param {
    PARAM_FOREIGN_KEYS,
    PARAM_RECURSIVE_TRIGGERS,
    PARAM_CASE_SENSITIVE_LIKE,
    PARAM_BUSY,
    PARAM_SYNC,
    PARAM_CACHE_SIZE,
    PARAM_MMAP,
    PARAM_MODE,
    PARAM_PRAGMA,
    PARAM_CLIENT,  /* passed over */
    PARAM_ONE_OF,  /* only these values */
    PARAM_REFUSED, /* none */
};

static const struct {
    const char *name;
    enum param what;
    bool client;        /* no PRAGMA has this name */
    const char *values; /* PARAM_ONE_OF, separated by blanks, lower case */
    const char *why;    /* PARAM_ONE_OF, PARAM_REFUSED */
} params[] = {
    {"foreign_keys", PARAM_FOREIGN_KEYS, false, NULL, NULL},
    {"fk", PARAM_FOREIGN_KEYS, true, NULL, NULL},
    {"recursive_triggers", PARAM_RECURSIVE_TRIGGERS, false, NULL, NULL},
    {"rt", PARAM_RECURSIVE_TRIGGERS, true, NULL, NULL},
    {"case_sensitive_like", PARAM_CASE_SENSITIVE_LIKE, false, NULL, NULL},
    {"cslike", PARAM_CASE_SENSITIVE_LIKE, true, NULL, NULL},
    {"busy_timeout", PARAM_BUSY, false, NULL, NULL},
    {"timeout", PARAM_BUSY, true, NULL, NULL},
    {"synchronous", PARAM_SYNC, false, NULL, NULL},
    {"sync", PARAM_SYNC, true, NULL, NULL},
    {"cache_size", PARAM_CACHE_SIZE, false, NULL, NULL},
    {"mmap_size", PARAM_MMAP, false, NULL, NULL},
    {"mode", PARAM_MODE, true, NULL, NULL},
    {"pragma", PARAM_PRAGMA, true, NULL, NULL},
    {"txlock", PARAM_CLIENT, true, NULL, NULL},
    {"mutex", PARAM_CLIENT, true, NULL, NULL},
    {"loc", PARAM_CLIENT, true, NULL, NULL},
    {"time_format", PARAM_CLIENT, true, NULL, NULL},
    {"time_integer_format", PARAM_CLIENT, true, NULL, NULL},
    {"texttotime", PARAM_CLIENT, true, NULL, NULL},
    {"inttotime", PARAM_CLIENT, true, NULL, NULL},
    {"journal_mode", PARAM_ONE_OF, false, "wal", "the log depends on the write-ahead log"},
    {"journal", PARAM_ONE_OF, true, "wal", "the log depends on the write-ahead log"},
    {"cache", PARAM_ONE_OF, true, "private", "readers and the writer would block each other"},
    {"locking_mode", PARAM_ONE_OF, false, "normal", "several connections share the file"},
    {"locking", PARAM_ONE_OF, true, "normal", "several connections share the file"},
    {"immutable", PARAM_ONE_OF, true, "0", "the node writes the file"},
    {"nolock", PARAM_ONE_OF, true, "0", "several connections share the file"},
    {"query_only", PARAM_ONE_OF, false, "0 off no false", "the node writes the file"},
    {"writable_schema", PARAM_ONE_OF, false, "0 off no false", "it is not replicated"},
    {"ignore_check_constraints", PARAM_ONE_OF, false, "0 off no false", "nodes would disagree"},
    {"defer_foreign_keys", PARAM_ONE_OF, false, "0 off no false", "it ends with each transaction"},
    {"defer_fk", PARAM_ONE_OF, true, "0 off no false", "it ends with each transaction"},
    {"auto_vacuum", PARAM_ONE_OF, false, "0 none", "there is no setting for it"},
    {"vacuum", PARAM_ONE_OF, true, "0 none", "there is no setting for it"},
    {"secure_delete", PARAM_ONE_OF, false, "0 off no false default", "there is no setting for it"},
    {"temp_store", PARAM_ONE_OF, false, "0 default", "there is no setting for it"},
    {"vfs", PARAM_REFUSED, true, NULL, "the node needs the operating system's own files"},
};

#define PARAM_COUNT (sizeof params / sizeof params[0])

/* ---- pieces ---- */

/* %XX and + decoded; false if it does not fit or is malformed. */
static bool decode(const char *s, size_t len, char out[PARAM_SIZE])
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        char c = s[i];
        if (c == '%') {
            int byte = len - i < 3 ? -1 : hex_pair(s + i + 1);
            if (byte < 0)
                return false;
            c = (char)byte;
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        if (c == '\0' || n == PARAM_SIZE - 1)
            return false;
        out[n++] = c;
    }
    out[n] = '\0';
    return true;
}

static bool is_one_of(const char *v, const char *words)
{
    size_t n = strlen(v);

    while (*words) {
        size_t w = strcspn(words, " ");
        if (n == w && sqlite3_strnicmp(v, words, (int)n) == 0)
            return true;
        words += w + (words[w] == ' ');
    }
    return false;
}

static bool read_bool(const char *v, bool *out)
{
    *out = is_one_of(v, "1 on yes true");
    return *out || is_one_of(v, "0 off no false");
}

static bool read_int(const char *v, int64_t least, int64_t most, int64_t *out)
{
    char *end;

    if (*v == '\0' || *v == ' ')
        return false;
    *out = strtoll(v, &end, 10);
    return *end == '\0' && *out >= least && *out <= most;
}

static enum err_code bad_value(const char *name, const char *value, const char *why, struct err *e)
{
    return err_set(e, ERR_CONFIG, "database parameter %s=%s is not accepted: %s", name, value, why);
}

/* ---- values ---- */

static enum err_code set_bool(bool *to, const char *name, const char *value, struct err *e)
{
    return read_bool(value, to) ? ERR_OK : bad_value(name, value, "it must be 0 or 1", e);
}

static enum err_code set_sync(struct conn_config *cfg, const char *name, const char *value,
                              struct err *e)
{
    cfg->full_sync = is_one_of(value, "full 2 extra 3");
    if (cfg->full_sync || is_one_of(value, "normal 1"))
        return ERR_OK;
    return bad_value(name, value,
                     "it must be NORMAL or FULL, so that a power loss cannot damage "
                     "the file",
                     e);
}

/* Negative = KiB, positive = pages, as in SQLite. */
static enum err_code set_cache(struct conn_config *cfg, const char *name, const char *value,
                               struct err *e)
{
    int64_t v;

    if (!read_int(value, -INT_MAX, INT_MAX / 4, &v))
        return bad_value(name, value, "it must be a number", e);
    cfg->cache_kib = (int)(v < 0 ? -v : v * 4); /* pages of 4 KiB */
    return ERR_OK;
}

static enum err_code set_mode(struct conn_config *cfg, const char *name, const char *value,
                              struct err *e)
{
    if (!is_one_of(value, "rw rwc"))
        return bad_value(name, value, "it must be rw or rwc", e);
    cfg->create = is_one_of(value, "rwc");
    return ERR_OK;
}

static enum err_code set_number(struct conn_config *cfg, enum param what, const char *name,
                                const char *value, struct err *e)
{
    int64_t v;

    if (!read_int(value, 0, what == PARAM_BUSY ? INT_MAX : INT64_MAX, &v))
        return bad_value(name, value, "it must be a number, 0 or greater", e);
    if (what == PARAM_BUSY)
        cfg->busy_ms = (int)v;
    else
        cfg->mmap_bytes = v;
    return ERR_OK;
}

static enum err_code set_pragma(struct conn_config *cfg, const char *text, struct err *e);

static enum err_code set_param(struct conn_config *cfg, const char *name, const char *value,
                               bool pragma, struct err *e)
{
    size_t i = 0;

    while (i < PARAM_COUNT &&
           (sqlite3_stricmp(params[i].name, name) != 0 || (pragma && params[i].client)))
        i++;
    if (i == PARAM_COUNT)
        return err_set(e, ERR_CONFIG, "unknown database parameter %s", name);
    switch (params[i].what) {
    case PARAM_FOREIGN_KEYS:
        return set_bool(&cfg->foreign_keys, name, value, e);
    case PARAM_RECURSIVE_TRIGGERS:
        return set_bool(&cfg->recursive_triggers, name, value, e);
    case PARAM_CASE_SENSITIVE_LIKE:
        return set_bool(&cfg->case_sensitive_like, name, value, e);
    case PARAM_SYNC:
        return set_sync(cfg, name, value, e);
    case PARAM_CACHE_SIZE:
        return set_cache(cfg, name, value, e);
    case PARAM_MODE:
        return set_mode(cfg, name, value, e);
    case PARAM_PRAGMA:
        return set_pragma(cfg, value, e);
    case PARAM_CLIENT:
        return ERR_OK;
    case PARAM_ONE_OF:
        return is_one_of(value, params[i].values) ? ERR_OK
                                                  : bad_value(name, value, params[i].why, e);
    case PARAM_BUSY:
    case PARAM_MMAP:
        return set_number(cfg, params[i].what, name, value, e);
    case PARAM_REFUSED:
        break;
    }
    return bad_value(name, value, params[i].why, e);
}

/* name(value) or name=value, with or without quotes around the value */
static enum err_code set_pragma(struct conn_config *cfg, const char *text, struct err *e)
{
    char name[PARAM_SIZE], value[PARAM_SIZE];
    size_t n = strcspn(text, "(= "), from = n, to = strlen(text);

    while (from < to && strchr("(= '\"", text[from]))
        from++;
    while (to > from && strchr(") '\"", text[to - 1]))
        to--;
    if (n == 0 || from == n)
        return err_set(e, ERR_CONFIG, "database parameter _pragma=%s must be name(value)", text);
    memcpy(name, text, n);
    name[n] = '\0';
    memcpy(value, text + from, to - from);
    value[to - from] = '\0';
    return set_param(cfg, name, value, true, e);
}

enum err_code conn_parse_params(struct conn_config *cfg, const char *text, struct err *e)
{
    char name[PARAM_SIZE], value[PARAM_SIZE];
    enum err_code code = ERR_OK;

    if (*text == '?')
        text++;
    while (*text && code == ERR_OK) {
        size_t len = strcspn(text, "&");
        size_t n = strcspn(text, "=&");
        const char *bare;

        if (len > 0) {
            if (n == len)
                return err_set(e, ERR_CONFIG, "database parameter %.100s has no value", text);
            if (!decode(text, n, name) || !decode(text + n + 1, len - n - 1, value))
                return err_set(e, ERR_CONFIG, "database parameter %.100s cannot be read", text);
            bare = name[0] == '_' ? name + 1 : name;
            code = set_param(cfg, bare, value, false, e);
        }
        text += len + (text[len] == '&');
    }
    return code;
}
