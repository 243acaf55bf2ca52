#include "proxy/kafka_settings.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"

/* The consumer sets them itself; the last ones would run code, or programs, of the setting's
 * choice. */
static const char *const ours[] = {
    "bootstrap.servers",
    "metadata.broker.list",
    "group.id",
    "group.instance.id",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "auto.offset.reset",
    "enable.partition.eof",
    "allow.auto.create.topics",
    "plugin.library.paths",
    "opaque",
    "sasl.kerberos.kinit.cmd",
    "enable.sasl.oauthbearer.unsecure.jwt",
};

static bool is_ours(const char *name)
{
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strcmp(ours[i], name) == 0)
            return true;
    return false;
}

/* %XX, in place. False: something else stands behind a %. */
static bool unescape(char *s)
{
    char *to = s;

    for (; *s; s++) {
        if (*s == '%') {
            int byte = hex_pair(s + 1);
            if (byte <= 0)
                return false;
            *to++ = (char)byte;
            s += 2;
        } else {
            *to++ = *s;
        }
    }
    *to = '\0';
    return true;
}

enum err_code kafka_settings_read(const char *text,
                                  enum err_code (*set)(void *arg, const char *name,
                                                       const char *value, struct err *e),
                                  void *arg, struct err *e)
{
    char *copy = strdup(text), *rest = copy, *pair;
    enum err_code code;

    if (!copy)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    const char *brokers = strsep(&rest, "?");
    code = *brokers ? set(arg, "bootstrap.servers", brokers, e)
                    : err_set(e, ERR_CONFIG, "no broker is named");
    while (code == ERR_OK && rest && (pair = strsep(&rest, "&"))) {
        char *value = strchr(pair, '=');
        if (value)
            *value++ = '\0';
        if (!value || !*pair || !unescape(value))
            code = err_set(e, ERR_CONFIG, "behind the ? stands no name=value: '%s'", pair);
        else if (is_ours(pair))
            code = err_set(e, ERR_CONFIG, "the setting %s is not to be changed", pair);
        else
            code = set(arg, pair, value, e);
    }
    free(copy);
    return code;
}
