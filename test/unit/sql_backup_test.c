/* Copies under writes, their contents, and what is left behind. */
#include "sql/backup.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "sql/position.h"
#include "sql_temp.h"

static struct temp t;
static struct conn *c;
static char dest[128];

static int setup(void **state)
{
    (void)state;
    temp_init(&t);
    snprintf(dest, sizeof dest, "%s/copy.db", t.dir);
    c = temp_open(&t, CONN_WRITER);
    OK(position_init(c, e));
    OK(position_store(c, &(struct position){.seq = 12, .msg_id = "m12", .stream = "s"}, e));
    OK(conn_exec(c,
                 "CREATE TABLE u(a INTEGER PRIMARY KEY, b); PRAGMA user_version = 5;"
                 "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000)"
                 "INSERT INTO u SELECT i, printf('%.*c', 200, 'x') FROM n",
                 e));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    conn_close(c);
    temp_fini(&t);
    return 0;
}

static unsigned files_in(const char *dir)
{
    DIR *d = opendir(dir);
    unsigned n = 0;

    assert_non_null(d);
    for (struct dirent *x; (x = readdir(d)) != NULL;)
        n += x->d_name[0] != '.';
    closedir(d);
    return n;
}

/* Opens the copy for reading only, as from a read-only medium, and asks one question. */
static int64_t ask(const char *path, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *s;
    int64_t v;

    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    v = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    sqlite3_close(db);
    return v;
}

static void check_copy(const char *path, int64_t rows)
{
    assert_int_equal(ask(path, "SELECT count(*) FROM pragma_integrity_check WHERE 1 ="
                               " (integrity_check = 'ok')"),
                     1);
    assert_int_equal(ask(path, "SELECT count(*) FROM u"), rows);
    assert_int_equal(ask(path, "SELECT seq FROM ha_position"), 12);
    assert_int_equal(ask(path, "PRAGMA user_version"), 5);
    assert_int_equal(ask(path, "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode ="
                               " 'delete'"),
                     1);
}

static void test_file(void **state)
{
    struct stat st, source;
    struct err e1 = ERR_INIT;
    unsigned files = files_in(t.dir);

    (void)state;
    chmod(t.path, 0640);
    OK(backup_to_file(t.path, dest, NULL, e));
    check_copy(dest, 20000);
    assert_int_equal(files_in(t.dir), files + 1);
    assert_int_equal(stat(dest, &st), 0);
    assert_int_equal(stat(t.path, &source), 0);
    assert_int_equal(st.st_mode, source.st_mode);
    assert_int_equal(backup_to_file(t.path, dest, NULL, &e1), ERR_DATABASE_EXISTS);
    check_copy(dest, 20000);
}

/* The copy opens as a database of ours, and its position is found. */
static void test_opens(void **state)
{
    struct temp u = t;
    struct position p;
    struct conn *d;
    bool found;

    (void)state;
    OK(backup_to_file(t.path, dest, NULL, e));
    u.cfg.path = dest;
    d = temp_open(&u, CONN_WRITER);
    OK(position_load(d, &p, &found, e));
    assert_true(found);
    assert_int_equal(p.seq, 12);
    OK(temp_run(d, "INSERT INTO u(b) VALUES(1)", e));
    conn_close(d);
}

struct received {
    int fd;
    uint64_t announced, bytes, limit;
    unsigned sizes;
    unsigned files; /* in the directory while receiving */
};

static void take_size(void *arg, uint64_t bytes)
{
    struct received *r = arg;

    r->announced = bytes;
    r->sizes++;
    r->files = files_in(t.dir);
}

static bool take(void *arg, const void *bytes, size_t len)
{
    struct received *r = arg;

    assert_true(len > 0 && len <= 65536);
    r->bytes += len;
    /* The writer writes on while the receiver is slow. */
    OK(conn_exec(c, "INSERT INTO u(b) VALUES('meanwhile')", e));
    return write(r->fd, bytes, len) == (ssize_t)len && r->bytes <= r->limit;
}

static void test_stream(void **state)
{
    struct received r = {.limit = UINT64_MAX};
    struct backup_sink sink = {take_size, take, &r};
    unsigned files = files_in(t.dir);

    (void)state;
    r.fd = open(dest, O_CREAT | O_EXCL | O_WRONLY, 0600);
    OK(backup_stream(t.path, t.dir, &sink, NULL, e));
    close(r.fd);
    assert_int_equal(r.sizes, 1);
    assert_int_equal(r.announced, r.bytes);
    assert_int_equal(r.files, files + 1); /* the copy has no name */
    assert_int_equal(files_in(t.dir), files + 1);
    check_copy(dest, 20000);
}

