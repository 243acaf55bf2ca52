/* The object store against a real nats-server. What other clients make of it is tested in
 * test/cluster/snapshot_test.py with the npm client. */
#include "nats/object.h"

#include <inttypes.h>

#include "support/nats_fixture.h"

static struct nats_fixture server;
static struct nats_client *client;

static int set_up(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    nats_up(&server, 0);
    client = nats_connect(&server, NULL, NULL);
    return object_bucket(client, "B", 1, &e) == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    nats_client_close(client);
    nats_down(&server);
    return 0;
}

static char byte_at(uint64_t i)
{
    return (char)((i * 2654435761u) >> 13);
}

static uint64_t end_of(const char *bucket)
{
    struct stream_state st;
    struct err e = ERR_INIT;
    bool found = false;

    assert_int_equal(object_bucket_state(client, bucket, &st, &found, &e), ERR_OK);
    assert_true(found);
    return st.last_seq;
}

/* Writes `n` bytes in pieces of `step`, without a name. */
static void put(const char *bucket, uint64_t n, size_t step, struct object_info *info)
{
    struct object_put *p = NULL;
    struct err e = ERR_INIT;
    char piece[5000];

    *info = (struct object_info){0};
    assert_int_equal(object_put_open(&p, client, bucket, &e), ERR_OK);
    for (uint64_t at = 0; at < n;) {
        size_t take = n - at < step ? (size_t)(n - at) : step;
        for (size_t i = 0; i < take; i++)
            piece[i] = byte_at(at + i);
        assert_int_equal(object_put_write(p, piece, take, &e), ERR_OK);
        at += take;
    }
    assert_int_equal(object_put_end(p, info, &e), ERR_OK);
    object_put_free(p);
}

static enum publish_result name_it(const char *bucket, const char *name,
                                   const struct object_info *info, uint64_t expect)
{
    struct err e = ERR_INIT;
    uint64_t seq = 0;

    return object_name(client, bucket, name, info, expect, &seq, &e);
}

static bool find(const char *bucket, const char *name, struct object_info *info)
{
    struct err e = ERR_INIT;
    bool found = false;

    if (object_find(client, bucket, name, info, &found, &e) != ERR_OK)
        fail_msg("%s", e.msg);
    return found;
}

static enum err_code read_all(const char *bucket, const struct object_info *info, uint64_t *size)
{
    struct object_get *g = NULL;
    struct err e = ERR_INIT;
    const char *bytes = NULL;
    size_t n = 0;

    *size = 0;
    assert_int_equal(object_get_open(&g, client, bucket, info, &e), ERR_OK);
    while (object_get_next(g, &bytes, &n, &e) == ERR_OK && n > 0)
        for (size_t i = 0; i < n; i++, (*size)++)
            assert_int_equal(bytes[i], byte_at(*size));
    object_get_free(g);
    return e.code;
}

static void what_was_written_is_read(void **state)
{
    static const uint64_t sizes[] = {0, 1, 131071, 131072, 131073, 1000000};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct object_info put_info, got;
        uint64_t size;
        char name[64];

        (void)snprintf(name, sizeof name, "dir/ä %zu.db", i);
        assert_false(find("B", name, &got));
        put("B", sizes[i], 1 + 997 * i, &put_info);
        assert_int_equal(put_info.chunks, (sizes[i] + 131071) / 131072);
        object_set_tag(&put_info, "ha-seq", "18446744073709551615");
        object_set_tag(&put_info, "note", "\"quoted\" and ä");
        assert_int_equal(name_it("B", name, &put_info, end_of("B")), PUBLISH_ACKED);
        assert_true(find("B", name, &got));
        assert_string_equal(got.nuid, put_info.nuid);
        assert_string_equal(got.digest, put_info.digest);
        assert_true(got.size == sizes[i] && got.chunks == put_info.chunks);
        assert_string_equal(object_tag(&got, "ha-seq"), "18446744073709551615");
        assert_string_equal(object_tag(&got, "note"), "\"quoted\" and ä");
        assert_null(object_tag(&got, "absent"));
        assert_true(got.time_ns > 0 && got.seq > 0);
        assert_int_equal(read_all("B", &got, &size), ERR_OK);
        assert_true(size == sizes[i]);
    }
}

