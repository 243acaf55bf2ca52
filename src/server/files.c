#include "server/files.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "sql/image.h"

#define FILE_LIST_MAX 100000 /* databases */

static const char prefix[] = "file:";

/* Where the path of a DSN begins and how long it is; *params is what follows it ("?…" or ""). */
static size_t split_dsn(const char *dsn, const char **path, const char **params)
{
    const char *mark;

    *path = dsn;
    if (strncmp(dsn, prefix, sizeof prefix - 1) == 0) {
        *path += sizeof prefix - 1;
        mark = strchr(*path, '?');
    } else {
        mark = strchr(dsn, '?');
        if (mark && !strchr(mark, '='))
            mark = NULL;
    }
    *params = mark ? mark : *path + strlen(*path);
    return (size_t)(*params - *path);
}

static enum err_code add(struct file_list *list, const char *path, size_t len, const char *params,
                         struct err *e)
{
    struct buf b = BUF_INIT;
    char **more;

    if (list->n == FILE_LIST_MAX)
        return err_set(e, ERR_CONFIG, "more than %d databases", FILE_LIST_MAX);
    more = realloc(list->names, (list->n + 1) * sizeof *more);
    if (!more)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    list->names = more;
    buf_put(&b, path, len);
    buf_puts(&b, params);
    (void)buf_cstr(&b);
    if (!buf_ok(&b) || b.len == 0) {
        bool ok = buf_ok(&b);
        buf_free(&b);
        return ok ? err_set(e, ERR_CONFIG, "a database argument is empty")
                  : err_set(e, ERR_NO_MEMORY, "out of memory");
    }
    list->names[list->n++] = b.data;
    return ERR_OK;
}

static bool is_database(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && !image_is_companion(path);
}

/* A directory that is not there yet has no files; one that cannot be read may have some. */
static int cannot_read(const char *path, int number)
{
    (void)path;
    return number != ENOENT && number != ENOTDIR;
}

static enum err_code add_matches(struct file_list *list, const char *pattern, const char *params,
                                 bool has_prefix, struct err *e)
{
    glob_t found;
    int rc = glob(pattern, 0, cannot_read, &found);
    enum err_code code = ERR_OK;
    size_t before = list->n;

    if (rc == GLOB_NOSPACE)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    if (rc == GLOB_ABORTED)
        return err_set(e, ERR_CONFIG, "cannot read a directory of the pattern %s", pattern);
    for (size_t i = 0; rc == 0 && i < found.gl_pathc && !code; i++) {
        const char *path = found.gl_pathv[i];
        struct buf dsn = BUF_INIT;

        if (!is_database(path))
            continue;
        if (has_prefix || strchr(path, '?'))
            buf_puts(&dsn, prefix);
        buf_puts(&dsn, path);
        code =
            strchr(path, '?')
                ? err_set(e, ERR_CONFIG, "%s: a database's name cannot have a question mark", path)
                : add(list, buf_cstr(&dsn), dsn.len, params, e);
        buf_free(&dsn);
    }
    if (rc == 0)
        globfree(&found);
    if (!code && list->n == before && !list->unmatched && !(list->unmatched = strdup(pattern)))
        code = err_set(e, ERR_NO_MEMORY, "out of memory");
    return code;
}

static enum err_code add_argument(struct file_list *list, const char *arg, struct err *e)
{
    const char *path, *params;
    size_t len = split_dsn(arg, &path, &params);
    struct stat st;
    char *copy;
    enum err_code code;

    copy = strndup(path, len);
    if (!copy)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    /* A file that is there is meant as it is called, whatever characters it has. */
    if (strpbrk(copy, "*?[") && stat(copy, &st) != 0)
        code = add_matches(list, copy, params, path != arg, e);
    else
        code = add(list, arg, strlen(arg), "", e);
    free(copy);
    return code;
}

enum err_code file_list_expand(struct file_list *list, char *const *args, size_t n,
                               const char *fallback, bool may_grow, struct err *e)
{
    enum err_code code = ERR_OK;

    *list = (struct file_list){.names = NULL};
    for (size_t i = 0; i < n && !code; i++)
        code = add_argument(list, args[i], e);
    if (!code && list->n == 0 && n > 0 && !may_grow)
        code = err_set(e, ERR_CONFIG, "no file matches %s", list->unmatched);
    if (!code && list->n == 0)
        code = add(list, fallback, strlen(fallback), "", e);
    if (code)
        file_list_free(list);
    return code;
}

enum err_code file_list_include(struct file_list *list, const char *dsn, struct err *e)
{
    char *id = file_list_id(dsn);
    bool there = false;

    for (size_t i = 0; i < list->n && id && !there; i++) {
        char *other = file_list_id(list->names[i]);
        there = other && strcmp(id, other) == 0;
        free(other);
    }
    bool known = id != NULL;
    free(id);
    if (!known)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    return there ? ERR_OK : add(list, dsn, strlen(dsn), "", e);
}

void file_list_free(struct file_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->names[i]);
    free(list->names);
    free(list->unmatched);
    *list = (struct file_list){.names = NULL};
}

const char *file_list_params(const char *dsn)
{
    const char *path, *params;

    (void)split_dsn(dsn, &path, &params);
    return *params == '?' ? params + 1 : params;
}

char *file_list_directory(const char *dsn)
{
    const char *path, *params;
    size_t len = split_dsn(dsn, &path, &params);
    const char *slash = len ? memrchr(path, '/', len) : NULL;

    if (!slash)
        return strdup(".");
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

char *file_list_id(const char *dsn)
{
    const char *path, *params;
    size_t len = split_dsn(dsn, &path, &params);
    const char *slash = len ? memrchr(path, '/', len) : NULL;

    return slash ? strndup(slash + 1, len - (size_t)(slash + 1 - path)) : strndup(path, len);
}
