/* What a node answers as NDJSON, in pieces of every size, comes out as rows; rows come out as text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/value_text.h"
#include "cli/answer.h"
#include "cli/show.h"
#include "cli/text.h"

/* ---- the answer ---- */

struct log {
    struct sink sink;
    struct buf text;
    unsigned stop_at; /* rows; 0 = never */
    unsigned rows;
};

static void log_columns(struct sink *s, const struct sink_column *cols, unsigned n)
{
    struct log *l = (struct log *)s;
    for (unsigned i = 0; i < n; i++)
        buf_printf(&l->text, "%s:%s ", cols[i].name, cols[i].decltype ? cols[i].decltype : "-");
    buf_putc(&l->text, '\n');
}

static enum sink_verdict log_row(struct sink *s, const struct value *values, unsigned n)
{
    struct log *l = (struct log *)s;
    for (unsigned i = 0; i < n; i++) {
        buf_printf(&l->text, "%d=", (int)values[i].type);
        value_put_json(&l->text, &values[i]);
        buf_putc(&l->text, ' ');
    }
    buf_putc(&l->text, '\n');
    return ++l->rows == l->stop_at ? SINK_STOP : SINK_MORE;
}

static void log_done(struct sink *s, const struct sink_done *d)
{
    struct log *l = (struct log *)s;
    buf_printf(&l->text, "done %d %d %d\n", d->has_rows, (int)d->rows_affected,
               (int)d->last_insert_id);
}

static const struct sink_ops log_ops = {log_columns, log_row, log_done};

/* In pieces of `piece` bytes: what the sink was told, and how it ended. */
static enum err_code take(struct log *l, const char *text, size_t piece, struct err *e)
{
    struct answer a;
    size_t len = strlen(text);
    bool more = true;

    l->sink.ops = &log_ops;
    buf_reset(&l->text);
    l->rows = 0;
    err_clear(e);
    answer_init(&a, &l->sink);
    for (size_t at = 0; at < len && more; at += piece)
        more = answer_take(&a, text + at, len - at < piece ? len - at : piece);
    enum err_code code = answer_end(&a, e);
    answer_free(&a);
    return code;
}

#define ROWS                                                                                       \
    "{\"columns\":[\"i\",\"s\"],\"types\":[\"INTEGER\",null]}\n"                                   \
    "[9223372036854775807,\"\\u00e9\\n\"]\n[-1,null]\n[1.0,5e-324]\n"                              \
    "[{\"type\":\"blob\",\"base64\":\"AP8=\"},{\"type\":\"text\",\"base64\":\"AGE=\"}]\n"          \
    "[{\"type\":\"real\",\"value\":\"-inf\"},{\"type\":\"blob\",\"base64\":\"\"}]\n"               \
    "{\"returns_rows\":true,\"rows_affected\":0,\"last_insert_id\":7,\"time\":0.5}\n"
#define COUNTS                                                                                     \
    "{\"columns\":[\"rows_affected\",\"last_insert_id\"],\"types\":[\"INTEGER\",\"INTEGER\"]}\n"

static void rows_arrive(void **state)
{
    struct log l = {.text = BUF_INIT};
    struct err e = ERR_INIT;

    (void)state;
    for (size_t piece = 1; piece < 400; piece++) {
        assert_int_equal(take(&l, ROWS, piece, &e), ERR_OK);
        assert_string_equal(buf_cstr(&l.text),
                            "i:INTEGER s:- \n"
                            "1=9223372036854775807 3=\"é\\n\" \n1=-1 0=null \n2=1.0 2=5e-324 \n"
                            "4={\"type\":\"blob\",\"base64\":\"AP8=\"} "
                            "3={\"type\":\"text\",\"base64\":\"AGE=\"} \n"
                            "2={\"type\":\"real\",\"value\":\"-inf\"} "
                            "4={\"type\":\"blob\",\"base64\":\"\"} \ndone 1 0 7\n");
    }
    buf_free(&l.text);
}

