#include "proxy/rdkafka.h"

#include <dlfcn.h>
#include <stdbool.h>

#include "os/library.h"

#define LIBRARY "librdkafka.so.1"

struct rdkafka rdkafka;

enum err_code rdkafka_load(struct err *e)
{
    static bool loaded;

    if (loaded)
        return ERR_OK;
    void *l = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!l)
        return err_set(e, ERR_CONFIG, "a Debezium source needs librdkafka: %s", dlerror());
#define X(name)                                                                                    \
    if (!library_find(l, "rd_kafka_" #name, (void *)&rdkafka.name, sizeof rdkafka.name))           \
        return err_set(e, ERR_CONFIG, LIBRARY " lacks a function: %s", dlerror());
    RDKAFKA_FUNCTIONS(X)
#undef X
    loaded = true;
    return ERR_OK;
}
