/* Changes turned round, and lists of them that are read from their end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/inverse.h"

static const char *const columns[] = {"id", "v", "naïve \"name\""};
static const char *const pk[] = {"id"};
static const struct value before[] = {{.type = VALUE_INTEGER, .u.i = INT64_MIN},
                                      {.type = VALUE_TEXT, .u.s = {"a\0\xFF", 3}},
                                      {.type = VALUE_NULL}};
static const struct value after[] = {{.type = VALUE_REAL, .u.r = -0.0},
                                     {.type = VALUE_BLOB, .u.s = {NULL, 0}},
                                     {.type = VALUE_TEXT, .u.s = {"", 0}}};

static struct change change_of(enum change_op op)
{
    struct change c = {.op = op,
                       .database = "main",
                       .table = "t",
                       .columns = columns,
                       .pk_columns = pk,
                       .n_columns = 3,
                       .n_pk = 1,
                       .shape = 77};

    if (op != CHANGE_INSERT) {
        c.has_old_rowid = true;
        c.old_rowid = -1;
        c.old_values = before;
    }
    if (op != CHANGE_DELETE) {
        c.has_new_rowid = true;
        c.new_rowid = INT64_MAX;
        c.new_values = after;
    }
    return c;
}

static void turned_round(void **state)
{
    struct change c = change_of(CHANGE_INSERT), x;

    (void)state;
    assert_true(inverse_of(&c, &x));
    assert_int_equal(x.op, CHANGE_DELETE);
    assert_ptr_equal(x.old_values, after);
    assert_null(x.new_values);
    assert_true(x.has_old_rowid && !x.has_new_rowid && x.old_rowid == INT64_MAX);
    c = change_of(CHANGE_DELETE);
    assert_true(inverse_of(&c, &x));
    assert_int_equal(x.op, CHANGE_INSERT);
    assert_ptr_equal(x.new_values, before);
    assert_null(x.old_values);
    assert_true(!x.has_old_rowid && x.has_new_rowid && x.new_rowid == -1);
    c = change_of(CHANGE_UPDATE);
    assert_true(inverse_of(&c, &x));
    assert_int_equal(x.op, CHANGE_UPDATE);
    assert_ptr_equal(x.old_values, after);
    assert_ptr_equal(x.new_values, before);
    assert_true(x.old_rowid == INT64_MAX && x.new_rowid == -1);
    c = (struct change){.op = CHANGE_SQL, .command = "DROP TABLE t", .command_len = 12};
    assert_false(inverse_of(&c, &x));
}

static void same_values(const struct value *a, const struct value *b)
{
    if (!a || !b) {
        assert_ptr_equal(a, b);
        return;
    }
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(a[i].type, b[i].type);
        if (a[i].type == VALUE_INTEGER || a[i].type == VALUE_REAL) {
            assert_true(a[i].u.i == b[i].u.i); /* the bits */
        } else if (a[i].type != VALUE_NULL) {
            assert_int_equal(a[i].u.s.len, b[i].u.s.len);
            if (a[i].u.s.len > 0)
                assert_memory_equal(a[i].u.s.data, b[i].u.s.data, a[i].u.s.len);
        }
    }
}

static void expect(struct inverse_list *l, enum change_op op, uint64_t seq, unsigned index)
{
    struct err e = ERR_INIT;
    struct change c = change_of(op == CHANGE_INSERT   ? CHANGE_DELETE
                                : op == CHANGE_DELETE ? CHANGE_INSERT
                                                      : CHANGE_UPDATE);
    const struct inverse *x = NULL;

    assert_int_equal(inverse_list_back(l, &x, &e), ERR_OK);
    assert_non_null(x);
    assert_int_equal(x->change.op, op);
    assert_true(x->seq == seq);
    assert_int_equal(x->index, index);
    assert_int_equal(x->change.shape, 77);
    assert_string_equal(x->change.table, "t");
    assert_string_equal(x->change.database, "main");
    assert_int_equal(x->change.n_columns, 3);
    assert_string_equal(x->change.columns[2], columns[2]);
    assert_string_equal(x->change.pk_columns[0], "id");
    same_values(x->change.old_values, c.new_values);
    same_values(x->change.new_values, c.old_values);
    assert_true(x->change.has_old_rowid == c.has_new_rowid);
    assert_true(x->change.old_rowid == c.new_rowid && x->change.new_rowid == c.old_rowid);
}

