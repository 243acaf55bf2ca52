#include "sql/image.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sql/conn.h"
#include "sql/error.h"
#include "sql/room.h"

#define IMAGE_STEP_PAGES  1024
#define IMAGE_WATCH_STEPS 10000 /* instructions of SQLite between two looks at the watch */
#define IMAGE_BUSY_MS     5000

static enum err_code failure(sqlite3 *db, int rc, const char *path, struct err *e)
{
    const char *msg = db ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
    int sys_errno = room_errno(db, rc);

    if (rc == SQLITE_INTERRUPT)
        err_set(e, ERR_INTERRUPTED, "the check of %s was canceled", path);
    else
        err_set(e, error_from_sqlite(rc, msg, sys_errno), "%s: %s", path, msg);
    e->sqlite_code = rc;
    return e->code;
}

static enum err_code open_file(sqlite3 **db, const char *path, int flags, struct err *e)
{
    enum err_code code = conn_library_init(e);
    int rc;

    *db = NULL;
    if (code != ERR_OK)
        return code;
    rc = sqlite3_open_v2(path, db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc == SQLITE_OK)
        sqlite3_busy_timeout(*db, IMAGE_BUSY_MS);
    return rc == SQLITE_OK ? ERR_OK : failure(*db, rc, path, e);
}

/* Steps `sql` to its first row. SQLITE_DONE where there is none; *s is finalized by the caller. */
static int first_row(sqlite3 *db, const char *sql, sqlite3_stmt **s)
{
    int rc = sqlite3_prepare_v2(db, sql, -1, s, NULL);
    return rc == SQLITE_OK ? sqlite3_step(*s) : rc;
}

static enum err_code number(sqlite3 *db, const char *path, const char *sql, int64_t *out,
                            struct err *e)
{
    sqlite3_stmt *s = NULL;
    int rc = first_row(db, sql, &s);

    *out = rc == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;
    sqlite3_finalize(s);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? ERR_OK : failure(db, rc, path, e);
}

static void copy_text(sqlite3_stmt *s, int column, char *out, size_t size)
{
    const unsigned char *text = sqlite3_column_text(s, column);
    snprintf(out, size, "%s", text ? (const char *)text : "");
}

static enum err_code read_position(sqlite3 *db, const char *path, struct image *out, struct err *e)
{
    sqlite3_stmt *s = NULL;
    int rc = first_row(
        db, "SELECT seq, msg_id, stream, stream_created FROM ha_position WHERE id = 1", &s);

    if (rc == SQLITE_ROW) {
        out->has_position = true;
        out->pos.seq = (uint64_t)sqlite3_column_int64(s, 0);
        copy_text(s, 1, out->pos.msg_id, sizeof out->pos.msg_id);
        copy_text(s, 2, out->pos.stream, sizeof out->pos.stream);
        out->pos.stream_created = sqlite3_column_int64(s, 3);
    }
    sqlite3_finalize(s);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? ERR_OK : failure(db, rc, path, e);
}

static enum err_code describe(sqlite3 *db, const char *path, struct image *out, struct err *e)
{
    static const char has_table[] = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND "
                                    "name = ";
    char sql[sizeof has_table + 32];
    int64_t n = 0;
    struct stat st;
    enum err_code code = number(db, path, "PRAGMA page_size", &n, e);

    out->page_size = (int)n;
    out->bytes = stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
    snprintf(sql, sizeof sql, "%s'ha_position'", has_table);
    if (code == ERR_OK)
        code = number(db, path, sql, &n, e);
    if (code == ERR_OK && n > 0)
        code = read_position(db, path, out, e);
    snprintf(sql, sizeof sql, "%s'ha_outbox'", has_table);
    if (code == ERR_OK)
        code = number(db, path, sql, &n, e);
    if (code == ERR_OK && n > 0)
        code = number(db, path, "SELECT count(*) FROM ha_outbox", &n, e);
    if (code == ERR_OK)
        out->outbox = (uint64_t)n;
    return code;
}

enum err_code image_describe(const char *path, struct image *out, struct err *e)
{
    sqlite3 *db;
    enum err_code code = open_file(&db, path, SQLITE_OPEN_READWRITE, e);

    *out = (struct image){0};
    if (code == ERR_OK) {
        sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        code = describe(db, path, out, e);
    }
    sqlite3_close(db);
    return code;
}

static int look_around(void *watch)
{
    watch_moved(watch, 0, 0);
    return watch_canceled(watch);
}

static enum err_code check(sqlite3 *db, const char *path, struct err *e)
{
    sqlite3_stmt *s = NULL;
    int rc = first_row(db, "PRAGMA integrity_check(1)", &s);
    enum err_code code = ERR_OK;

    if (rc != SQLITE_ROW)
        code = failure(db, rc, path, e);
    else if (strcmp((const char *)sqlite3_column_text(s, 0), "ok") != 0)
        code = err_set(e, ERR_CORRUPT, "%s: %s", path, (const char *)sqlite3_column_text(s, 0));
    sqlite3_finalize(s);
    return code;
}

enum err_code image_check(const char *path, const char *const *extensions,
                          const struct watch *watch, struct image *out, struct err *e)
{
    sqlite3 *db;
    enum err_code code = open_file(&db, path, SQLITE_OPEN_READONLY, e);

    *out = (struct image){0};
    if (code == ERR_OK)
        code = conn_load_extensions(db, extensions, e);
    if (code == ERR_OK) {
        sqlite3_progress_handler(db, IMAGE_WATCH_STEPS, look_around, (void *)watch);
        code = check(db, path, e);
    }
    if (code == ERR_OK)
        code = describe(db, path, out, e);
    sqlite3_close(db);
    return code;
}

