/*
 * COPY data: files that PostgreSQL 15 wrote are read and written to the same bytes, every case
 * reads alike however it is cut, and what PostgreSQL refuses is refused with its words and line.
 * The expected answers are those of a PostgreSQL 15.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/pgcopy.h"

#define GOLDEN        "test/wire/golden/copy/"
#define MAX_ROW_BYTES 4096u
#define MAX_COLUMNS   4u

static const char *const names[MAX_COLUMNS] = {"a", "b", "c", "d"};
static const bool second[MAX_COLUMNS] = {false, true, false, false};

/* The rows as text, for comparing: fields in brackets, '~' for NULL, a row a line; errors as
 * "!line message". */
static void render(struct buf *out, struct copy_reader *r, const char *data, size_t len,
                   size_t piece, unsigned n)
{
    const struct value *fields;
    struct err e = ERR_INIT;
    size_t at = 0;

    for (;;) {
        enum copy_step step = copy_reader_row(r, &fields, &e);

        if (step == COPY_MORE && at < len) {
            size_t take = len - at < piece ? len - at : piece;

            copy_reader_feed(r, data + at, take);
            at += take;
        } else if (step == COPY_MORE) {
            copy_reader_finish(r);
        } else if (step == COPY_ROW) {
            for (unsigned i = 0; i < n; i++) {
                if (fields[i].type == VALUE_NULL) {
                    buf_putc(out, '~');
                    continue;
                }
                buf_putc(out, '[');
                buf_put(out, fields[i].u.s.data, fields[i].u.s.len);
                buf_putc(out, ']');
            }
            buf_putc(out, '\n');
        } else {
            if (step == COPY_FAILED)
                buf_printf(out, "!%d %s", (int)copy_reader_line(r), e.msg);
            return;
        }
    }
}

static void read_all(struct buf *out, const struct copy_options *o, unsigned n, const char *data,
                     size_t len, size_t piece)
{
    struct copy_reader *r = copy_reader_new(o, names, n, MAX_ROW_BYTES);

    assert_non_null(r);
    buf_reset(out);
    render(out, r, data, len, piece, n);
    assert_true(buf_ok(out));
    copy_reader_free(r);
}

static void expect_bytes(const struct copy_options *o, unsigned n, const char *data, size_t len,
                         const char *want)
{
    struct buf got = BUF_INIT;

    for (size_t piece = 1; piece <= len + 1; piece++) {
        read_all(&got, o, n, data, len, piece);
        assert_string_equal(buf_cstr(&got), want);
    }
    buf_free(&got);
}

static void expect(const struct copy_options *o, unsigned n, const char *data, const char *want)
{
    expect_bytes(o, n, data, strlen(data), want);
}

/* ---- PostgreSQL's own files ---- */

struct file {
    char *bytes;
    size_t len;
};

static struct file load(const char *name)
{
    char path[256];
    struct file f = {NULL, 0};
    FILE *in;

    (void)snprintf(path, sizeof path, GOLDEN "%s", name);
    in = fopen(path, "rb");
    assert_non_null(in);
    f.bytes = malloc(65536);
    assert_non_null(f.bytes);
    f.len = fread(f.bytes, 1, 65536, in);
    assert_in_range(f.len, 1, 65535);
    (void)fclose(in);
    return f;
}

/* Reads the rows of `from` and writes them with `to`. */
static void convert(struct buf *out, const struct copy_options *from, const struct file *f,
                    const struct copy_options *to, size_t piece)
{
    struct copy_reader *r = copy_reader_new(from, names, 3, MAX_ROW_BYTES);
    const struct value *fields;
    struct err e = ERR_INIT;
    size_t at = 0;
    int rows = 0;

    assert_non_null(r);
    buf_reset(out);
    copy_write_begin(out, to, names, 3);
    for (;;) {
        enum copy_step step = copy_reader_row(r, &fields, &e);

        if (step == COPY_END)
            break;
        assert_int_not_equal(step, COPY_FAILED);
        if (step == COPY_ROW) {
            copy_write_row(out, to, fields, 3);
            rows++;
        } else if (at < f->len) {
            size_t take = f->len - at < piece ? f->len - at : piece;

            copy_reader_feed(r, f->bytes + at, take);
            at += take;
        } else {
            copy_reader_finish(r);
        }
    }
    copy_write_end(out, to);
    assert_int_equal(rows, 9);
    assert_true(buf_ok(out));
    copy_reader_free(r);
}

