#include "wire/pg/settings.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

enum check {
    ANY,
    FIXED,   /* nobody may change it */
    BOOLEAN, /* stored as on and off */
    UTF8,    /* UTF8 in its spellings, SQL_ASCII is not ours */
    ISO,     /* DateStyle: what begins with ISO, or an order alone */
    ZONE,    /* kept and told; times are always UTC */
    TIMEOUT, /* milliseconds, or with a unit */
};

static const struct row {
    const char *name, *value;
    enum check check;
    bool reported;
} table[] = {
    {"application_name", "", ANY, true},
    {"array_nulls", "on", BOOLEAN, false},
    {"backslash_quote", "safe_encoding", ANY, false},
    {"bytea_output", "hex", ANY, false},
    {"check_function_bodies", "on", BOOLEAN, false},
    {"client_encoding", "UTF8", UTF8, true},
    {"client_min_messages", "notice", ANY, false},
    {"commit_delay", "0", ANY, false},
    {"constraint_exclusion", "partition", ANY, false},
    {"cursor_tuple_fraction", "0.1", ANY, false},
    {"DateStyle", "ISO, MDY", ISO, true},
    {"default_table_access_method", "heap", ANY, false},
    {"default_tablespace", "", ANY, false},
    {"default_text_search_config", "pg_catalog.simple", ANY, false},
    {"default_transaction_deferrable", "off", BOOLEAN, false},
    {"default_transaction_isolation", "serializable", ANY, false},
    {"default_transaction_read_only", "off", BOOLEAN, true},
    {"default_with_oids", "off", BOOLEAN, false},
    {"effective_cache_size", "4GB", ANY, false},
    {"enable_bitmapscan", "on", BOOLEAN, false},
    {"enable_hashjoin", "on", BOOLEAN, false},
    {"enable_indexscan", "on", BOOLEAN, false},
    {"enable_mergejoin", "on", BOOLEAN, false},
    {"enable_nestloop", "on", BOOLEAN, false},
    {"enable_seqscan", "on", BOOLEAN, false},
    {"escape_string_warning", "on", BOOLEAN, false},
    {"extra_float_digits", "1", ANY, false},
    {"from_collapse_limit", "8", ANY, false},
    {"geqo", "on", BOOLEAN, false},
    {"idle_in_transaction_session_timeout", "0", ANY, false},
    {"idle_session_timeout", "0", ANY, false},
    {"in_hot_standby", "off", FIXED, true},
    {"integer_datetimes", "on", FIXED, true},
    {"IntervalStyle", "postgres", ANY, true},
    {"is_superuser", "off", FIXED, true},
    {"jit", "off", BOOLEAN, false},
    {"join_collapse_limit", "8", ANY, false},
    {"lc_collate", "C.UTF-8", FIXED, false},
    {"lc_ctype", "C.UTF-8", FIXED, false},
    {"lc_messages", "C.UTF-8", ANY, false},
    {"lc_monetary", "C.UTF-8", ANY, false},
    {"lc_numeric", "C.UTF-8", ANY, false},
    {"lc_time", "C.UTF-8", ANY, false},
    {"listen_addresses", "*", FIXED, false},
    {"lock_timeout", "0", ANY, false},
    {"log_min_duration_statement", "-1", ANY, false},
    {"log_min_messages", "warning", ANY, false},
    {"log_statement", "none", ANY, false},
    {"maintenance_work_mem", "64MB", ANY, false},
    {"max_connections", "4096", FIXED, false},
    {"max_identifier_length", "63", FIXED, false},
    {"max_index_keys", "32", FIXED, false},
    {"max_parallel_workers_per_gather", "0", ANY, false},
    {"password_encryption", "scram-sha-256", ANY, false},
    {"plan_cache_mode", "auto", ANY, false},
    {"quote_all_identifiers", "off", BOOLEAN, false},
    {"random_page_cost", "4", ANY, false},
    {"role", "none", ANY, false},
    {"row_security", "on", BOOLEAN, false},
    {"search_path", "\"$user\", public", ANY, false},
    {"seq_page_cost", "1", ANY, false},
    {"server_encoding", "UTF8", FIXED, true},
    {"server_version", PG_SERVER_VERSION, FIXED, true},
    {"server_version_num", PG_SERVER_VERSION_NUM, FIXED, false},
    {"session_authorization", "ha", FIXED, true},
    {"session_replication_role", "origin", ANY, false},
    {"shared_buffers", "128MB", FIXED, false},
    {"ssl", "off", FIXED, false},
    {"standard_conforming_strings", "on", FIXED, true},
    {"statement_timeout", "0", TIMEOUT, false},
    {"synchronize_seqscans", "on", BOOLEAN, false},
    {"synchronous_commit", "on", ANY, false},
    {"tcp_keepalives_idle", "0", ANY, false},
    {"temp_buffers", "8MB", ANY, false},
    {"TimeZone", "UTC", ZONE, true},
    {"transaction_deferrable", "off", BOOLEAN, false},
    {"transaction_isolation", "serializable", ANY, false},
    {"transaction_read_only", "off", BOOLEAN, false},
    {"transform_null_equals", "off", BOOLEAN, false},
    {"vacuum_freeze_min_age", "50000000", ANY, false},
    {"wal_level", "logical", FIXED, false},
    {"wal_segment_size", "16MB", FIXED, false},
    {"work_mem", "4MB", ANY, false},
    {"xmloption", "content", ANY, false},
};

