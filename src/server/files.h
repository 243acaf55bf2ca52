/*
 * The database arguments of the command line: patterns become files, and where things live is
 * derived from them. One thread; strings of the list are owned by it.
 */
#ifndef HA_SERVER_FILES_H
#define HA_SERVER_FILES_H

#include <stddef.h>

#include "base/err.h"

struct file_list {
    char **names; /* DSNs as node_add_file() takes them */
    size_t n;
};

/*
 * An argument is "[file:]path[?parameters]". Without "file:" a question mark begins parameters only
 * where an equals sign follows it: else it is a wildcard, as * and [ are. A path with a wildcard
 * stands for the files it matches (SQLite's own -wal, -shm and -journal files and directories left
 * out), each with the argument's parameters; one without is a file that may have to be created. If
 * nothing is left, the list is `fallback`.
 */
enum err_code file_list_expand(struct file_list *list, char *const *args, size_t n,
                               const char *fallback, struct err *e);
void file_list_free(struct file_list *list);

/* The directory part of a DSN's path, "." if it has none. NULL when out of memory. */
char *file_list_directory(const char *dsn);

#endif
