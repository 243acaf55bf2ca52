#include "base/list.h"

#include <stdlib.h>
#include <string.h>

void list_free(char **list)
{
    for (char **x = list; x && *x; x++)
        free(*x);
    free(list);
}

char **list_split(const char *text)
{
    size_t most = 2, n = 0;

    for (const char *p = text; *p; p++)
        most += *p == ',';
    char **list = calloc(most, sizeof *list);
    for (const char *p = text; list && *p;) {
        size_t len, next;

        p += strspn(p, " \t");
        next = len = strcspn(p, ",");
        while (len > 0 && (p[len - 1] == ' ' || p[len - 1] == '\t'))
            len--;
        if (len > 0 && !(list[n++] = strndup(p, len))) {
            list_free(list);
            return NULL;
        }
        p += next + (p[next] == ',');
    }
    return list;
}