#define ROWS (sizeof table / sizeof *table)
_Static_assert(ROWS <= PG_SETTINGS_MAX, "PG_SETTINGS_MAX");

static size_t find(const char *name)
{
    if (strcasecmp(name, "time zone") == 0)
        name = "TimeZone";
    for (size_t i = 0; i < ROWS; i++)
        if (strcasecmp(table[i].name, name) == 0)
            return i;
    return ROWS;
}

static size_t find_custom(const struct pg_settings *s, const char *name)
{
    for (size_t i = 0; i < s->n_custom; i++)
        if (strcasecmp(s->custom[i][0], name) == 0)
            return i;
    return s->n_custom;
}

void pg_settings_fini(struct pg_settings *s)
{
    for (size_t i = 0; i < ROWS; i++) {
        free(s->values[i]);
        free(s->started[i]);
    }
    for (size_t i = 0; i < s->n_custom; i++) {
        free(s->custom[i][0]);
        free(s->custom[i][1]);
    }
    memset(s, 0, sizeof *s);
}

static bool is_one_of(const char *value, const char *const *words)
{
    for (; *words; words++)
        if (strcasecmp(value, *words) == 0)
            return true;
    return false;
}

/* Of an encoding's name only letters and digits count, as in PostgreSQL: asyncpg says 'utf-8', with
 * the quotes. */
static bool is_utf8(const char *value)
{
    static const char *const names[] = {"utf8", "unicode", NULL};
    char plain[16];
    size_t n = 0;

    for (; *value; value++)
        if (isalnum((unsigned char)*value)) {
            if (n == sizeof plain - 1)
                return false;
            plain[n++] = *value;
        }
    plain[n] = '\0';
    return is_one_of(plain, names);
}

/* "5000", "5s", "1.5 min": nanoseconds, up to PostgreSQL's limit; -1 = it is none. */
static int64_t timeout_ns(const char *value)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {{"", CLOCK_MS},        {"us", CLOCK_MS / 1000}, {"ms", CLOCK_MS},
                 {"s", CLOCK_S},        {"min", 60 * CLOCK_S},   {"h", 3600 * CLOCK_S},
                 {"d", 86400 * CLOCK_S}};
    char *end;
    double n = strtod(value, &end);

    if (end == value || !(n >= 0))
        return -1;
    end += strspn(end, " ");
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(end, units[i].name) == 0)
            return n * (double)units[i].ns <= (double)INT32_MAX * CLOCK_MS
                       ? (int64_t)(n * (double)units[i].ns)
                       : -1;
    return -1;
}

/* The value as it is kept; NULL = not a valid one. */
static const char *checked(enum check check, const char *value)
{
    static const char *const yes[] = {"on", "true", "t", "yes", "y", "1", NULL};
    static const char *const no[] = {"off", "false", "f", "no", "n", "0", NULL};
    static const char *const order[] = {"mdy", "dmy", "ymd", NULL};

    switch (check) {
    case BOOLEAN:
        return is_one_of(value, yes) ? "on" : is_one_of(value, no) ? "off" : NULL;
    case UTF8:
        return is_utf8(value) ? "UTF8" : NULL;
    case ISO:
        if (strncasecmp(value, "iso", 3) == 0 || is_one_of(value, order))
            return "ISO, MDY";
        return NULL;
    case TIMEOUT:
        return timeout_ns(value) >= 0 ? value : NULL;
    default:
        return value;
    }
}

