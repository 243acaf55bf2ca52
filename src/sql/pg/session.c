/* The thread's session, and the settings that hold where it says nothing. */
#include "sql/pg/session.h"

#include <stddef.h>
#include <strings.h>

static const struct pg_session nobody = {.user = "ha", .database = "ha"};
static _Thread_local const struct pg_session *current;

static const struct {
    const char *name, *value;
} defaults[] = {
    {"application_name", ""},
    {"bytea_output", "hex"},
    {"client_encoding", "UTF8"},
    {"client_min_messages", "notice"},
    {"DateStyle", "ISO, MDY"},
    {"default_transaction_isolation", "serializable"},
    {"default_transaction_read_only", "off"},
    {"extra_float_digits", "1"},
    {"in_hot_standby", "off"},
    {"integer_datetimes", "on"},
    {"IntervalStyle", "postgres"},
    {"is_superuser", "off"},
    {"lc_collate", "C"},
    {"lc_ctype", "C"},
    {"max_connections", "1000"},
    {"max_identifier_length", "63"},
    {"max_index_keys", "32"},
    {"role", "none"},
    {"search_path", "\"$user\", public"},
    {"server_encoding", "UTF8"},
    {"server_version", "15.0"},
    {"server_version_num", "150000"},
    {"standard_conforming_strings", "on"},
    {"statement_timeout", "0"},
    {"TimeZone", "UTC"},
    {"transaction_isolation", "serializable"},
    {"transaction_read_only", "off"},
};

void pg_session_enter(const struct pg_session *s)
{
    current = s;
}

const struct pg_session *pg_session_current(void)
{
    return current ? current : &nobody;
}

bool pg_session_default(unsigned i, const char **name, const char **value)
{
    if (i >= sizeof defaults / sizeof defaults[0])
        return false;
    *name = defaults[i].name;
    *value = defaults[i].value;
    return true;
}

const char *pg_session_setting(const char *name)
{
    const struct pg_session *s = pg_session_current();
    const char *value = s->setting ? s->setting(s->arg, name) : NULL;

    for (size_t i = 0; !value && i < sizeof defaults / sizeof defaults[0]; i++)
        if (strcasecmp(defaults[i].name, name) == 0)
            value = defaults[i].value;
    return value;
}
