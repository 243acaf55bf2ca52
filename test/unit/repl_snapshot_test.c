/* Files at rest, compressed bytes, and snapshots against a real nats-server. */
#include "repl/snapshot.h"

#include <zstd.h>

#include "base/sha256.h"
#include "repl/unpack.h"
#include "sql/backup.h"
#include "sql/image.h"
#include "support/nats_fixture.h"
#include "support/repl_fixture.h"

/* ---- unpack ---- */

struct sum {
    uint64_t bytes;
    uint64_t stop_at;
};

static bool count(void *arg, const void *bytes, size_t len)
{
    struct sum *s = arg;

    (void)bytes;
    s->bytes += len;
    return s->stop_at == 0 || s->bytes < s->stop_at;
}

static enum err_code unpack_all(const char *bytes, size_t n, size_t step, uint64_t size,
                                const char *sha, struct sum *s)
{
    struct unpack *u = NULL;
    struct err e = ERR_INIT;
    enum err_code code = unpack_new(&u, size, sha, count, s, &e);

    for (size_t at = 0; code == ERR_OK && at < n; at += step)
        code = unpack_add(u, bytes + at, n - at < step ? n - at : step, &e);
    if (code == ERR_OK)
        code = unpack_end(u, &e);
    unpack_free(u);
    return code;
}

static void compressed_bytes_are_judged(void **state)
{
    enum { SIZE = 700000 };
    static char plain[SIZE], packed[SIZE + 1000];
    unsigned char digest[SHA256_SIZE];
    char sha[SHA256_TEXT_SIZE];

    (void)state;
    for (int i = 0; i < SIZE; i++)
        plain[i] = (char)(((unsigned)i * (unsigned)i) >> 7);
    sha256(plain, SIZE, digest);
    sha256_text(digest, sha);
    size_t n = ZSTD_compress(packed, sizeof packed, plain, SIZE, 3);
    assert_false(ZSTD_isError(n));
    static const size_t steps[] = {1000, 131072, SIZE};
    for (size_t i = 0; i < 3; i++) {
        struct sum s = {0, 0};
        assert_int_equal(unpack_all(packed, n, steps[i], SIZE, sha, &s), ERR_OK);
        assert_true(s.bytes == SIZE);
        assert_int_equal(unpack_all(packed, n - 1, steps[i], SIZE, sha, &s), ERR_CORRUPT);
        assert_int_equal(unpack_all(packed, n, steps[i], SIZE + 1, sha, &s), ERR_CORRUPT);
        assert_int_equal(unpack_all(packed, n, steps[i], SIZE - 1, sha, &s), ERR_CORRUPT);
        s = (struct sum){0, 0};
        assert_int_equal(unpack_all(packed, n, steps[i], 1000, sha, &s), ERR_CORRUPT);
        assert_true(s.bytes <= 1000); /* what is too much is not handed on */
        s = (struct sum){0, 200000};
        assert_int_equal(unpack_all(packed, n, steps[i], SIZE, sha, &s), ERR_INTERRUPTED);
    }
    struct sum s = {0, 0};
    sha[0] = sha[0] == '0' ? '1' : '0';
    assert_int_equal(unpack_all(packed, n, SIZE, SIZE, sha, &s), ERR_CORRUPT);
    assert_int_equal(unpack_all(plain, 1000, 1000, SIZE, sha, &s), ERR_CORRUPT);
    assert_int_equal(unpack_all("", 0, 1, 0, sha, &s), ERR_CORRUPT);
}

/* ---- image ---- */

static void flip(const char *path, off_t at)
{
    unsigned char byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x55;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    assert_int_equal(close(fd), 0);
}

static void a_file_at_rest_is_checked(void **state)
{
    struct peer p = {.mode = REPLICA_SERIALIZABLE};
    struct image img;
    struct err e = ERR_INIT;
    char copy[128];
    atomic_bool cancel = true;

    (void)state;
    peer_make(&p, "image");
    peer_open(&p, &server, "image");
    peer_write(&p, "CREATE TABLE t (id INTEGER PRIMARY KEY, v); CREATE INDEX i ON t (v)");
    uint64_t seq =
        peer_write(&p, "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c "
                       "WHERE i < 5000) INSERT INTO t(v) SELECT hex(randomblob(50)) FROM c");
    (void)snprintf(copy, sizeof copy, "%s/copy.db", p.dir);
    assert_int_equal(backup_to_file(p.path, copy, NULL, &e), ERR_OK);
    assert_int_equal(image_check(copy, NULL, NULL, &img, &e), ERR_OK);
    assert_true(img.has_position && img.pos.seq == seq && img.outbox == 0);
    assert_string_equal(img.pos.stream, replica_stream(p.replica));
    assert_int_equal(img.page_size, 4096);
    assert_int_equal(image_check(copy, NULL, &(struct watch){.cancel = &cancel}, &img, &e),
                     ERR_INTERRUPTED);
    flip(copy, 3 * 4096 + 2);
    assert_int_equal(image_check(copy, NULL, NULL, &img, &e), ERR_CORRUPT);
    image_remove(copy);
    assert_int_equal(access(copy, F_OK), -1);
    assert_int_not_equal(image_check(copy, NULL, NULL, &img, &e), ERR_OK);
    peer_remove(&p);
}