static enum pg_set set_custom(struct pg_settings *s, const char *name, const char *value)
{
    size_t i = find_custom(s, name);
    char *copy = strdup(value ? value : "");

    if (!copy)
        return PG_SET_NO_MEMORY;
    if (i == s->n_custom) {
        char *own = i < PG_CUSTOM_MAX ? strdup(name) : NULL;
        if (!own) {
            free(copy);
            return PG_SET_NO_MEMORY;
        }
        s->custom[i][0] = own;
        s->custom[i][1] = NULL;
        s->n_custom++;
    }
    free(s->custom[i][1]);
    s->custom[i][1] = copy;
    return PG_SET_OK;
}

static const char *value_of(const struct pg_settings *s, size_t i)
{
    return s->values[i] ? s->values[i] : s->started[i] ? s->started[i] : table[i].value;
}

enum pg_set pg_settings_set(struct pg_settings *s, const char *name, const char *value)
{
    size_t i = find(name);
    char *copy = NULL;

    if (i == ROWS)
        return strchr(name, '.') ? set_custom(s, name, value) : PG_SET_UNKNOWN;
    if (table[i].check == FIXED) /* clients set standard_conforming_strings to what it is */
        return value && strcasecmp(value, table[i].value) == 0 ? PG_SET_OK : PG_SET_FIXED;
    if (value) {
        value = checked(table[i].check, value);
        if (!value)
            return PG_SET_INVALID;
        copy = strdup(value);
        if (!copy)
            return PG_SET_NO_MEMORY;
    }
    free(s->values[i]);
    s->values[i] = copy;
    if (table[i].check == TIMEOUT)
        s->statement_timeout_ns = timeout_ns(value_of(s, i));
    return PG_SET_OK;
}

void pg_settings_started(struct pg_settings *s)
{
    for (size_t i = 0; i < ROWS; i++) {
        free(s->started[i]);
        s->started[i] = s->values[i];
        s->values[i] = NULL;
    }
}

const char *pg_settings_get(const struct pg_settings *s, const char *name, const char **canonical)
{
    size_t i = find(name);

    if (i < ROWS) {
        if (canonical)
            *canonical = table[i].name;
        return value_of(s, i);
    }
    i = find_custom(s, name);
    if (i == s->n_custom)
        return NULL;
    if (canonical)
        *canonical = s->custom[i][0];
    return s->custom[i][1];
}

const char *pg_settings_own(const struct pg_settings *s, const char *name)
{
    size_t i = find(name);

    if (i < ROWS)
        return s->values[i];
    i = find_custom(s, name);
    return i < s->n_custom ? s->custom[i][1] : NULL;
}

void pg_settings_put_back(struct pg_settings *s, const char *name, char *value)
{
    size_t i = find(name);

    if (i == ROWS) {
        i = find_custom(s, name);
        if (i < s->n_custom && value) {
            free(s->custom[i][1]);
            s->custom[i][1] = value;
        } else if (i < s->n_custom) { /* as in PostgreSQL, its name stays known */
            s->custom[i][1][0] = '\0';
        }
        return;
    }
    free(s->values[i]);
    s->values[i] = value;
    if (table[i].check == TIMEOUT)
        s->statement_timeout_ns = timeout_ns(value_of(s, i));
}

bool pg_settings_is_reported(const char *name)
{
    size_t i = find(name);

    return i < ROWS && table[i].reported;
}

void pg_settings_untold(struct pg_settings *s, const char *name)
{
    size_t i = find(name);

    if (i < ROWS && table[i].reported)
        s->untold[i] = s->any_untold = true;
}

void pg_settings_told(struct pg_settings *s, const char *name)
{
    size_t i = find(name);

    if (i < ROWS)
        s->untold[i] = false;
}

const char *pg_settings_next_untold(struct pg_settings *s)
{
    for (size_t i = 0; s->any_untold && i < ROWS; i++)
        if (s->untold[i])
            return table[i].name;
    s->any_untold = false;
    return NULL;
}

bool pg_settings_at(const struct pg_settings *s, size_t i, const char **name, const char **value,
                    bool *reported)
{
    if (i >= ROWS)
        return false;
    *name = table[i].name;
    *value = value_of(s, i);
    *reported = table[i].reported;
    return true;
}
