/* What another node asks to be run: only what is one is taken, and nothing beyond it is read. */
#include "repl/handover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/reader.h"

#define ID "0123456789abcdefghijkl"

struct question {
    uint8_t format;
    const char *id, *origin, *subject;
    uint16_t n, packed; /* what it says, and how many there are */
};

static void put(struct buf *b, const struct question *q)
{
    buf_reset(b);
    buf_u8(b, q->format);
    buf_put(b, q->id, strlen(q->id));
    buf_be64(b, UINT64_C(0x8000000000000001));
    buf_be32(b, 300);
    buf_put(b, "m77", sizeof "m77");
    buf_put(b, q->origin, strlen(q->origin) + 1);
    buf_put(b, q->subject, strlen(q->subject) + 1);
    buf_be16(b, q->n);
    for (unsigned i = 0; i < q->packed; i++) {
        buf_be32(b, i % 5);
        buf_put(b, "abcd", i % 5);
    }
}

static enum err_code read_exact(struct handover *h, const char *bytes, size_t len)
{
    struct err e = ERR_INIT;
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    enum err_code code = handover_read(h, copy, len, &e);
    assert_int_equal(code, e.code);
    if (code == ERR_OK) {
        assert_true(strlen(h->origin) < sizeof h->origin && strlen(h->id) == ID_LEN);
        assert_true(h->n > 0 && h->n <= HANDOVER_MAX);
        for (unsigned i = 0; i < h->n; i++)
            assert_true(h->txns[i].data >= copy &&
                        h->txns[i].len <= (size_t)(copy + len - h->txns[i].data));
    }
    free(copy);
    return code;
}

static void test_question(void **state)
{
    static struct handover h;
    struct buf b = BUF_INIT;
    struct err e = ERR_INIT;
    const struct question q = {1, ID, "node=2Da", "ha.x", HANDOVER_MAX, HANDOVER_MAX};

    (void)state;
    assert_int_equal(strlen(ID), ID_LEN);
    put(&b, &q);
    assert_int_equal(handover_read(&h, b.data, b.len, &e), ERR_OK);
    assert_string_equal(h.id, ID);
    assert_string_equal(h.origin, "node=2Da");
    assert_string_equal(h.subject, "ha.x");
    assert_true(h.base == UINT64_C(0x8000000000000001));
    assert_true(h.patience_ns == 300 * CLOCK_MS);
    assert_string_equal(h.base_id, "m77");
    assert_int_equal(h.n, HANDOVER_MAX);
    for (unsigned i = 0; i < h.n; i++) {
        assert_int_equal(h.txns[i].len, i % 5);
        assert_memory_equal(h.txns[i].data, "abcd", i % 5);
    }
    buf_free(&b);
}

static void test_refused(void **state)
{
    static struct handover h;
    static char name[NAME_TOKEN_SIZE + 1];
    struct buf b = BUF_INIT;

    (void)state;
    memset(name, 'n', NAME_TOKEN_SIZE);
    const struct question bad[] = {
        {0, ID, "a", "s", 1, 1},                               /* another format */
        {2, ID, "a", "s", 1, 1},                               /* a later one */
        {1, ID, "a", "s", 0, 0},                               /* nothing to run */
        {1, ID, "a", "s", 2, 1},                               /* less than it says */
        {1, ID, "a", "s", 1, 2},                               /* more */
        {1, ID, "a", "s", HANDOVER_MAX + 1, HANDOVER_MAX + 1}, /* too many */
        {1, ID, "a", "s", UINT16_MAX, HANDOVER_MAX},
        {1, ID, name, "s", 1, 1}, /* a longer name than a node has */
        {1, "short", "a", "s", 1, 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put(&b, &bad[i]);
        if (read_exact(&h, b.data, b.len) != ERR_FORMAT)
            fail_msg("question %zu was taken", i);
    }
    name[NAME_TOKEN_SIZE - 1] = '\0';
    put(&b, &(struct question){1, ID, name, "s", 1, 1});
    assert_int_equal(read_exact(&h, b.data, b.len), ERR_OK);
    buf_free(&b);
}

static void test_cut_and_mutated(void **state)
{
    static struct handover h;
    struct buf b = BUF_INIT;
    uint32_t random = 1;
    unsigned bad = 0;

    (void)state;
    put(&b, &(struct question){1, ID, "node-a", "ha.x", 9, 9});
    assert_true(b.len > 0);
    for (size_t len = 0; len < b.len; len++)
        assert_int_equal(read_exact(&h, b.data, len), ERR_FORMAT);
    for (int i = 0; i < 20000 && b.len > 0; i++) {
        random = random * 1664525 + 1013904223;
        size_t at = (random >> 8) % b.len;
        char was = b.data[at];
        b.data[at] = (char)(random >> 24);
        if (memchr(b.data + 1, '\0', ID_LEN)) /* an id is bytes here: the origin makes it */
            b.data[at] = was;
        bad += read_exact(&h, b.data, b.len) == ERR_FORMAT;
        b.data[at] = was;
    }
    assert_true(bad > 100 && bad < 20000);
    buf_free(&b);
}

/* An answer as the origin reads it. */
static void test_fates(void **state)
{
    static const struct {
        enum err_code code;
        char fate;
    } cases[] = {
        {ERR_OK, 'D'},        {ERR_UNIQUE, 'D'},      {ERR_SYNTAX, 'H'},
        {ERR_CHECK, 'D'},     {ERR_CONFLICT, 'H'},    {ERR_BUSY, 'H'},
        {ERR_SHUTDOWN, 'H'},  {ERR_INTERRUPTED, 'H'}, {ERR_LOG_UNAVAILABLE, 'H'},
        {ERR_STOPPED, 'H'},   {ERR_NO_MEMORY, 'H'},   {ERR_UNKNOWN_OUTCOME, '?'},
        {ERR_DISK_FULL, 'H'}, {ERR_INTERNAL, 'H'},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = BUF_INIT, result = BUF_INIT;
        struct err e = ERR_INIT;
        const struct txn t = {.seq = 5, .index = 6};
        if (cases[i].code != ERR_OK)
            err_set(&e, cases[i].code, "x");
        bool more = handover_put(&b, &t, &e);
        assert_int_equal(more, cases[i].fate == 'D');
        buf_puts(&result, "abc");
        if (more)
            handover_put_result(&b, &result);
        struct reader in = reader_of(b.data, b.len);
        if (reader_u8(&in) != (uint8_t)cases[i].fate)
            fail_msg("%s is '%c'", err_name(cases[i].code), b.data[0]);
        assert_int_equal(reader_u64(&in), 5);
        assert_int_equal(reader_u32(&in), 6);
        uint32_t len = reader_u32(&in);
        assert_int_equal(len, more ? 3 : 0);
        if (more)
            assert_memory_equal(reader_bytes(&in, 3), "abc", 3);
        assert_true(reader_done(&in));
        buf_free(&b);
        buf_free(&result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_question),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_cut_and_mutated),
        cmocka_unit_test(test_fates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