enum err_code image_create(const char *path, int page_size, struct err *e)
{
    sqlite3 *db;
    char sql[128];
    enum err_code code = open_file(&db, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, e);
    int rc;

    snprintf(sql, sizeof sql, "PRAGMA page_size = %d; CREATE TABLE t (x); DROP TABLE t", page_size);
    rc = code == ERR_OK ? sqlite3_exec(db, sql, NULL, NULL, NULL) : SQLITE_OK;
    if (code == ERR_OK && rc != SQLITE_OK)
        code = failure(db, rc, path, e);
    sqlite3_close(db);
    return code;
}

static enum err_code rewrite(const char *path, const char *to, int page_size,
                             const char *const *extensions, const struct watch *watch,
                             struct err *e)
{
    sqlite3 *db;
    char *sql = NULL;
    enum err_code code = open_file(&db, path, SQLITE_OPEN_READWRITE, e);
    int rc;

    if (code == ERR_OK)
        code = conn_load_extensions(db, extensions, e);
    if (code == ERR_OK) {
        sqlite3_progress_handler(db, IMAGE_WATCH_STEPS, look_around, (void *)watch);
        /* INTO, because a VACUUM in place gives rows without a key of their own other rowids. */
        sql = sqlite3_mprintf("PRAGMA page_size = %d; VACUUM INTO %Q", page_size, to);
        rc = sql ? sqlite3_exec(db, sql, NULL, NULL, NULL) : SQLITE_NOMEM;
        code = rc == SQLITE_OK ? ERR_OK : failure(db, rc, path, e);
    }
    sqlite3_free(sql);
    sqlite3_close(db);
    return code;
}

enum err_code image_repage(const char *path, int page_size, const char *const *extensions,
                           const struct watch *watch, struct err *e)
{
    char other[PATH_MAX];
    int n = snprintf(other, sizeof other, "%s.pages", path);
    enum err_code code;

    if (n < 0 || n >= PATH_MAX - 16)
        return err_set(e, ERR_CONFIG, "the path %.100s… is too long", path);
    image_remove(other);
    code = rewrite(path, other, page_size, extensions, watch, e);
    if (code == ERR_OK && rename(other, path) != 0)
        code = err_set(e, ERR_IO, "cannot replace %s: %s", path, strerror(errno));
    if (code != ERR_OK)
        image_remove(other);
    return code;
}

static enum err_code copy(sqlite3 *to, sqlite3 *from, const char *dest, const struct watch *watch,
                          struct err *e)
{
    sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
    int rc = b ? SQLITE_OK : sqlite3_extended_errcode(to);
    bool canceled = false;

    while (rc == SQLITE_OK && !canceled) {
        canceled = watch_canceled(watch);
        if (!canceled)
            rc = sqlite3_backup_step(b, IMAGE_STEP_PAGES);
    }
    if (b) {
        int finish = sqlite3_backup_finish(b); /* not done: all is rolled back */
        if (rc == SQLITE_DONE)
            rc = finish;
    }
    if (canceled)
        return err_set(e, ERR_INTERRUPTED, "the restore of %s was canceled", dest);
    return rc == SQLITE_OK ? ERR_OK : failure(to, rc, dest, e);
}

enum err_code image_over(const char *source, const char *dest, const struct watch *watch,
                         struct err *e)
{
    sqlite3 *from = NULL, *to = NULL;
    struct image a, b;
    enum err_code code = image_describe(source, &a, e);

    if (code == ERR_OK)
        code = image_describe(dest, &b, e);
    if (code == ERR_OK && a.page_size != b.page_size)
        return err_set(e, ERR_UNSUPPORTED, "%s has pages of %d bytes, %s of %d", source,
                       a.page_size, dest, b.page_size);
    if (code == ERR_OK)
        code = open_file(&from, source, SQLITE_OPEN_READWRITE, e);
    if (code == ERR_OK)
        code = open_file(&to, dest, SQLITE_OPEN_READWRITE, e);
    if (code == ERR_OK)
        code = copy(to, from, dest, watch, e);
    sqlite3_close(from);
    sqlite3_close(to);
    return code;
}

enum err_code image_untie(const char *path, bool replace, struct err *e)
{
    sqlite3 *db;
    struct image img;
    char sql[256];
    enum err_code code = image_describe(path, &img, e);
    if (code != ERR_OK || !img.has_position)
        return code;
    code = open_file(&db, path, SQLITE_OPEN_READWRITE, e);
    snprintf(
        sql, sizeof sql,
        "BEGIN IMMEDIATE; UPDATE ha_position SET seq = 0, msg_id = '', stream = ''%s;%s COMMIT",
        replace ? "" : ", stream_created = 0", img.outbox > 0 ? " DELETE FROM ha_outbox;" : "");
    int rc = code == ERR_OK ? sqlite3_exec(db, sql, NULL, NULL, NULL) : SQLITE_OK;
    if (code == ERR_OK && rc != SQLITE_OK)
        code = failure(db, rc, path, e);
    sqlite3_close(db);
    return code;
}

/* Each is called as the database, with one of these behind it. */
static const char *const companions[] = {"-wal", "-shm", "-journal"};

#define COMPANIONS (sizeof companions / sizeof *companions)

bool image_is_companion(const char *path)
{
    size_t n = strlen(path);

    for (size_t i = 0; i < COMPANIONS; i++) {
        size_t m = strlen(companions[i]);
        if (n >= m && strcmp(path + n - m, companions[i]) == 0)
            return true;
    }
    return false;
}

void image_remove(const char *path)
{
    char name[PATH_MAX];

    unlink(path);
    for (size_t i = 0; i < COMPANIONS; i++) {
        int n = snprintf(name, sizeof name, "%s%s", path, companions[i]);
        if (n > 0 && n < PATH_MAX)
            unlink(name);
    }
}