static void test_stream_ends_early(void **state)
{
    struct received r = {.limit = 100000};
    struct backup_sink sink = {NULL, take, &r};
    struct err e = ERR_INIT;

    (void)state;
    r.fd = open(dest, O_CREAT | O_EXCL | O_WRONLY, 0600);
    assert_int_equal(backup_stream(t.path, t.dir, &sink, NULL, &e), ERR_INTERRUPTED);
    assert_int_equal(r.bytes, 131072);
    close(r.fd);
}

static void test_cancel(void **state)
{
    struct received r = {.limit = UINT64_MAX};
    struct backup_sink sink = {take_size, take, &r};
    atomic_bool cancel = true;
    struct err e = ERR_INIT;
    unsigned files = files_in(t.dir);

    (void)state;
    assert_int_equal(backup_to_file(t.path, dest, &(struct watch){.cancel = &cancel}, &e),
                     ERR_INTERRUPTED);
    assert_int_equal(backup_stream(t.path, t.dir, &sink, &(struct watch){.cancel = &cancel}, &e),
                     ERR_INTERRUPTED);
    assert_int_equal(r.sizes, 0);
    assert_int_equal(files_in(t.dir), files);
}

/* Pairs of rows are written together; no copy may hold half a pair. */
struct pairs {
    atomic_bool stop;
    atomic_uint written;
};

static void *write_pairs(void *arg)
{
    struct pairs *p = arg;

    while (!atomic_load(&p->stop)) {
        OK(conn_exec(c,
                     "BEGIN; INSERT INTO u(b) VALUES('left'); INSERT INTO u(b) VALUES('right');"
                     "COMMIT",
                     e));
        atomic_fetch_add(&p->written, 1);
    }
    return NULL;
}

static void test_while_writing(void **state)
{
    struct pairs p = {.stop = false};
    pthread_t th;

    (void)state;
    pthread_create(&th, NULL, write_pairs, &p);
    for (int i = 0; i < 10; i++) {
        unsigned before = atomic_load(&p.written);
        OK(backup_to_file(t.path, dest, NULL, e));
        assert_int_equal(ask(dest, "SELECT count(*) FILTER (WHERE b = 'left') ="
                                   " count(*) FILTER (WHERE b = 'right') FROM u"),
                         1);
        assert_true(ask(dest, "SELECT count(*) FROM u WHERE b = 'left'") >= before);
        unlink(dest);
    }
    atomic_store(&p.stop, true);
    pthread_join(th, NULL);
}

static bool never(void *arg, const void *bytes, size_t len)
{
    (void)arg;
    (void)bytes;
    (void)len;
    fail_msg("nothing was to be sent");
    return false;
}

static void test_failures(void **state)
{
    struct backup_sink sink = {NULL, never, NULL};
    struct err e = ERR_INIT;
    char path[128];
    unsigned files;
    FILE *f;

    (void)state;
    snprintf(path, sizeof path, "%s/text", t.dir);
    f = fopen(path, "w");
    for (int i = 0; i < 500; i++)
        fputs("this is not a database\n", f);
    fclose(f);
    files = files_in(t.dir);
    assert_int_equal(backup_to_file(path, dest, NULL, &e), ERR_CORRUPT);
    assert_int_equal(backup_stream(path, t.dir, &sink, NULL, &e), ERR_CORRUPT);
    snprintf(path, sizeof path, "%s/none", t.dir);
    assert_int_equal(backup_to_file(path, dest, NULL, &e), ERR_NO_DATABASE);
    assert_int_equal(backup_stream(path, t.dir, &sink, NULL, &e), ERR_NO_DATABASE);
    assert_int_equal(backup_stream(t.path, path, &sink, NULL, &e), ERR_IO);
    snprintf(path, sizeof path, "%s/none/x", t.dir);
    assert_int_equal(backup_to_file(t.path, path, NULL, &e), ERR_IO);
    assert_int_equal(files_in(t.dir), files);
}

/* A file that has never been written to, and one with a rollback journal. */
static void test_other_sources(void **state)
{
    char path[128];
    sqlite3 *db;

    (void)state;
    snprintf(path, sizeof path, "%s/empty", t.dir);
    fclose(fopen(path, "w"));
    OK(backup_to_file(path, dest, NULL, e));
    assert_int_equal(ask(dest, "SELECT count(*) FROM sqlite_schema"), 0);
    unlink(dest);
    snprintf(path, sizeof path, "%s/plain", t.dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "PRAGMA page_size = 1024; CREATE TABLE x(a);"
                                  "INSERT INTO x VALUES(7)",
                                  0, 0, 0),
                     SQLITE_OK);
    sqlite3_close(db);
    OK(backup_to_file(path, dest, NULL, e));
    assert_int_equal(ask(dest, "SELECT a FROM x"), 7);
    assert_int_equal(ask(dest, "PRAGMA page_size"), 1024);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_file),     TEST(test_opens),
        TEST(test_stream),   TEST(test_stream_ends_early),
        TEST(test_cancel),   TEST(test_while_writing),
        TEST(test_failures), TEST(test_other_sources),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
