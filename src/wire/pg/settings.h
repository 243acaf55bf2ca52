/*
 * The settings of a connection: what SET takes, SHOW tells and ParameterStatus reports. Most are
 * kept and told back because clients set them, and change nothing. One thread.
 */
#ifndef HA_WIRE_PG_SETTINGS_H
#define HA_WIRE_PG_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "sql/pg/session.h"

#define PG_SETTINGS_MAX 96 /* rows of the table in settings.c */
#define PG_CUSTOM_MAX   32 /* settings with a point in their name */

#define PG_SERVER_VERSION     "15.8"
#define PG_SERVER_VERSION_NUM "150008"

struct pg_settings {
    char *values[PG_SETTINGS_MAX];  /* NULL = the start value */
    char *started[PG_SETTINGS_MAX]; /* as the startup packet set it; NULL = the table's default */
    char *custom[PG_CUSTOM_MAX][2]; /* name, value */
    unsigned n_custom;
    int64_t statement_timeout_ns; /* what its value comes to; 0 = none */
    bool untold[PG_SETTINGS_MAX]; /* changed, and the client has to be told of it */
    bool any_untold;
};

void pg_settings_fini(struct pg_settings *s);

/* `value` NULL = back to the start value. Names in any case. */
enum pg_set pg_settings_set(struct pg_settings *s, const char *name, const char *value);
void pg_settings_started(struct pg_settings *s); /* what is set now is what RESET returns to */
/* NULL = unknown. *canonical (may be NULL) is the name as PostgreSQL spells it. */
const char *pg_settings_get(const struct pg_settings *s, const char *name, const char **canonical);
/* What it was set to since the start; NULL = nothing, or unknown. */
const char *pg_settings_own(const struct pg_settings *s, const char *name);
/* Back to what pg_settings_own() told of a setting that has been set. Takes `value` over. */
void pg_settings_put_back(struct pg_settings *s, const char *name, char *value);
bool pg_settings_is_reported(const char *name);
/* The client is to be told of it, if it is one that is reported … */
void pg_settings_untold(struct pg_settings *s, const char *name);
void pg_settings_told(struct pg_settings *s, const char *name); /* … and has been */
/* One that it has not been told of; NULL: there is none. */
const char *pg_settings_next_untold(struct pg_settings *s);
/* One by one, by index; false at the end. */
bool pg_settings_at(const struct pg_settings *s, size_t i, const char **name, const char **value,
                    bool *reported);

#endif