static void null_is(struct copy_options *o, const char *null)
{
    o->null_len = strlen(null);
    memcpy(o->null, null, o->null_len + 1);
}

static void files_of_postgresql(void **state)
{
    static const char *const files[] = {"binary.bin",    "text.txt",       "text_pipe.txt",
                                        "csv.csv",       "csv_header.csv", "csv_forced.csv",
                                        "csv_escape.csv"};
    enum { FILES = sizeof files / sizeof files[0] };
    struct copy_options o[FILES], in;
    struct file f[FILES];
    struct buf out = BUF_INIT;

    (void)state;
    copy_options_init(&o[0], COPY_BINARY);
    copy_options_init(&o[1], COPY_TEXT);
    copy_options_init(&o[2], COPY_TEXT);
    o[2].delimiter = '|';
    o[2].header = COPY_HEADER_YES;
    null_is(&o[2], "nil");
    for (int i = 3; i < FILES; i++)
        copy_options_init(&o[i], COPY_CSV);
    o[4].header = COPY_HEADER_YES;
    null_is(&o[4], "NULL");
    o[5].force_quote_all = true;
    o[5].delimiter = ';';
    o[6].quote = '\'';
    o[6].escape = '\\';
    o[6].force_quote = second;
    for (int i = 0; i < FILES; i++)
        f[i] = load(files[i]);
    for (int from = 0; from < FILES; from++)
        for (int to = 0; to < FILES; to++) {
            in = o[from];
            in.force_quote = NULL;
            in.force_quote_all = false;
            for (size_t piece = 1; piece < 600; piece += 7) {
                convert(&out, &in, &f[from], &o[to], piece);
                assert_int_equal(out.len, f[to].len);
                assert_memory_equal(out.data, f[to].bytes, out.len);
            }
        }
    for (int i = 0; i < FILES; i++)
        free(f[i].bytes);
    buf_free(&out);
}

/* ---- text ---- */

static void text(void **state)
{
    struct copy_options o;

    (void)state;
    copy_options_init(&o, COPY_TEXT);
    expect(&o, 1, "", "");
    expect(&o, 1, "\n", "[]\n");
    expect(&o, 2, "a\tb\nc\td", "[a][b]\n[c][d]\n");
    expect(&o, 2, "\\N\t\\\\N\n", "~[\\N]\n");
    expect(&o, 2, "\\Nx\tx\\N\n", "[Nx][xN]\n");
    expect(&o, 1, "\\x41\\x4g\\xg\\101\\18\\.x\n", "!1 end-of-copy marker corrupt");
    expect(&o, 1, "\\x41\\x4g\\xg\\101\\618\\q\n", "[A\004gxgA18q]\n");
    expect(&o, 1, "\\N\\", "~\n");
    expect(&o, 1, "\\b\\f\\n\\r\\t\\v\n", "[\b\f\n\r\t\v]\n");
    expect(&o, 2, "a\\\tb\tc\\\nd\n", "[a\tb][c\nd]\n");
    expect(&o, 1, "a\\", "[a]\n");
    expect(&o, 1, "a\r\nb\r\n", "[a]\n[b]\n");
    expect(&o, 1, "a\rb\r", "[a]\n[b]\n");
    expect(&o, 1, "a\n\\.\nb\n", "[a]\n");
    expect(&o, 1, "a\\.\nb\n", "[a]\n");
    expect(&o, 1, "a\r\n\\.\r\n", "[a]\n");
    expect_bytes(&o, 1, "a\0b\n", 4, "[a"); /* a C string ends there, the field does not */
}

static void text_refused(void **state)
{
    struct copy_options o;

    (void)state;
    copy_options_init(&o, COPY_TEXT);
    expect(&o, 2, "a\tb\nc\n", "[a][b]\n!2 missing data for column \"b\"");
    expect(&o, 1, "a\nb\tc\n", "[a]\n!2 extra data after last expected column");
    expect(&o, 1, "a\nb\rc\n", "[a]\n!2 literal carriage return found in data");
    expect(&o, 1, "a\r\nb\n", "[a]\n!2 literal newline found in data");
    expect(&o, 1, "a\n\\.\r\n", "[a]\n!2 end-of-copy marker does not match previous newline style");
    expect(&o, 1, "a\n\\.", "[a]\n!2 end-of-copy marker corrupt");
}