static void a_name_is_given_only_on_the_expected_state(void **state)
{
    struct object_info a, b, got;
    uint64_t before = end_of("B");

    (void)state;
    put("B", 10, 10, &a);
    assert_int_equal(name_it("B", "cas", &a, before), PUBLISH_CONFLICT);
    assert_false(find("B", "cas", &got));
    before = end_of("B");
    assert_int_equal(name_it("B", "cas", &a, before), PUBLISH_ACKED);
    put("B", 20, 10, &b);
    assert_int_equal(name_it("B", "cas", &b, before), PUBLISH_CONFLICT);
    assert_true(find("B", "cas", &got));
    assert_string_equal(got.nuid, a.nuid);
}

static void two_names_share_chunks(void **state)
{
    struct object_info first, second, got;
    uint64_t size, messages_before;
    struct stream_state st;
    struct err e = ERR_INIT;
    bool found;

    (void)state;
    put("B", 300000, 1000, &first);
    assert_int_equal(name_it("B", "two", &first, end_of("B")), PUBLISH_ACKED);
    assert_int_equal(object_bucket_state(client, "B", &st, &found, &e), ERR_OK);
    messages_before = st.messages;
    assert_int_equal(name_it("B", "two/previous", &first, end_of("B")), PUBLISH_ACKED);
    assert_int_equal(object_bucket_state(client, "B", &st, &found, &e), ERR_OK);
    assert_true(st.messages == messages_before + 1); /* no chunk was copied */
    put("B", 400000, 1000, &second);
    assert_int_equal(name_it("B", "two", &second, end_of("B")), PUBLISH_ACKED);
    assert_true(find("B", "two/previous", &got));
    assert_int_equal(read_all("B", &got, &size), ERR_OK);
    assert_true(size == 300000);
    assert_true(find("B", "two", &got));
    assert_int_equal(read_all("B", &got, &size), ERR_OK);
    assert_true(size == 400000);
    assert_int_equal(object_drop(client, "B", first.nuid, &e), ERR_OK);
    assert_int_equal(read_all("B", &got, &size), ERR_OK); /* the other's chunks stay */
}

static void damage_is_seen(void **state)
{
    struct object_info info, lie;
    uint64_t size;

    (void)state;
    put("B", 200000, 1000, &info);
    lie = info;
    lie.digest[12] = lie.digest[12] == 'A' ? 'B' : 'A';
    assert_int_equal(read_all("B", &lie, &size), ERR_CORRUPT);
    lie = info;
    lie.size++;
    assert_int_equal(read_all("B", &lie, &size), ERR_CORRUPT);
    lie = info;
    lie.size = 100000;
    assert_int_equal(read_all("B", &lie, &size), ERR_CORRUPT);
    nats_delete_message(&server, "OBJ_B", end_of("B"));
    assert_int_equal(read_all("B", &info, &size), ERR_CORRUPT);
}

static void left_overs_are_swept(void **state)
{
    struct object_info named, nameless;
    struct err e = ERR_INIT;
    unsigned dropped = 0;
    uint64_t size;

    (void)state;
    assert_int_equal(object_bucket(client, "S", 1, &e), ERR_OK);
    put("S", 1000, 1000, &named);
    assert_int_equal(name_it("S", "kept", &named, end_of("S")), PUBLISH_ACKED);
    put("S", 1000, 1000, &nameless);
    assert_int_equal(object_sweep(client, "S", 3600 * CLOCK_S, &dropped, &e), ERR_OK);
    assert_int_equal(dropped, 0); /* too young: it may be under way */
    assert_int_equal(read_all("S", &nameless, &size), ERR_OK);
    assert_int_equal(object_sweep(client, "S", 0, &dropped, &e), ERR_OK);
    assert_int_equal(dropped, 1);
    assert_int_equal(read_all("S", &named, &size), ERR_OK);
}

static void messages_may_be_small(void **state)
{
    struct nats_fixture small;
    struct nats_client *main_client = client;
    struct object_info info;
    struct err e = ERR_INIT;
    uint64_t size;

    (void)state;
    nats_up(&small, 16384);
    client = nats_connect(&small, NULL, NULL);
    assert_int_equal(object_bucket(client, "B", 1, &e), ERR_OK);
    put("B", 100000, 5000, &info);
    assert_true(info.chunks > 6);
    assert_int_equal(read_all("B", &info, &size), ERR_OK);
    assert_true(size == 100000);
    nats_client_close(client);
    nats_down(&small);
    client = main_client;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(a_name_is_given_only_on_the_expected_state),
        cmocka_unit_test(two_names_share_chunks),
        cmocka_unit_test(damage_is_seen),
        cmocka_unit_test(left_overs_are_swept),
        cmocka_unit_test(messages_may_be_small),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
