#include "cli/curl.h"

#include <dlfcn.h>
#include <stdbool.h>

#include "os/library.h"

#define LIBRARY "libcurl.so.4"

struct libcurl libcurl;

#define FIND(library, name)                                                                        \
    library_find(library, "curl_" #name, (void *)&libcurl.name, sizeof libcurl.name)

enum err_code libcurl_load(struct err *e)
{
    static bool loaded;
    if (loaded)
        return ERR_OK;
    void *l = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!l)
        return err_set(e, ERR_CONFIG, "this needs libcurl: %s", dlerror());
    loaded = FIND(l, easy_init) && FIND(l, easy_reset) && FIND(l, easy_setopt) &&
             FIND(l, easy_perform) && FIND(l, easy_getinfo) && FIND(l, easy_strerror) &&
             FIND(l, easy_cleanup) && FIND(l, slist_append) && FIND(l, slist_free_all);
    return loaded ? ERR_OK : err_set(e, ERR_CONFIG, LIBRARY " lacks a function: %s", dlerror());
}