static void headers(void **state)
{
    struct copy_options o;

    (void)state;
    copy_options_init(&o, COPY_TEXT);
    o.header = COPY_HEADER_YES;
    expect(&o, 1, "whatever\tis here\na\n", "[a]\n");
    o.header = COPY_HEADER_MATCH;
    expect(&o, 2, "a\tb\n1\t2\n", "[1][2]\n");
    expect(&o, 2, "", "!1 wrong number of fields in header line: got 1, expected 2");
    expect(&o, 2, "a\n", "!1 wrong number of fields in header line: got 1, expected 2");
    expect(&o, 2, "a\tc\n",
           "!1 column name mismatch in header line field 2: got \"c\", expected \"b\"");
    expect(&o, 2, "a\t\\N\n",
           "!1 column name mismatch in header line field 2: got null value (\"\\N\"), expected "
           "\"b\"");
}

/* ---- csv ---- */

static void csv(void **state)
{
    struct copy_options o;

    (void)state;
    copy_options_init(&o, COPY_CSV);
    expect(&o, 2, "a,b\n\"c\",\"d\"\n", "[a][b]\n[c][d]\n");
    expect(&o, 2, ",\"\"\n", "~[]\n");
    expect(&o, 1, "\"a\"\"b\"\n", "[a\"b]\n");
    expect(&o, 1, "a\"b,c\"d\n", "[ab,cd]\n");
    expect(&o, 2, "\"x\ny\r\nz\",\\N\n", "[x\ny\r\nz][\\N]\n");
    expect(&o, 1, "x\n\\.\ny\n", "[x]\n");
    expect(&o, 1, "x\n\\.y\n", "[x]\n[\\.y]\n");
    expect(&o, 1, "x\n\\.", "[x]\n[\\.]\n");
    o.escape = '\\';
    expect(&o, 1, "\"a\\\"b\\\\c\\d\"\n", "[a\"b\\c\\d]\n");
    expect(&o, 1, "a\\\"b\n\"\n", "[a\\b\n]\n");
}

static void csv_forced(void **state)
{
    struct copy_options o;

    (void)state;
    copy_options_init(&o, COPY_CSV);
    o.force_not_null = second;
    expect(&o, 2, ",\n", "~[]\n");
    copy_options_init(&o, COPY_CSV);
    o.force_null = second;
    expect(&o, 2, "\"\",\"\"\n", "[]~\n");
}

static void csv_refused(void **state)
{
    struct copy_options o;

    (void)state;
    copy_options_init(&o, COPY_CSV);
    expect(&o, 1, "a\n\"b\nc\n", "[a]\n!4 unterminated CSV quoted field");
    expect(&o, 1, "a\nb\rc", "[a]\n!2 unquoted carriage return found in data");
    expect(&o, 1, "a\r\nb\n", "[a]\n!2 unquoted newline found in data");
    expect(&o, 2, "\"1\n2\",x\ny\n", "[1\n2][x]\n!2 missing data for column \"b\"");
}

/* ---- binary ---- */

#define SIGNATURE "PGCOPY\n\377\r\n\0"
#define HEADER    SIGNATURE "\0\0\0\0\0\0\0\0"
/* A literal's bytes without its terminator. */
#define LIT(s)    (s), sizeof(s) - 1

