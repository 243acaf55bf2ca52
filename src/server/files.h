/*
 * The database arguments of the command line: patterns become files, and where things live is
 * derived from them. One thread; strings of the list are owned by it.
 */
#ifndef HA_SERVER_FILES_H
#define HA_SERVER_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct file_list {
    char **names; /* DSNs as node_add_file() takes them */
    size_t n;
    char *unmatched; /* the first pattern that matched nothing; NULL = none */
};

/*
 * An argument is "[file:]path[?parameters]". Without "file:" a question mark begins parameters only
 * where an equals sign follows it: else it is a wildcard, as * and [ are. A path with a wildcard
 * stands for the files it matches (SQLite's own -wal, -shm and -journal files and directories left
 * out), each with the argument's parameters; one without is a file that may have to be created.
 *
 * Without arguments the list is `fallback`. Where arguments match nothing at all that is
 * ERR_CONFIG: whoever asked for some files is not served another one. Only where databases may be
 * created while the node runs (`may_grow`) is it where everything begins, and the list is
 * `fallback`, too.
 */
enum err_code file_list_expand(struct file_list *list, char *const *args, size_t n,
                               const char *fallback, bool may_grow, struct err *e);
/* Adds a file, unless one of the same name (its base name: the database's id) is in the list. */
enum err_code file_list_include(struct file_list *list, const char *dsn, struct err *e);
void file_list_free(struct file_list *list);

/* What follows a DSN's path, without the question mark; "" if nothing does. Borrowed. */
const char *file_list_params(const char *dsn);
/* The directory part of a DSN's path, "." if it has none. NULL when out of memory. */
char *file_list_directory(const char *dsn);
/* The id of its database. Owned; NULL when out of memory. */
char *file_list_id(const char *dsn);

#endif
