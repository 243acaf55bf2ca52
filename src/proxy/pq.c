#include "proxy/pq.h"

#include <dlfcn.h>
#include <stdbool.h>

#include "os/library.h"

#define LIBRARY "libpq.so.5"

struct pq pq;

enum err_code pq_load(struct err *e)
{
    static bool loaded;

    if (loaded)
        return ERR_OK;
    void *l = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!l)
        return err_set(e, ERR_CONFIG, "a PostgreSQL source needs libpq: %s", dlerror());
#define X(name)                                                                                    \
    if (!library_find(l, "PQ" #name, (void *)&pq.name, sizeof pq.name))                            \
        return err_set(e, ERR_CONFIG, LIBRARY " lacks a function: %s", dlerror());
    PQ_FUNCTIONS(X)
#undef X
    loaded = true;
    return ERR_OK;
}