static void binary(void **state)
{
    struct copy_options o;

    (void)state;
    copy_options_init(&o, COPY_BINARY);
    expect_bytes(&o, 2, LIT(HEADER "\0\2\0\0\0\1x\377\377\377\377\377\377"), "[x]~\n");
    expect_bytes(&o, 1, LIT(HEADER "\0\1\0\0\0\0"), "[]\n");
    expect_bytes(&o, 1, LIT(HEADER "\0"), "");
    expect_bytes(&o, 1, LIT(SIGNATURE "\0\0\0\0\0\0\0\2zz\377\377"), "");
    expect_bytes(&o, 1, LIT("PGCOPY\n\377\r\r"), "!0 COPY file signature not recognized");
    expect_bytes(&o, 1, LIT(""), "!0 COPY file signature not recognized");
    expect_bytes(&o, 1, LIT(SIGNATURE "\0\1\0\0\0\0\0\0"),
                 "!0 invalid COPY file header (WITH OIDS)");
    expect_bytes(&o, 1, LIT(SIGNATURE "\200\0\0\0\0\0\0\0"),
                 "!0 unrecognized critical flags in COPY file header");
    expect_bytes(&o, 1, LIT(HEADER "\0\2"), "!1 row field count is 2, expected 1");
    expect_bytes(&o, 1, LIT(HEADER "\0\1\377\377\377\376"), "!1 invalid field size");
    expect_bytes(&o, 1, LIT(HEADER "\0\1\0\0\0\3ab"), "!1 unexpected EOF in COPY data");
    expect_bytes(&o, 1, LIT(HEADER "\377\377x"), "!0 received copy data after EOF marker");
    expect_bytes(&o, 1, LIT(HEADER "\0\1\0\0\20\1"), "!1 COPY row exceeds 4096 bytes");
}

/* ---- limits and options ---- */

static void rows_are_bounded(void **state)
{
    struct copy_options o;
    char line[MAX_ROW_BYTES + 3];
    struct buf got = BUF_INIT;

    (void)state;
    copy_options_init(&o, COPY_TEXT);
    memset(line, 'x', sizeof line);
    line[MAX_ROW_BYTES] = '\n';
    read_all(&got, &o, 1, line, MAX_ROW_BYTES + 1, 100);
    assert_int_equal(got.len, MAX_ROW_BYTES + 3);
    line[MAX_ROW_BYTES] = 'x';
    line[MAX_ROW_BYTES + 1] = '\n';
    for (size_t piece = 1; piece < sizeof line; piece += 999) {
        read_all(&got, &o, 1, line, MAX_ROW_BYTES + 2, piece);
        assert_string_equal(buf_cstr(&got), "!1 COPY row exceeds 4096 bytes");
    }
    buf_free(&got);
}

static void options(void **state)
{
    struct copy_options o;
    struct err e = ERR_INIT;

    (void)state;
    copy_options_init(&o, COPY_BINARY);
    assert_int_equal(copy_options_check(&o, true, &e), ERR_OK);
    o.header = COPY_HEADER_YES;
    assert_int_equal(copy_options_check(&o, true, &e), ERR_UNSUPPORTED);
    copy_options_init(&o, COPY_TEXT);
    assert_int_equal(copy_options_check(&o, false, &e), ERR_OK);
    o.delimiter = 'a';
    assert_int_equal(copy_options_check(&o, false, &e), ERR_PARAM);
    o.delimiter = '\n';
    assert_int_equal(copy_options_check(&o, false, &e), ERR_PARAM);
    o.delimiter = 'N';
    assert_int_equal(copy_options_check(&o, false, &e), ERR_PARAM);
    copy_options_init(&o, COPY_TEXT);
    o.force_null = second;
    assert_int_equal(copy_options_check(&o, true, &e), ERR_UNSUPPORTED);
    copy_options_init(&o, COPY_CSV);
    o.force_null = second;
    assert_int_equal(copy_options_check(&o, true, &e), ERR_OK);
    assert_int_equal(copy_options_check(&o, false, &e), ERR_UNSUPPORTED);
    copy_options_init(&o, COPY_CSV);
    o.quote = ',';
    assert_int_equal(copy_options_check(&o, true, &e), ERR_PARAM);
    copy_options_init(&o, COPY_CSV);
    o.header = COPY_HEADER_MATCH;
    assert_int_equal(copy_options_check(&o, true, &e), ERR_OK);
    assert_int_equal(copy_options_check(&o, false, &e), ERR_PARAM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_postgresql),
        cmocka_unit_test(text),
        cmocka_unit_test(text_refused),
        cmocka_unit_test(headers),
        cmocka_unit_test(csv),
        cmocka_unit_test(csv_forced),
        cmocka_unit_test(csv_refused),
        cmocka_unit_test(binary),
        cmocka_unit_test(rows_are_bounded),
        cmocka_unit_test(options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
