/* Results are recorded, carried as bytes to another node, and replayed there. */
#include "core/recorder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Writes down what it is given. */
struct notes {
    struct sink sink;
    struct buf text;
    unsigned rows, stop_at;
};

static void note_value(struct buf *b, const struct value *v)
{
    switch (v->type) {
    case VALUE_NULL:
        buf_puts(b, " null");
        break;
    case VALUE_INTEGER:
        buf_printf(b, " %" PRId64, v->u.i);
        break;
    case VALUE_REAL:
        buf_printf(b, " %a", v->u.r);
        break;
    case VALUE_TEXT:
    case VALUE_BLOB:
        buf_printf(b, " %s%zu:", v->type == VALUE_TEXT ? "text" : "blob", v->u.s.len);
        buf_put(b, v->u.s.data, v->u.s.len);
        break;
    }
}

static void note_columns(struct sink *s, const struct sink_column *cols, unsigned n)
{
    struct buf *b = &((struct notes *)s)->text;
    buf_printf(b, "columns %u", n);
    for (unsigned i = 0; i < n; i++)
        buf_printf(b, " %s/%s", cols[i].name, cols[i].decltype ? cols[i].decltype : "-");
    buf_putc(b, '\n');
}

static enum sink_verdict note_row(struct sink *s, const struct value *values, unsigned n)
{
    struct notes *notes = (struct notes *)s;
    if (++notes->rows == notes->stop_at)
        return SINK_STOP;
    buf_printf(&notes->text, "row %u", n);
    for (unsigned i = 0; i < n; i++)
        note_value(&notes->text, &values[i]);
    buf_putc(&notes->text, '\n');
    return notes->rows % 2 ? SINK_MORE : SINK_FULL; /* is not obeyed */
}

static void note_done(struct sink *s, const struct sink_done *d)
{
    buf_printf(&((struct notes *)s)->text,
               "done %d %" PRIu64 " %" PRId64 " %" PRId64 " %" PRId64 "\n", d->has_rows, d->rows,
               d->rows_affected, d->last_insert_id, d->elapsed_ns);
}

static const struct sink_ops note_ops = {note_columns, note_row, note_done};

static struct notes notes_of(void)
{
    return (struct notes){.sink = {&note_ops}, .text = BUF_INIT};
}

/* Two statements: rows of all classes, and none. */
static void play(struct sink *s)
{
    const struct sink_column cols[] = {{"a", "INTEGER"}, {"", NULL}, {"c d", ""}};
    const struct value row[] = {value_int(INT64_MIN), value_text("x\0y", 3), value_blob("", 0)};
    const struct value other[] = {value_null(), value_real(-0.5), value_text("", 0)};
    struct value wide[200];

    s->ops->columns(s, cols, 3);
    assert_int_equal(s->ops->row(s, row, 3) == SINK_STOP, 0);
    assert_int_equal(s->ops->row(s, other, 3) == SINK_STOP, 0);
    for (int i = 0; i < 200; i++)
        wide[i] = value_int(i);
    assert_int_equal(s->ops->row(s, wide, 200) == SINK_STOP, 0);
    s->ops->done(s, &(struct sink_done){true, 3, -1, INT64_MAX, 12345});
    s->ops->done(s, &(struct sink_done){.rows_affected = 7, .last_insert_id = -7});
}

static void expect(const struct recorder *r)
{
    struct notes direct = notes_of(), replayed = notes_of();

    play(&direct.sink);
    assert_true(recorder_replay(r, &replayed.sink));
    assert_string_equal(buf_cstr(&direct.text), buf_cstr(&replayed.text));
    assert_int_equal(direct.text.len, replayed.text.len);
    assert_true(replayed.text.len > 100);
    buf_free(&direct.text);
    buf_free(&replayed.text);
}

static void test_round_trip(void **state)
{
    struct recorder here, there;

    (void)state;
    recorder_init(&here, 1 << 20);
    recorder_init(&there, 1 << 20);
    play(&here.sink);
    expect(&here);
    expect(&here); /* as often as one likes */
    assert_true(recorder_load(&there, here.bytes.data, here.bytes.len));
    expect(&there);
    /* Instead of what it held, and not behind it. */
    assert_true(recorder_load(&there, here.bytes.data, here.bytes.len));
    expect(&there);
    recorder_reset(&here);
    play(&here.sink);
    expect(&here);
    assert_true(recorder_load(&there, "", 0));
    assert_true(recorder_replay(&there, &sink_nowhere));
    recorder_free(&here);
    recorder_free(&there);
}

static void test_limits(void **state)
{
    struct recorder r, small;
    struct notes n = notes_of();
    const struct value row[] = {value_text("0123456789", 10)};
    enum sink_verdict v = SINK_MORE;

    (void)state;
    recorder_init(&r, 1 << 20);
    play(&r.sink);
    recorder_init(&small, r.bytes.len - 1);
    assert_false(recorder_load(&small, r.bytes.data, r.bytes.len));
    for (int i = 0; i < 1000 && v == SINK_MORE; i++)
        v = small.sink.ops->row(&small.sink, row, 1);
    assert_int_equal(v, SINK_STOP);
    recorder_reset(&small);
    assert_int_equal(small.sink.ops->row(&small.sink, row, 1), SINK_MORE);
    n.stop_at = 2;
    assert_false(recorder_replay(&r, &n.sink));
    assert_int_equal(n.rows, 2);
    recorder_free(&r);
    recorder_free(&small);
    buf_free(&n.text);
}

/* Where something is cut off within an entry it is no recording. */
static void test_cut(void **state)
{
    struct recorder r, cut;
    unsigned whole = 0;

    (void)state;
    recorder_init(&r, 1 << 20);
    recorder_init(&cut, 1 << 20);
    play(&r.sink);
    for (size_t len = 0; len < r.bytes.len; len++) {
        char *copy = malloc(len ? len : 1);
        assert_non_null(copy);
        memcpy(copy, r.bytes.data, len);
        whole += recorder_load(&cut, copy, len);
        free(copy);
    }
    assert_int_equal(whole, 6); /* nothing; behind the columns, each row, the first done */
    assert_false(recorder_load(&cut, "X", 1));
    assert_false(recorder_load(&cut, "C\xff\xff\xff\xff", 5)); /* more than could follow */
    assert_false(recorder_load(&cut, "R\xff\xff\xff\xff", 5));
    assert_false(recorder_load(&cut, "R\0\0\0\1\5", 6)); /* a value of no class */
    recorder_free(&r);
    recorder_free(&cut);
}

static void test_mutated(void **state)
{
    struct recorder r, other;
    uint32_t random = 1;
    unsigned bad = 0;

    (void)state;
    recorder_init(&r, 1 << 20);
    recorder_init(&other, 1 << 20);
    play(&r.sink);
    for (int i = 0; i < 20000; i++) {
        char *copy = malloc(r.bytes.len);
        assert_non_null(copy);
        memcpy(copy, r.bytes.data, r.bytes.len);
        for (int k = 0; k <= i % 3; k++) {
            random = random * 1664525 + 1013904223;
            copy[(random >> 8) % r.bytes.len] = (char)(random >> 24);
        }
        bad += !recorder_load(&other, copy, r.bytes.len);
        free(copy);
    }
    assert_true(bad > 1000 && bad < 20000);
    recorder_free(&r);
    recorder_free(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_mutated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