static void one_file_takes_anothers_place(void **state)
{
    struct peer p = {.mode = REPLICA_SERIALIZABLE};
    struct err e = ERR_INIT;
    char other[128];
    atomic_bool cancel = true;

    (void)state;
    peer_make(&p, "over");
    peer_prepare_file(&p, "CREATE TABLE old (v); INSERT INTO old VALUES (1)");
    (void)snprintf(other, sizeof other, "%s/other.db", p.dir);
    assert_int_equal(image_create(other, 4096, &e), ERR_OK);
    struct conn_config cfg = {.path = other}, live = {.path = p.path};
    struct conn *c = NULL, *reader = NULL;
    assert_int_equal(conn_open(&c, &cfg, CONN_APPLIER, &e), ERR_OK);
    assert_int_equal(conn_exec(c, "CREATE TABLE fresh (v); INSERT INTO fresh VALUES (2)", &e),
                     ERR_OK);
    conn_close(c);
    /* A reader that has begun keeps its file; canceling leaves everything as it was. */
    assert_int_equal(conn_open(&reader, &live, CONN_APPLIER, &e), ERR_OK);
    assert_int_equal(conn_exec(reader, "BEGIN; SELECT * FROM old", &e), ERR_OK);
    assert_int_equal(image_over(other, p.path, &(struct watch){.cancel = &cancel}, &e),
                     ERR_INTERRUPTED);
    assert_int_equal(image_over(other, p.path, NULL, &e), ERR_OK);
    assert_int_equal(conn_exec(reader, "SELECT * FROM old", &e), ERR_OK);
    assert_int_equal(conn_exec(reader, "COMMIT", &e), ERR_OK);
    assert_int_equal(conn_exec(reader, "SELECT * FROM fresh", &e), ERR_OK);
    assert_int_equal(conn_exec(reader, "SELECT * FROM old", &e), ERR_NO_TABLE);
    conn_close(reader);
    image_remove(other);
    assert_int_equal(image_create(other, 8192, &e), ERR_OK);
    assert_int_equal(image_over(other, p.path, NULL, &e), ERR_UNSUPPORTED);
    err_clear(&e);
    assert_int_equal(image_repage(other, 4096, NULL, NULL, &e), ERR_OK);
    assert_int_equal(image_over(other, p.path, NULL, &e), ERR_OK);
    peer_remove(&p);
}

/* ---- snapshots ---- */

static struct snapshot_place place_of(const struct peer *p)
{
    return (struct snapshot_place){.client = p->client,
                                   .stream = p->stream,
                                   .log = replica_stream(p->replica),
                                   .id = "t.db",
                                   .node = p->name,
                                   .replicas = 1};
}

static struct snapshot take(const struct peer *p, bool expect_fresh)
{
    struct snapshot_place at = place_of(p);
    struct snapshot_progress progress = {0};
    struct snapshot s;
    struct err e = ERR_INIT;
    char temp[128];
    bool fresh = false;

    (void)snprintf(temp, sizeof temp, "%s.snapshot", p->path);
    if (snapshot_take(&at, p->path, temp, &progress, &s, &fresh, &e) != ERR_OK)
        fail_msg("%s", e.msg);
    assert_int_equal(fresh, expect_fresh);
    assert_int_equal(access(temp, F_OK), -1);
    return s;
}