static void counts_are_no_rows(void **state)
{
    struct log l = {.text = BUF_INIT};
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(take(&l,
                          COUNTS "[3,9]\n{\"returns_rows\":false,\"rows_affected\":3,"
                                 "\"last_insert_id\":9,\"time\":0.1}\n",
                          17, &e),
                     ERR_OK);
    assert_string_equal(buf_cstr(&l.text), "done 0 3 9\n");
    /* A SELECT may have columns of these names, and any number of rows. */
    assert_int_equal(take(&l,
                          COUNTS "[3,9]\n[4,9]\n{\"returns_rows\":true,\"rows_affected\":0,"
                                 "\"last_insert_id\":0}\n",
                          5, &e),
                     ERR_OK);
    assert_string_equal(buf_cstr(&l.text), "rows_affected:INTEGER last_insert_id:INTEGER \n"
                                           "1=3 1=9 \n1=4 1=9 \ndone 1 0 0\n");
    assert_int_equal(
        take(&l, COUNTS "{\"returns_rows\":true,\"rows_affected\":0,\"last_insert_id\":0}\n", 5,
             &e),
        ERR_OK);
    assert_string_equal(buf_cstr(&l.text),
                        "rows_affected:INTEGER last_insert_id:INTEGER \ndone 1 0 0\n");
    buf_free(&l.text);
}

static void an_error_in_the_middle(void **state)
{
    struct log l = {.text = BUF_INIT};
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(
        take(&l,
             "{\"columns\":[\"a\"],\"types\":[null]}\n[1]\n"
             "{\"error\":{\"code\":\"TIMEOUT\",\"detail\":\"too slow\",\"offset\":4}}\n",
             3, &e),
        ERR_TIMEOUT);
    assert_string_equal(e.msg, "too slow");
    assert_int_equal(e.offset, 4);
    assert_string_equal(buf_cstr(&l.text), "a:- \n1=1 \n");
    buf_free(&l.text);
}

static void what_is_no_answer(void **state)
{
    static const char *const cases[] = {
        "x\n",
        "{}\n",
        "[1]\n",
        "{\"columns\":[1],\"types\":[null]}\n",
        "{\"columns\":[\"a\"],\"types\":[]}\n",
        "{\"columns\":[\"a\"],\"types\":[null]}\n",
        "{\"columns\":[\"a\"],\"types\":[null]}\n[1]",
        "{\"columns\":[\"a\"],\"types\":[null]}\n{\"columns\":[\"a\"],\"types\":[null]}\n",
        "{\"columns\":[\"a\"],\"types\":[null]}\n[[1]]\n",
        "{\"columns\":[\"a\"],\"types\":[null]}\n[true]\n",
        "{\"columns\":[\"a\"],\"types\":[null]}\n[{\"type\":\"blob\",\"base64\":\"?\"}]\n",
        "{\"columns\":[\"a\"],\"types\":[null]}\n[{\"type\":\"real\",\"value\":\"1\"}]\n",
        "{\"returns_rows\":true,\"rows_affected\":0}\n",
        "{\"error\":{}}\n",
        "{\"error\":{}}",
    };
    struct log l = {.text = BUF_INIT};
    struct err e = ERR_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t piece = 1; piece < 40; piece += 13)
            if (take(&l, cases[i], piece, &e) == ERR_OK)
                fail_msg("taken: %s", cases[i]);
    buf_free(&l.text);
}

static void a_sink_that_wants_no_more(void **state)
{
    struct log l = {.text = BUF_INIT, .stop_at = 2};
    struct err e = ERR_INIT;

    (void)state;
    (void)take(&l, ROWS, 50, &e);
    assert_int_equal(l.rows, 2);
    buf_free(&l.text);
}

/* ---- showing it ---- */

static const char *shown(enum show_mode mode, bool headers, const char *null_text)
{
    static const struct sink_column cols[] = {{"id", NULL}, {"a\tb", NULL}, {"id", NULL}};
    static char *text;
    size_t len = 0;
    struct show s;

    free(text);
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    show_init(&s, out, mode);
    s.headers = headers;
    s.null_text = null_text;
    show_reset(&s);
    s.sink.ops->columns(&s.sink, cols, 3);
    struct value one[] = {value_int(1), value_text("\x1b[2J\n", 5), value_null()};
    struct value two[] = {value_int(-20), value_text("漢,\"", 5), value_blob("\0\xff", 2)};
    assert_int_equal(s.sink.ops->row(&s.sink, one, 3), SINK_MORE);
    assert_int_equal(s.sink.ops->row(&s.sink, two, 3), SINK_MORE);
    s.sink.ops->done(&s.sink, &(struct sink_done){.has_rows = true});
    show_free(&s);
    (void)fclose(out);
    return text;
}

