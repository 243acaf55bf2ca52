#include "os/library.h"

#include <dlfcn.h>
#include <string.h>

/* POSIX lets dlsym() give a function as a void pointer; C has no conversion for that. */
bool library_find(void *library, const char *name, void *function, size_t size)
{
    void *found = dlsym(library, name);
    memcpy(function, &found, size);
    return found != NULL;
}
