#include "repl/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Messages `from` to `to`; `wrong` (0 = none) has another id than the log's. */
static void add(struct digest *d, uint64_t from, uint64_t to, uint64_t wrong)
{
    for (uint64_t seq = from; seq <= to; seq++) {
        char id[32];
        snprintf(id, sizeof id, "m%llu%s", (unsigned long long)seq, seq == wrong ? "x" : "");
        digest_add(d, seq, id);
    }
}

static bool hear(struct digest *d, struct digest_peer *p, struct digest *other, uint64_t *from,
                 uint64_t *to)
{
    struct digest_state told;
    digest_read(other, &told);
    return digest_compare(d, p, &told, from, to);
}

static bool is_known(struct digest *d, uint64_t seq)
{
    struct digest_point p;

    return digest_points(d, seq, seq, &p, 1) == 1;
}

/* At the same place, ahead, and behind, whatever the two began with. */
static void test_the_same_messages(void **state)
{
    (void)state;
    for (uint64_t base = 0; base <= 70; base += 35) {
        struct digest *a = digest_new(), *b = digest_new();
        struct digest_peer of_a = {0}, of_b = {0};
        uint64_t from, to;
        digest_stand(b, base);
        add(a, 1, 100, 0);
        add(b, base + 1, 100, 0);
        assert_false(hear(a, &of_b, b, &from, &to));
        assert_true(of_b.met);
        assert_int_equal(of_b.agreed, 100);
        add(a, 101, 3000, 0); /* b's newest is known no more, but its mark is */
        assert_false(hear(b, &of_a, a, &from, &to));
        add(b, 101, 1500, 0);
        assert_false(hear(a, &of_b, b, &from, &to));
        assert_int_equal(of_b.agreed, 1472);
        add(b, 1501, 3000, 0);
        assert_false(
            digest_compare(b, &of_a, NULL, &from, &to)); /* what a said when b was behind */
        assert_int_equal(of_a.agreed, 2944);
        digest_free(a);
        digest_free(b);
    }
}

static void test_one_message_is_another(void **state)
{
    uint64_t from = 0, to = 0;
    struct digest *a = digest_new(), *b = digest_new();
    struct digest_peer of_a = {0}, of_b = {0};

    (void)state;
    add(a, 1, 10, 0);
    add(b, 1, 10, 0);
    assert_false(hear(a, &of_b, b, &from, &to));
    assert_false(hear(b, &of_a, a, &from, &to));
    add(a, 11, 20, 0);
    add(b, 11, 20, 13);
    assert_true(hear(a, &of_b, b, &from, &to));
    assert_int_equal(from, 10);
    assert_int_equal(to, 20);
    assert_true(hear(b, &of_a, a, &from, &to));
    assert_int_equal(from, 10);
    /* It was said once; from here on they go on together. */
    add(a, 21, 30, 0);
    add(b, 21, 30, 0);
    assert_false(hear(a, &of_b, b, &from, &to));
    assert_false(hear(b, &of_a, a, &from, &to));
    add(b, 31, 40, 40);
    assert_false(hear(a, &of_b, b, &from, &to)); /* a is not there yet */
    add(a, 31, 45, 0);
    assert_true(digest_compare(a, &of_b, NULL, &from, &to));
    assert_int_equal(from, 30);
    assert_int_equal(to, 40);
    digest_free(a);
    digest_free(b);
}

/* They never had the chance to compare before, but both have the log from its beginning. */
static void test_from_the_beginning(void **state)
{
    uint64_t from = 0, to = 0;
    struct digest *a = digest_new(), *b = digest_new();
    struct digest_peer of_b = {0};

    (void)state;
    add(a, 1, 200, 0);
    add(b, 1, 150, 3);
    assert_true(hear(a, &of_b, b, &from, &to));
    assert_int_equal(from, 0);
    assert_int_equal(to, 128);
    digest_free(a);
    digest_free(b);
}

/* A file that begins anew elsewhere is not compared with what it was, but from there on. */
static void test_a_new_beginning(void **state)
{
    uint64_t from = 0, to = 0;
    struct digest *a = digest_new(), *b = digest_new();
    struct digest_peer of_a = {0}, of_b = {0};
    struct digest_state was, is;

    (void)state;
    add(a, 1, 10, 0);
    add(b, 1, 10, 0);
    assert_false(hear(a, &of_b, b, &from, &to));
    digest_read(b, &was);
    digest_stand(b, 10); /* where it stands already */
    digest_read(b, &is);
    assert_string_equal(was.name, is.name);
    digest_stand(b, 5);
    digest_read(b, &is);
    assert_string_not_equal(was.name, is.name);
    assert_false(is_known(b, 10));
    add(b, 6, 20, 7);
    add(a, 11, 20, 0);
    assert_true(hear(a, &of_b, b, &from, &to));
    assert_int_equal(from, 5);
    assert_int_equal(to, 20);
    assert_false(hear(b, &of_a, a, &from, &to)); /* a does not say what it had at 5: it accuses b */
    digest_free(a);
    digest_free(b);
}

static void test_taken_back(void **state)
{
    struct digest *d = digest_new();
    struct digest_state kept, s;

    (void)state;
    add(d, 1, 100, 0);
    digest_read(d, &kept);
    assert_int_equal(kept.end.seq, 100);
    add(d, 101, 300, 0);
    digest_cut(d, 100);
    digest_read(d, &s);
    assert_int_equal(s.end.seq, 100);
    assert_int_equal(s.end.sum, kept.end.sum);
    assert_int_equal(s.mark.seq, 64);
    assert_true(is_known(d, 100));
    assert_false(is_known(d, 101));
    add(d, 101, 5000, 0); /* too many to be taken back one by one: it begins anew */
    digest_cut(d, 100);
    digest_read(d, &s);
    assert_int_equal(s.base, 100);
    assert_int_equal(s.end.seq, 100);
    digest_free(d);
}

static void test_points(void **state)
{
    static struct digest_point p[DIGEST_NEWEST + DIGEST_MARKS];
    const size_t max = sizeof p / sizeof *p;
    uint64_t before = 0;
    struct digest *d = digest_new();

    (void)state;
    add(d, 1, 3000, 0);
    size_t n = digest_points(d, 64, 2999, p, max);
    assert_true(n > DIGEST_NEWEST);
    assert_int_equal(p[0].seq, 64);
    assert_int_equal(p[n - 1].seq, 2999);
    for (size_t i = 1; i < n; i++)
        assert_true(p[i].seq > p[i - 1].seq && p[i].seq - p[i - 1].seq <= DIGEST_STEP);
    assert_int_equal(digest_points(d, 65, 2999, p, max), 0); /* not known any more */
    assert_int_equal(digest_points(d, 0, 10, p, max), 1);
    assert_int_equal(digest_points(d, 64, 2999, p, 3), 3);
    assert_true(digest_denies(d, 2990, "m2990x", &before));
    assert_int_equal(before, 2989);
    assert_false(digest_denies(d, 2990, "m2990", &before));
    assert_false(digest_denies(d, 70, "m70x", &before)); /* nothing is known of it */
    digest_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_messages),  cmocka_unit_test(test_one_message_is_another),
        cmocka_unit_test(test_from_the_beginning), cmocka_unit_test(test_a_new_beginning),
        cmocka_unit_test(test_taken_back),         cmocka_unit_test(test_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
