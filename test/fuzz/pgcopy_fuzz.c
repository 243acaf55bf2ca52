/*
 * COPY data. The first bytes choose options and pieces, the rest is the data: whole and in pieces
 * the rows must be the same, and rows that were read, written in any format and read again are the
 * same rows.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "proto/pgcopy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHOICES            6u /* bytes in front of the data */
#define COLUMNS_MAX        4u
#define MAX_ROW_BYTES      1000u
/* Escapes make rows longer, and binary has a head for each field. */
#define BACK_MAX_ROW_BYTES 4000u

static const char *const names[COLUMNS_MAX] = {"a", "b", "c", "d"};
static const bool flags[COLUMNS_MAX] = {true, false, true, false};

/* Reads all rows and appends them to `out` in the options of `to`. */
static enum err_code copy(const struct copy_options *from, const struct copy_options *to,
                          unsigned n, const char *s, size_t len, size_t piece, struct buf *out,
                          size_t max_row_bytes)
{
    struct copy_reader *r = copy_reader_new(from, names, n, max_row_bytes);
    const struct value *fields;
    struct err e = ERR_INIT;
    enum copy_step step = COPY_MORE;
    size_t at = 0;

    if (!r)
        abort();
    copy_write_begin(out, to, names, n);
    while ((step = copy_reader_row(r, &fields, &e)) == COPY_MORE || step == COPY_ROW) {
        if (step == COPY_ROW) {
            copy_write_row(out, to, fields, n);
            continue;
        }
        if (at == len) {
            copy_reader_finish(r);
            continue;
        }
        copy_reader_feed(r, s + at, len - at < piece ? len - at : piece);
        at += len - at < piece ? len - at : piece;
    }
    copy_write_end(out, to);
    if ((step == COPY_FAILED) != (e.code != ERR_OK))
        abort();
    copy_reader_free(r);
    return e.code;
}

static void choose(struct copy_options *o, const uint8_t *c)
{
    static const char delimiters[] = ",\t|;e";
    static const char quotes[] = "\"'\\e";
    static const char *const nulls[] = {"", "\\N", "NULL", "\\"};

    copy_options_init(o, (enum copy_format)(c[0] % 3));
    o->header = (enum copy_header)(c[0] / 3 % 3);
    o->delimiter = delimiters[c[1] % 5];
    o->quote = quotes[c[2] % 4];
    o->escape = quotes[c[2] / 4 % 4];
    o->null_len = strlen(nulls[c[3] % 4]);
    memcpy(o->null, nulls[c[3] % 4], o->null_len + 1);
    o->force_not_null = c[3] & 16 ? flags : NULL;
    o->force_null = c[3] & 32 ? flags : NULL;
}

/* Rows in binary are the rows themselves, so any other format must lead back to the same bytes. */
static void round_trip(const struct buf *binary, unsigned n, const uint8_t *choices)
{
    struct copy_options plain, other;
    struct buf written = BUF_INIT, back = BUF_INIT;
    struct err e = ERR_INIT;
    uint8_t c[4] = {choices[5], choices[4], choices[2], (uint8_t)(choices[3] & 15)};

    copy_options_init(&plain, COPY_BINARY);
    choose(&other, c);
    if (other.header == COPY_HEADER_MATCH)
        other.header = COPY_HEADER_YES;
    /* In text, what is spelt like the marker is read as NULL unless the marker is an escape. */
    if (other.format == COPY_TEXT) {
        memcpy(other.null, "\\N", 3);
        other.null_len = 2;
    }
    other.force_quote_all = other.format == COPY_CSV && (choices[4] & 64);
    if (copy_options_check(&other, false, &e) == ERR_OK) {
        (void)copy(&plain, &other, n, binary->data, binary->len, 50, &written, BACK_MAX_ROW_BYTES);
        other.force_quote_all = false;
        (void)copy(&other, &plain, n, written.data, written.len, 77, &back, BACK_MAX_ROW_BYTES);
        if (back.len != binary->len || memcmp(back.data, binary->data, back.len) != 0)
            abort();
    }
    buf_free(&written);
    buf_free(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *s = (const char *)data + CHOICES;
    struct buf whole = BUF_INIT, pieces = BUF_INIT;
    struct copy_options o, plain;
    struct err e = ERR_INIT;
    unsigned n;

    if (size < CHOICES)
        return 0;
    size -= CHOICES;
    n = data[4] % COLUMNS_MAX + 1;
    choose(&o, data);
    if (copy_options_check(&o, true, &e) != ERR_OK)
        return 0;
    copy_options_init(&plain, COPY_BINARY);
    if (copy(&o, &plain, n, s, size, size + 1, &whole, MAX_ROW_BYTES) !=
            copy(&o, &plain, n, s, size, data[5] % 16 + 1U, &pieces, MAX_ROW_BYTES) ||
        whole.len != pieces.len || memcmp(whole.data, pieces.data, whole.len) != 0)
        abort();
    round_trip(&whole, n, data);
    buf_free(&whole);
    buf_free(&pieces);
    return 0;
}
