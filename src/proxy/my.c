#include "proxy/my.h"

#include <dlfcn.h>
#include <stdbool.h>

#include "os/library.h"

#define LIBRARY "libmariadb.so.3"

struct my my;

enum err_code my_load(struct err *e)
{
    static bool loaded;

    if (loaded)
        return ERR_OK;
    void *l = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!l)
        return err_set(e, ERR_CONFIG, "a MySQL source needs libmariadb: %s", dlerror());
#define X(name)                                                                                    \
    if (!library_find(l, "mysql_" #name, (void *)&my.name, sizeof my.name))                        \
        return err_set(e, ERR_CONFIG, LIBRARY " lacks a function: %s", dlerror());
    MY_FUNCTIONS(X)
#undef X
    if (!library_find(l, "mysql_errno", (void *)&my.number, sizeof my.number))
        return err_set(e, ERR_CONFIG, LIBRARY " lacks a function: %s", dlerror());
#define X(name)                                                                                    \
    if (!library_find(l, "mariadb_" #name, (void *)&my.name, sizeof my.name))                      \
        return err_set(e, ERR_CONFIG, LIBRARY " lacks a function: %s", dlerror());
    MY_RPL_FUNCTIONS(X)
#undef X
    loaded = true;
    return ERR_OK;
}
