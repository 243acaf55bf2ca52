/* The table of flags.h as data, for config*.c only. */
#ifndef HA_SERVER_CONFIG_FLAGS_H
#define HA_SERVER_CONFIG_FLAGS_H

#include <stddef.h>

#include "server/config.h"

enum flag_type { FLAG_STRING, FLAG_BOOL, FLAG_INT, FLAG_DURATION, FLAG_SIZE, FLAG_ENUM };
enum flag_show { SHOW_PLAIN, SHOW_SECRET, SHOW_URL, SHOW_ACTION, SHOW_HIDDEN };
enum flag_group {
#define X(id, title) GROUP_##id,
    CONFIG_GROUPS(X)
#undef X
        GROUP_COUNT
};

struct flag {
    const char *name;
    char short_name; /* 0 = none */
    enum flag_type type;
    enum flag_group group;
    enum flag_show show;
    const char *text; /* of the default */
    const char *limits, *missing, *help;
    size_t offset; /* of the field in struct config */
};

extern const struct flag config_flags[CONFIG_COUNT];
extern const char *const config_groups[GROUP_COUNT];

/* "nats-port" → "HA_NATS_PORT" */
#define FLAG_ENV_SIZE 64
void config_env_name(const struct flag *f, char out[FLAG_ENV_SIZE]);

#endif