static void modes(void **state)
{
    (void)state;
    assert_string_equal(shown(SHOW_TABLE, true, NULL), "  id | a\\tb      | id\n"
                                                       "-----+-----------+---------\n"
                                                       "   1 | \\x1b[2J\\n | NULL\n"
                                                       " -20 | 漢,\"      | x'00ff'\n");
    assert_string_equal(shown(SHOW_TABLE, false, "-"), "   1 | \\x1b[2J\\n | -\n"
                                                       " -20 | 漢,\"      | x'00ff'\n");
    assert_string_equal(shown(SHOW_LINE, true, NULL),
                        "  id = 1\na\\tb = \\x1b[2J\n\n  id = NULL\n\n"
                        "  id = -20\na\\tb = 漢,\"\n  id = x'00ff'\n");
    assert_string_equal(shown(SHOW_CSV, true, NULL), "id,a\tb,id\r\n1,\"\x1b[2J\n\",\r\n"
                                                     "-20,\"漢,\"\"\",AP8=\r\n");
    assert_string_equal(shown(SHOW_TABS, true, NULL), "id\ta\\tb\tid\n1\t\x1b[2J\\n\tNULL\n"
                                                      "-20\t漢,\"\tx'00ff'\n");
    assert_string_equal(shown(SHOW_JSON, true, NULL),
                        "[{\"id\":1,\"a\\tb\":\"\\u001b[2J\\n\",\"id:1\":null},\n"
                        "{\"id\":-20,\"a\\tb\":\"漢,\\\"\","
                        "\"id:1\":{\"type\":\"blob\",\"base64\":\"AP8=\"}}]\n");
    assert_string_equal(shown(SHOW_JSONL, true, NULL),
                        "{\"id\":1,\"a\\tb\":\"\\u001b[2J\\n\",\"id:1\":null}\n"
                        "{\"id\":-20,\"a\\tb\":\"漢,\\\"\","
                        "\"id:1\":{\"type\":\"blob\",\"base64\":\"AP8=\"}}\n");
}

static void no_rows(void **state)
{
    static const struct sink_column col = {"a", NULL};
    static const char *const want[] = {" a\n---\n", "", "a\r\n", "a\n", "[]\n", ""};

    (void)state;
    for (int mode = SHOW_TABLE; mode <= SHOW_JSONL; mode++) {
        char *text = NULL;
        size_t len = 0;
        struct show s;
        FILE *out = open_memstream(&text, &len);

        assert_non_null(out);
        show_init(&s, out, (enum show_mode)mode);
        show_reset(&s);
        s.sink.ops->columns(&s.sink, &col, 1);
        s.sink.ops->done(&s.sink, &(struct sink_done){.has_rows = true});
        show_free(&s);
        (void)fclose(out);
        assert_string_equal(text, want[mode]);
        free(text);
    }
}

static void widths(void **state)
{
    static const struct {
        const char *text;
        size_t width;
        const char *plain;
    } cases[] = {
        {"abc", 3, "abc"},
        {"é", 1, "é"},
        {"e\xCC\x81", 1, "e\xCC\x81"}, /* an accent of its own */
        {"漢字", 4, "漢字"},
        {"😀", 2, "😀"},
        {"\n\t", 4, "\\n\\t"},
        {"\x7f\x01", 8, "\\x7f\\x01"},
        {"\xff"
         "a",
         5, "\\xffa"},
        {"\xC2\x9B", 8, "\\xc2\\x9b"}, /* begins a sequence on some terminals */
        {"\xF0\x9F\x98", 12, "\\xf0\\x9f\\x98"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = BUF_INIT;
        text_put_plain(&b, cases[i].text, strlen(cases[i].text), false);
        assert_string_equal(buf_cstr(&b), cases[i].plain);
        assert_int_equal(text_width(cases[i].text, strlen(cases[i].text)), cases[i].width);
        buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_arrive),
        cmocka_unit_test(counts_are_no_rows),
        cmocka_unit_test(an_error_in_the_middle),
        cmocka_unit_test(what_is_no_answer),
        cmocka_unit_test(a_sink_that_wants_no_more),
        cmocka_unit_test(modes),
        cmocka_unit_test(no_rows),
        cmocka_unit_test(widths),
    };

    text_locale();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