static void expect_end(struct inverse_list *l)
{
    struct err e = ERR_INIT;
    const struct inverse *x = NULL;

    assert_int_equal(inverse_list_back(l, &x, &e), ERR_OK);
    assert_null(x);
}

static void read_from_the_end(void **state)
{
    struct inverse_list *l = inverse_list_new("/tmp", 1 << 20);
    const struct change a = change_of(CHANGE_INSERT), b = change_of(CHANGE_UPDATE),
                        c = change_of(CHANGE_DELETE),
                        s = {.op = CHANGE_SQL, .command = "x", .command_len = 1};
    struct err e = ERR_INIT;

    (void)state;
    inverse_list_rewind(l);
    expect_end(l);
    inverse_list_add(l, &a, 5, 1);
    inverse_list_add(l, &s, 5, 1);
    inverse_list_add(l, &b, 5, 2);
    uint64_t place = inverse_list_end(l);
    inverse_list_add(l, &c, UINT64_MAX, UINT32_MAX);
    for (int i = 0; i < 2; i++) {
        inverse_list_rewind(l);
        expect(l, CHANGE_INSERT, UINT64_MAX, UINT32_MAX);
        expect(l, CHANGE_UPDATE, 5, 2);
        expect(l, CHANGE_DELETE, 5, 1);
        expect_end(l);
        expect_end(l);
    }
    inverse_list_cut(l, place);
    assert_true(inverse_list_end(l) == place);
    inverse_list_rewind(l);
    expect(l, CHANGE_UPDATE, 5, 2);
    inverse_list_add(l, &a, 6, 1);
    inverse_list_rewind(l);
    expect(l, CHANGE_DELETE, 6, 1);
    expect(l, CHANGE_UPDATE, 5, 2);
    assert_int_equal(inverse_list_error(l, &e), ERR_OK);
    inverse_list_free(l);
    inverse_list_free(NULL);
}

/* In a file, and larger than what is read at once. */
static void of_any_size(void **state)
{
    struct inverse_list *l = inverse_list_new("/tmp", 1000);
    size_t big = 700000;
    char *bytes = malloc(big);
    struct err e = ERR_INIT;
    uint64_t place = UINT64_MAX;

    (void)state;
    memset(bytes, 'x', big);
    for (unsigned i = 0; i < 5000; i++) {
        struct value values[3] = {value_int(i), value_text(bytes, i % 611), value_null()};
        struct change c = change_of(CHANGE_INSERT);
        if (i % 1000 == 500)
            values[1] = value_blob(bytes, big);
        c.new_values = values;
        inverse_list_add(l, &c, i, 1 + i % 3);
    }
    assert_int_equal(inverse_list_error(l, &e), ERR_OK);
    inverse_list_rewind(l);
    for (unsigned i = 5000; i-- > 0;) {
        const struct inverse *x = NULL;
        assert_int_equal(inverse_list_back(l, &x, &e), ERR_OK);
        assert_non_null(x);
        assert_true(x->seq == i && x->change.old_values[0].u.i == i);
        assert_int_equal(x->index, 1 + i % 3);
        assert_int_equal(x->change.old_values[1].u.s.len, i % 1000 == 500 ? big : i % 611);
        assert_true(x->place < place);
        place = x->place;
    }
    expect_end(l);
    assert_true(place == 0);
    free(bytes);
    inverse_list_free(l);
}

/* What cannot be kept is told, and not before it is asked for. */
static void a_directory_that_is_not_there(void **state)
{
    struct inverse_list *l = inverse_list_new("/nowhere/at/all", 10);
    const struct change c = change_of(CHANGE_UPDATE);
    struct err e = ERR_INIT;

    (void)state;
    for (int i = 0; i < 10; i++)
        inverse_list_add(l, &c, 1, 1);
    assert_int_not_equal(inverse_list_error(l, &e), ERR_OK);
    inverse_list_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turned_round),
        cmocka_unit_test(read_from_the_end),
        cmocka_unit_test(of_any_size),
        cmocka_unit_test(a_directory_that_is_not_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
