#include "cli/part.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "os/file.h"
#include "sql/image.h"

static enum err_code busy(const char *path, struct err *e)
{
    return err_set(e, ERR_CONFIG, "%s is being written by another process", path);
}

/* Removes what a process that has ended left behind. */
static enum err_code replace(const char *command, const char *path, struct err *e)
{
    struct stat st;
    struct tm tm;
    char when[32];
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? ERR_OK : file_error(e, "look at", path, errno);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_CONFIG, "%s is in the way: it is not a regular file", path);
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return file_error(e, "open", path, errno);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        return busy(path, e);
    }
    gmtime_r(&st.st_mtime, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    cli_say(command, CLI_DONE, "%s was left over (%" PRId64 " bytes, of %s) and is replaced", path,
            (int64_t)st.st_size, when);
    image_remove(path);
    close(fd);
    return ERR_OK;
}

/* Is the open file still the one of that name? */
static bool is_named(int fd, const char *path)
{
    struct stat mine, there;
    return fstat(fd, &mine) == 0 && lstat(path, &there) == 0 && mine.st_dev == there.st_dev &&
           mine.st_ino == there.st_ino;
}

enum err_code part_open(struct part *p, const char *command, const char *file, struct err *e)
{
    char path[PATH_MAX];
    /* SQLite's own files have longer names yet. */
    if (snprintf(path, sizeof path, "%s.part", file) >= (int)sizeof path - 64)
        return err_set(e, ERR_CONFIG, "the file's name is too long");
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST) {
        if (replace(command, path, e) != ERR_OK)
            return e->code;
        fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    }
    if (fd < 0)
        return errno == EEXIST ? busy(path, e) : file_error(e, "create", path, errno);
    /* Between these two calls another process may have taken it for a leftover. */
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 || !is_named(fd, path)) {
        close(fd);
        return busy(path, e);
    }
    p->fd = fd;
    memcpy(p->path, path, sizeof path);
    return ERR_OK;
}

enum err_code part_beside(struct part *p, const struct part *of, const char *suffix, struct err *e)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s%s", of->path, suffix) >= (int)sizeof path - 64)
        return err_set(e, ERR_CONFIG, "the file's name is too long");
    image_remove(path);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return file_error(e, "create", path, errno);
    p->fd = fd;
    memcpy(p->path, path, sizeof path);
    return ERR_OK;
}

enum err_code part_temp(struct part *p, struct err *e)
{
    const char *dir = getenv("TMPDIR");
    int n = snprintf(p->path, sizeof p->path, "%s/ha-backup.XXXXXX", dir && *dir ? dir : "/tmp");
    if (n < 0 || n >= (int)sizeof p->path - 64) {
        p->path[0] = '\0';
        return err_set(e, ERR_CONFIG, "the name of TMPDIR is too long");
    }
    p->fd = mkostemp(p->path, O_CLOEXEC);
    if (p->fd < 0) {
        enum err_code code = file_error(e, "create", p->path, errno);
        p->path[0] = '\0';
        return code;
    }
    return ERR_OK;
}

enum err_code part_keep(const char *path, const char *file, struct err *e)
{
    if (link(path, file) != 0)
        return file_error(e, "create", file, errno);
    return file_sync_parent(file, e);
}

void part_close(struct part *p)
{
    if (p->path[0])
        image_remove(p->path);
    if (p->fd >= 0)
        close(p->fd);
    *p = (struct part)PART_INIT;
}