static void an_older_one_never_replaces_a_newer(void **state)
{
    struct peer p = {.mode = REPLICA_SERIALIZABLE}, q = {.mode = REPLICA_SERIALIZABLE};
    struct snapshot s, newest;
    struct err e = ERR_INIT;
    bool found = false;

    (void)state;
    peer_make(&p, "a");
    peer_make(&q, "b");
    peer_open(&p, &server, "older");
    peer_open(&q, &server, "older");
    peer_wait(&q, peer_write(&p, "CREATE TABLE t (v)"));
    struct snapshot_place at = place_of(&p);
    assert_int_equal(snapshot_find(&at, SNAPSHOT_NEWEST, &s, &found, &e), ERR_OK);
    assert_false(found);
    peer_close(&q); /* its file stays where it is */
    peer_write(&p, "INSERT INTO t VALUES (1)");
    newest = take(&p, true);
    /* q's file, older, as if its node had been slow. */
    struct snapshot_progress progress = {0};
    bool fresh = true;
    char temp[128];
    (void)snprintf(temp, sizeof temp, "%s.snapshot", q.path);
    assert_int_equal(snapshot_take(&at, q.path, temp, &progress, &s, &fresh, &e), ERR_OK);
    assert_false(fresh);
    assert_true(s.pos.seq == newest.pos.seq);
    assert_int_equal(snapshot_find(&at, SNAPSHOT_NEWEST, &s, &found, &e), ERR_OK);
    assert_true(found && s.pos.seq == newest.pos.seq);
    assert_string_equal(s.sha256, newest.sha256);
    assert_int_equal(snapshot_find(&at, SNAPSHOT_PREVIOUS, &s, &found, &e), ERR_OK);
    assert_false(found);
    peer_remove(&p);
    peer_remove(&q);
}

static void a_snapshot_fits_its_log_only(void **state)
{
    struct peer p = {.mode = REPLICA_LWW};
    struct snapshot s;
    struct err e = ERR_INIT;
    bool fits = false;

    (void)state;
    peer_make(&p, "fit");
    peer_open(&p, &server, "fit");
    peer_write(&p, "CREATE TABLE t (v)");
    uint64_t seq = peer_write(&p, "INSERT INTO t VALUES (1)");
    s = take(&p, true);
    (void)take(&p, false);
    struct snapshot_place at = place_of(&p);
    struct stream_state log = log_state(&p);
    assert_int_equal(snapshot_fits(&at, &log, &s, &fits, &e), ERR_OK);
    assert_true(fits);
    struct snapshot other = s;
    (void)snprintf(other.pos.msg_id, sizeof other.pos.msg_id, "another");
    assert_int_equal(snapshot_fits(&at, &log, &other, &fits, &e), ERR_OK);
    assert_false(fits);
    other = s;
    other.pos.seq = seq + 1; /* behind the log's end */
    assert_int_equal(snapshot_fits(&at, &log, &other, &fits, &e), ERR_OK);
    assert_false(fits);
    /* Its last message is dropped, then the one behind it, too. */
    assert_int_equal(stream_purge(p.client, at.log, replica_subject(p.replica), &e), ERR_OK);
    log = log_state(&p);
    assert_int_equal(snapshot_fits(&at, &log, &s, &fits, &e), ERR_OK);
    assert_true(fits);
    log.created_ns++;
    assert_int_equal(snapshot_fits(&at, &log, &s, &fits, &e), ERR_OK);
    assert_false(fits);
    peer_write(&p, "INSERT INTO t VALUES (2)");
    assert_int_equal(stream_purge(p.client, at.log, replica_subject(p.replica), &e), ERR_OK);
    log = log_state(&p);
    assert_int_equal(snapshot_fits(&at, &log, &s, &fits, &e), ERR_OK);
    assert_false(fits);
    peer_remove(&p);
}

static void a_file_ahead_of_its_log_is_no_snapshot(void **state)
{
    struct peer p = {.mode = REPLICA_ASYNC};
    struct err e = ERR_INIT;

    (void)state;
    peer_make(&p, "async");
    peer_open(&p, &server, "async");
    WAIT_FOR(peer_follows(&p));
    peer_write(&p, "CREATE TABLE t (v)");
    WAIT_FOR(peer_status(&p).outbox == 0 && replica_position(p.replica) > 0);
    nats_pause(&server);
    peer_write(&p, "INSERT INTO t VALUES (1)");
    struct snapshot_place at = place_of(&p);
    struct snapshot_progress progress = {0};
    struct snapshot s;
    bool fresh;
    char temp[128];
    (void)snprintf(temp, sizeof temp, "%s.snapshot", p.path);
    assert_int_equal(snapshot_take(&at, p.path, temp, &progress, &s, &fresh, &e), ERR_BUSY);
    nats_resume(&server);
    WAIT_FOR(peer_status(&p).outbox == 0);
    (void)take(&p, true);
    peer_remove(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compressed_bytes_are_judged),
        cmocka_unit_test(a_file_at_rest_is_checked),
        cmocka_unit_test(one_file_takes_anothers_place),
        cmocka_unit_test(an_older_one_never_replaces_a_newer),
        cmocka_unit_test(a_snapshot_fits_its_log_only),
        cmocka_unit_test(a_file_ahead_of_its_log_is_no_snapshot),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
