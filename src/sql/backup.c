#include "sql/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"
#include "sql/conn.h"
#include "sql/error.h"
#include "sql/room.h"

#define BACKUP_STEP_PAGES  1024
#define BACKUP_BUSY_MS     5000 /* for a source that is not in WAL mode */
#define BACKUP_PIECE_BYTES ((size_t)64 * 1024)

/* Bytes 18 and 19 of a database file: 2 = WAL, 1 = rollback journal. */
#define HEADER_BYTES          100
#define HEADER_VERSION_OFFSET 18

static enum err_code sqlite_failure(sqlite3 *db, int rc, const char *path, struct err *e)
{
    const char *msg = db ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
    int sys_errno = room_errno(db, rc);

    if ((rc & 0xff) == SQLITE_CANTOPEN && sys_errno == ENOENT)
        err_set(e, ERR_NO_DATABASE, "%s does not exist", path);
    else
        err_set(e, error_from_sqlite(rc, msg, sys_errno), "%s: %s", path, msg);
    e->sqlite_code = rc;
    return e->code;
}

static enum err_code system_failure(const char *what, const char *path, struct err *e)
{
    enum err_code code = errno == ENOSPC || errno == EDQUOT ? ERR_DISK_FULL
                         : errno == EROFS                   ? ERR_READ_ONLY
                                                            : ERR_IO;

    return err_set(e, code, "cannot %s %s: %s", what, path, strerror(errno));
}

/* With a read transaction that pins the moment. */
static enum err_code open_source(sqlite3 **db, const char *path, struct err *e)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int rc = sqlite3_open_v2(path, db, flags, NULL);

    if (rc == SQLITE_OK) {
        sqlite3_busy_timeout(*db, BACKUP_BUSY_MS);
        /* A file that nobody else has open stays as it is. */
        sqlite3_db_config(*db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        rc = sqlite3_exec(*db, "BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1", NULL, NULL, NULL);
    }
    return rc == SQLITE_OK ? ERR_OK : sqlite_failure(*db, rc, path, e);
}

