/*
 * System variables and user variables of a session. Most system variables change nothing: clients
 * set them, read them back, and are content.
 *
 * A session's thread.
 */
#ifndef HA_WIRE_MYSQL_VARIABLES_H
#define HA_WIRE_MYSQL_VARIABLES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/value.h"

#define MYSQL_VARIABLE_BYTES 512 /* of a value, terminator included */
#define MYSQL_USER_VARIABLES 1000u

struct mysql_user_variable {
    char *name;
    struct value value; /* its bytes are `data` */
    char *data;
};

struct mysql_variables {
    char **values; /* one for each of the table, NULL = its default */
    struct mysql_user_variable *users;
    size_t n_users, cap_users;
};

enum mysql_set {
    MYSQL_SET_OK,
    MYSQL_SET_UNKNOWN,
    MYSQL_SET_FIXED, /* it cannot be changed */
    MYSQL_SET_INVALID,
    MYSQL_SET_NO_MEMORY
};

void mysql_variables_free(struct mysql_variables *v); /* leaves it as at the beginning: all zeros */

/* The value, NULL: there is none of that name. Case does not matter. */
const char *mysql_variable(const struct mysql_variables *v, const char *name);
/* NULL = back to the default. */
enum mysql_set mysql_variable_set(struct mysql_variables *v, const char *name, const char *value);
/* By number, for SHOW; false at the end. */
bool mysql_variable_at(const struct mysql_variables *v, size_t i, const char **name,
                       const char **value);
/* Is its value a number? Then it is one as a literal, too. */
bool mysql_variable_is_number(const char *name);

/* NULL where it was never set. */
const struct value *mysql_user_variable(const struct mysql_variables *v, const char *name);
/* Copies the value; false: no memory, or too many. */
bool mysql_user_variable_set(struct mysql_variables *v, const char *name,
                             const struct value *value);

#endif