/* An empty file that is ours alone: neither journal nor syncing, because a failure deletes it. */
static enum err_code open_copy(sqlite3 **db, const char *path, struct err *e)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int rc = sqlite3_open_v2(path, db, flags, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_exec(*db, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF", NULL, NULL, NULL);
    return rc == SQLITE_OK ? ERR_OK : sqlite_failure(*db, rc, path, e);
}

static uint64_t page_size(sqlite3 *db)
{
    sqlite3_stmt *s = NULL;
    uint64_t bytes = 0;

    if (sqlite3_prepare_v2(db, "PRAGMA page_size", -1, &s, NULL) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW)
        bytes = (uint64_t)sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return bytes;
}

static enum err_code copy_pages(sqlite3 *to, sqlite3 *from, const char *path,
                                const struct watch *watch, struct err *e)
{
    sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
    int rc = b ? SQLITE_OK : sqlite3_extended_errcode(to);
    bool canceled = false;
    uint64_t page_bytes = page_size(from);

    while (rc == SQLITE_OK && !canceled) {
        canceled = watch_canceled(watch);
        if (!canceled)
            rc = sqlite3_backup_step(b, BACKUP_STEP_PAGES);
        uint64_t total = (uint64_t)sqlite3_backup_pagecount(b);
        uint64_t left = (uint64_t)sqlite3_backup_remaining(b);
        watch_moved(watch, (total - left) * page_bytes, total * page_bytes);
    }
    if (b) {
        int finish = sqlite3_backup_finish(b);
        if (rc == SQLITE_DONE)
            rc = finish;
    }
    if (canceled)
        return err_set(e, ERR_INTERRUPTED, "the copy of %s was canceled", path);
    return rc == SQLITE_OK ? ERR_OK : sqlite_failure(to, rc, path, e);
}

/* The pages come with the source's WAL flag, but the copy has no WAL. */
static enum err_code clear_wal_flag(int fd, const char *path, struct err *e)
{
    static const unsigned char rollback[2] = {1, 1};
    struct stat st;

    if (fstat(fd, &st) != 0)
        return system_failure("read", path, e);
    if (st.st_size >= HEADER_BYTES &&
        pwrite(fd, rollback, sizeof rollback, HEADER_VERSION_OFFSET) != sizeof rollback)
        return system_failure("write", path, e);
    return ERR_OK;
}

/* Copies `source` into the empty file `path`, open as `fd`. With `unlink_it` its name goes as soon
 * as SQLite has opened it, so that even a crash leaves nothing behind. */
static enum err_code fill(const char *source, const char *path, int fd, bool unlink_it,
                          const struct watch *watch, struct err *e)
{
    sqlite3 *from = NULL, *to = NULL;
    enum err_code code = open_copy(&to, path, e);

    if (unlink_it)
        unlink(path);
    if (code == ERR_OK)
        code = open_source(&from, source, e);
    if (code == ERR_OK)
        watch_begun(watch);
    if (code == ERR_OK)
        code = copy_pages(to, from, source, watch, e);
    sqlite3_close(from);
    sqlite3_close(to);
    return code == ERR_OK ? clear_wal_flag(fd, path, e) : code;
}

/* A new file with a name nobody else has; `path` (PATH_MAX bytes) is "prefix-XXXXXX". */
static enum err_code make_temp(const char *prefix, char *path, int *fd, struct err *e)
{
    int n = snprintf(path, PATH_MAX, "%s-XXXXXX", prefix);

    if (n < 0 || n >= PATH_MAX)
        return err_set(e, ERR_IO, "the path %.100s… is too long", prefix);
    *fd = mkostemp(path, O_CLOEXEC);
    return *fd >= 0 ? ERR_OK : system_failure("create", path, e);
}

/* ---- to a file ---- */

static enum err_code publish(const char *temp, const char *dest, int fd, struct err *e)
{
    if (fsync(fd) != 0)
        return system_failure("sync", temp, e);
    if (rename(temp, dest) != 0)
        return system_failure("create", dest, e);
    if (file_sync_parent(dest, e) != ERR_OK)
        unlink(dest);
    return e->code;
}

/* The copy gets the permissions of the source. */
static void copy_mode(const char *source, int fd)
{
    struct stat st;

    if (stat(source, &st) == 0)
        (void)!fchmod(fd, st.st_mode & 0777);
}

enum err_code backup_to_file(const char *source, const char *dest, const struct watch *watch,
                             struct err *e)
{
    char temp[PATH_MAX];
    int fd = -1;
    enum err_code code = conn_library_init(e);

    if (code != ERR_OK)
        return code;
    if (access(dest, F_OK) == 0)
        return err_set(e, ERR_DATABASE_EXISTS, "%s exists already", dest);
    code = make_temp(dest, temp, &fd, e);
    if (code != ERR_OK)
        return code;
    code = fill(source, temp, fd, false, watch, e);
    if (code == ERR_OK) {
        copy_mode(source, fd);
        code = publish(temp, dest, fd, e);
    }
    if (code != ERR_OK)
        unlink(temp);
    close(fd);
    return code;
}

/* ---- as a stream ---- */

static enum err_code deliver(int fd, const char *source, const struct backup_sink *sink,
                             const struct watch *watch, struct err *e)
{
    char *piece = malloc(BACKUP_PIECE_BYTES);
    struct stat st;
    off_t at = 0;
    enum err_code code = ERR_OK;

    if (!piece)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    if (fstat(fd, &st) != 0)
        code = system_failure("read the copy of", source, e);
    else if (sink->size)
        sink->size(sink->arg, (uint64_t)st.st_size);
    while (code == ERR_OK && at < st.st_size) {
        ssize_t n = pread(fd, piece, BACKUP_PIECE_BYTES, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            code = system_failure("read the copy of", source, e);
        else if (n == 0)
            code = err_set(e, ERR_IO, "the copy of %s ends early", source);
        else if (watch_canceled(watch) || !sink->write(sink->arg, piece, (size_t)n))
            code = err_set(e, ERR_INTERRUPTED, "the copy of %s was canceled", source);
        at += n;
    }
    free(piece);
    return code;
}

enum err_code backup_stream(const char *source, const char *tmp_dir, const struct backup_sink *sink,
                            const struct watch *watch, struct err *e)
{
    char prefix[PATH_MAX], temp[PATH_MAX];
    int fd = -1, n;
    enum err_code code = conn_library_init(e);

    if (code != ERR_OK)
        return code;
    n = snprintf(prefix, sizeof prefix, "%s/ha-copy", tmp_dir);
    if (n < 0 || (size_t)n >= sizeof prefix)
        return err_set(e, ERR_IO, "the path %.100s… is too long", tmp_dir);
    code = make_temp(prefix, temp, &fd, e);
    if (code != ERR_OK)
        return code;
    code = fill(source, temp, fd, true, watch, e);
    if (code == ERR_OK)
        code = deliver(fd, source, sink, watch, e);
    close(fd);
    return code;
}
