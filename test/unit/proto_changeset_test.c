/* The message of the log, written and read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* keeps this order: cmocka needs those above */
#include <cmocka.h>

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/changeset.h"

#define MAX_SEEN 8

/* Keeps copies of what it sees: of the last change all, of each one its shape. */
struct seen {
    unsigned n;
    enum change_op op;
    char table[64], database[64], command[64], columns[128], pk[128];
    struct value old_values[16], new_values[16];
    char bytes[32][256];
    bool has_old_rowid, has_new_rowid;
    int64_t old_rowid, new_rowid;
    uint64_t shapes[MAX_SEEN];
    enum err_code answer;
};

static void keep(struct seen *s, struct value *to, const struct value *from, unsigned n,
                 unsigned at)
{
    for (unsigned i = 0; i < n && i < 16; i++) {
        to[i] = from[i];
        if (from[i].type == VALUE_TEXT || from[i].type == VALUE_BLOB) {
            assert_true(from[i].u.s.len < 256);
            memcpy(s->bytes[at + i], from[i].u.s.data, from[i].u.s.len);
            to[i].u.s.data = s->bytes[at + i];
        }
    }
}

static void join(char *out, size_t size, const char *const *names, unsigned n)
{
    out[0] = '\0';
    for (unsigned i = 0; i < n; i++)
        (void)snprintf(out + strlen(out), size - strlen(out), "%s%s", i ? "|" : "", names[i]);
}

static enum err_code see(void *arg, const struct change *c, struct err *e)
{
    struct seen *s = arg;

    assert_true(c->shape != 0);
    if (s->n < MAX_SEEN)
        s->shapes[s->n] = c->shape;
    s->n++;
    s->op = c->op;
    (void)snprintf(s->database, sizeof s->database, "%s", c->database);
    (void)snprintf(s->table, sizeof s->table, "%s", c->table ? c->table : "");
    (void)snprintf(s->command, sizeof s->command, "%s", c->command ? c->command : "");
    join(s->columns, sizeof s->columns, c->columns, c->n_columns);
    join(s->pk, sizeof s->pk, c->pk_columns, c->n_pk);
    if (c->old_values)
        keep(s, s->old_values, c->old_values, c->n_columns, 0);
    if (c->new_values)
        keep(s, s->new_values, c->new_values, c->n_columns, 16);
    s->has_old_rowid = c->has_old_rowid;
    s->has_new_rowid = c->has_new_rowid;
    s->old_rowid = c->old_rowid;
    s->new_rowid = c->new_rowid;
    if (s->answer)
        return err_set(e, s->answer, "stopped by the caller");
    return ERR_OK;
}

/* Reads a message in pieces of every size up to `most`; all of them must agree. */
static enum err_code read_text(const char *text, struct seen *s, struct changeset_info *info)
{
    static const size_t sizes[] = {100000, 1, 2, 3, 7, 64};
    struct changeset_reader *r = changeset_reader_new(see, s);
    enum err_code first = ERR_OK;
    enum err_code answer = s->answer;

    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        const struct changeset_info *i = NULL;
        struct err e = ERR_INIT;
        enum err_code code = ERR_OK;
        size_t len = strlen(text);

        memset(s, 0, sizeof *s);
        s->answer = answer;
        changeset_reader_reset(r);
        for (size_t at = 0; at < len && !code; at += sizes[k])
            code = changeset_feed(r, text + at, len - at < sizes[k] ? len - at : sizes[k], &e);
        if (!code)
            code = changeset_finish(r, &i, &e);
        assert_int_equal(code, e.code);
        if (k == 0)
            first = code;
        assert_int_equal(code, first);
        if (!code && info) {
            *info = *i;
            info->txs = NULL;
            info->handed = NULL;
        }
    }
    changeset_reader_free(r);
    return first;
}

static struct value through(const struct value *v)
{
    static struct seen s;
    struct buf b = BUF_INIT;

    memset(&s, 0, sizeof s);
    changeset_put_head(&b, "n");
    buf_puts(&b, "{\"table\":\"t\",\"columns\":[\"a\"],\"operation\":\"INSERT\",\"new_values\":[");
    changeset_put_value(&b, v);
    buf_puts(&b, "]}");
    changeset_put_tail(&b, "id", "", "f", 1, &(struct changeset_txs){0});
    assert_int_equal(read_text(buf_cstr(&b), &s, NULL), ERR_OK);
    assert_int_equal(s.n, 1);
    buf_free(&b);
    return s.new_values[0];
}

static void assert_through(const struct value *v)
{
    struct value got = through(v);

    assert_int_equal(got.type, v->type);
    if (v->type == VALUE_INTEGER)
        assert_true(got.u.i == v->u.i);
    if (v->type == VALUE_REAL)
        assert_memory_equal(&got.u.r, &v->u.r, sizeof(double));
    if (v->type == VALUE_TEXT || v->type == VALUE_BLOB) {
        assert_int_equal(got.u.s.len, v->u.s.len);
        if (v->u.s.len)
            assert_memory_equal(got.u.s.data, v->u.s.data, v->u.s.len);
    }
}

static void every_value_comes_back(void **state)
{
    static const int64_t ints[] = {
        0, 1, -1, INT64_MAX, INT64_MIN, INT64_MAX - 1, 1234567890123456789};
    static const double reals[] = {0.0,     -0.0,     1.0,     -1.0,   0.1,
                                   1e15,    1e16,     1e22,    1e23,   123456789012345680.0,
                                   DBL_MAX, -DBL_MAX, DBL_MIN, 5e-324, 2.2250738585072011e-308,
                                   4.35,    0.3,      2.0 / 3, 1e-7,   9007199254740993.0,
                                   1.5e300, 8.5e-320};
    static const struct {
        const char *bytes;
        size_t len;
    } texts[] = {{"", 0},
                 {"a", 1},
                 {"a\0b", 3},
                 {"\0", 1},
                 {"\xff\xfe", 2},
                 {"\xed\xa0\x80", 3},
                 {"\xf0\x9f\x98\x80", 4},
                 {"\"\\/\b\f\n\r\t\x01\x1f\x7f", 11},
                 {"\xe2\x80\xa8", 3},
                 {"\xc0\xaf", 2},
                 {"{\"$blob\":\"\"}", 12}};
    struct value v = value_null();

    (void)state;
    assert_through(&v);
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
        v = value_int(ints[i]);
        assert_through(&v);
    }
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        v = value_real(reals[i]);
        assert_through(&v);
    }
    v = value_real(INFINITY);
    assert_through(&v);
    v = value_real(-INFINITY);
    assert_through(&v);
    v = value_real(NAN);
    assert_int_equal(through(&v).type, VALUE_NULL);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        v = value_text(texts[i].bytes, texts[i].len);
        assert_through(&v);
        v = value_blob(texts[i].bytes, texts[i].len);
        assert_through(&v);
    }
}

static void random_doubles_come_back(void **state)
{
    uint64_t x = 88172645463325252u;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        double r;
        struct value v;

        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(&r, &x, sizeof r);
        if (i % 3 == 0)
            r = (double)(x % 2000000) / 1000;
        if (!isfinite(r))
            continue;
        v = value_real(r);
        assert_through(&v);
    }
}

static void numbers_do_not_depend_on_the_locale(void **state)
{
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "de_DE.utf8"};
    struct value v = value_real(0.12345678901234567);

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (setlocale(LC_ALL, names[i]))
            break;
    assert_through(&v);
    v = value_real(1e-200);
    assert_through(&v);
    (void)setlocale(LC_ALL, "C");
}

static void the_message_of_the_seed_is_read(void **state)
{
    static const char text[] =
        "{\"node\": \"ha_node_name\", \"changes\": [\n"
        " {\"database\": \"main\", \"table\": \"users\", \"columns\": [\"id\", \"name\"], "
        "\"operation\":"
        " \"INSERT\", \"new_rowid\": 2, \"new_values\": [2, \"new HA user\"]},\n"
        " {\"database\": \"main\", \"table\": \"users\", \"columns\": [\"id\", \"name\"], "
        "\"operation\":"
        " \"DELETE\", \"old_rowid\": 2, \"old_values\": [2, \"new HA user\"], \"new_values\": "
        "null}],\n"
        " \"timestamp_ns\": 1758574275504509677}\n";
    struct changeset_info info;
    struct seen s = {0};

    (void)state;
    assert_int_equal(read_text(text, &s, &info), ERR_OK);
    assert_int_equal(s.n, 2);
    assert_true(s.shapes[0] == s.shapes[1]);
    assert_int_equal(s.op, CHANGE_DELETE);
    assert_string_equal(s.columns, "id|name");
    assert_string_equal(s.pk, "");
    assert_true(s.has_old_rowid && !s.has_new_rowid && s.old_rowid == 2);
    assert_string_equal(info.node, "ha_node_name");
    assert_string_equal(info.id, "");
    assert_true(info.timestamp_ns == 1758574275504509677);
    assert_int_equal((int)info.n_txs, 0);
    assert_int_equal(info.format, 0);
}

static void our_message_is_written_and_read(void **state)
{
    const struct changeset_tx txs[] = {{1, 10}, {1, 20}};
    struct buf b = BUF_INIT;
    struct changeset_info info;
    struct seen s = {0};

    (void)state;
    changeset_put_head(&b, "n\"1");
    changeset_put_sql(&b, "main", "CREATE TABLE \"t\"(a)", 19);
    buf_puts(&b, ",{\"database\":\"main\",\"table\":\"t\",\"columns\":[\"a\"],\"pk_columns\":[],"
                 "\"operation\":"
                 "\"UPDATE\",\"old_rowid\":-9223372036854775808,\"new_rowid\":5,\"old_values\":[1],"
                 "\"new_values\":[2]}");
    static const char *const handed[] = {"id7", "id8"};
    changeset_put_tail(&b, "id2", "id1", "dir/a.db", 77,
                       &(struct changeset_txs){txs, 2, handed, 2, true});
    assert_string_equal(
        strstr(buf_cstr(&b), "],\"timestamp_ns\":77"),
        "],\"timestamp_ns\":77,\"id\":\"id2\",\"prev\":\"id1\",\"filename\":\"dir/a.db\","
        "\"txs\":[{\"changes\":1,\"timestamp_ns\":10},{\"changes\":1,\"timestamp_ns\":20}],"
        "\"handed\":[\"id7\",\"id8\"],\"content\":1,\"format\":1}");
    assert_int_equal(read_text(buf_cstr(&b), &s, &info), ERR_OK);
    assert_int_equal(s.n, 2);
    assert_true(s.old_rowid == INT64_MIN && s.new_rowid == 5);
    assert_true(s.old_values[0].u.i == 1 && s.new_values[0].u.i == 2);
    assert_string_equal(info.node, "n\"1");
    assert_string_equal(info.id, "id2");
    assert_string_equal(info.prev, "id1");
    assert_string_equal(info.filename, "dir/a.db");
    assert_int_equal((int)info.n_txs, 2);
    assert_int_equal((int)info.n_handed, 2);
    assert_true(info.content);
    assert_int_equal(info.format, 1);
    buf_free(&b);
}

/* Reads a message whole and in pieces; the ids as "a|b|". */
static enum err_code read_handed(const char *text, char *ids, size_t size)
{
    struct seen s = {0};
    struct changeset_reader *r = changeset_reader_new(see, &s);
    enum err_code code = ERR_OK;

    for (size_t piece = 1; piece <= 100001; piece += 50000) {
        const struct changeset_info *info = NULL;
        struct err e = ERR_INIT;
        size_t len = strlen(text);

        code = ERR_OK;
        ids[0] = '\0';
        changeset_reader_reset(r);
        for (size_t at = 0; at < len && !code; at += piece)
            code = changeset_feed(r, text + at, len - at < piece ? len - at : piece, &e);
        if (!code)
            code = changeset_finish(r, &info, &e);
        for (size_t i = 0; info && i < info->n_handed; i++) {
            size_t end = strlen(ids);
            (void)snprintf(ids + end, size - end, "%s|", info->handed[i]);
        }
    }
    changeset_reader_free(r);
    return code;
}

static void what_was_handed_over_is_named(void **state)
{
    static const char id63[] = "123456789012345678901234567890123456789012345678901234567890123";
    char ids[65536], text[65536], many[64000] = "\"x\"";

    (void)state;
    assert_int_equal(
        read_handed("{\"changes\":[],\"handed\":[\"id7\",\"id8\"],\"format\":1}", ids, sizeof ids),
        ERR_OK);
    assert_string_equal(ids, "id7|id8|");
    assert_int_equal(read_handed("{\"handed\":[],\"changes\":[]}", ids, sizeof ids), ERR_OK);
    assert_string_equal(ids, "");
    assert_int_equal(read_handed("{\"handed\":null,\"changes\":[]}", ids, sizeof ids), ERR_OK);
    /* What stands between others' is named again. */
    assert_int_equal(
        read_handed("{\"handed\":[\"a\",\"b\",\"a\"],\"changes\":[]}", ids, sizeof ids), ERR_OK);
    assert_string_equal(ids, "a|b|a|");
    /* The next message names nothing. */
    assert_int_equal(read_handed("{\"changes\":[]}", ids, sizeof ids), ERR_OK);
    assert_string_equal(ids, "");
    (void)snprintf(text, sizeof text, "{\"handed\":[\"%s\"],\"changes\":[]}", id63);
    assert_int_equal(read_handed(text, ids, sizeof ids), ERR_OK);
    assert_memory_equal(ids, id63, strlen(id63));
    (void)snprintf(text, sizeof text, "{\"handed\":[\"%s4\"],\"changes\":[]}", id63);
    assert_int_equal(read_handed(text, ids, sizeof ids), ERR_FORMAT);
    for (unsigned n = 1; n < 4096; n++)
        memcpy(many + 3 + 4 * (size_t)(n - 1), ",\"x\"", 5);
    (void)snprintf(text, sizeof text, "{\"handed\":[%s],\"changes\":[]}", many);
    assert_int_equal(read_handed(text, ids, sizeof ids), ERR_OK);
    assert_int_equal((int)strlen(ids), 4096 * 2);
    (void)snprintf(text, sizeof text, "{\"handed\":[%s,\"x\"],\"changes\":[]}", many);
    assert_int_equal(read_handed(text, ids, sizeof ids), ERR_FORMAT);
}

static void what_is_no_list_of_ids_is_refused(void **state)
{
    static const char *const bad[] = {"\"id\"",     "7",
                                      "true",       "{}",
                                      "[7]",        "[null]",
                                      "[[\"a\"]]",  "[{}]",
                                      "[\"a\",7]",  "[\"a\\u0000\"]",
                                      "[true]",     "[\"a\"",
                                      "[\"\xff\"]", "[],\"handed\":[]"};
    char ids[64], text[256];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        (void)snprintf(text, sizeof text, "{\"changes\":[],\"handed\":%s}", bad[i]);
        if (read_handed(text, ids, sizeof ids) != ERR_FORMAT)
            fail_msg("%s", text);
    }
}

#define ROW                                                                                        \
    "\"table\":\"t\",\"columns\":[\"a\",\"b\"],\"operation\":\"INSERT\",\"new_values\":[1,2]"
#define MESSAGE(changes) "{\"node\":\"n\",\"changes\":[" changes "]}"

static void order_and_unknown_fields_do_not_matter(void **state)
{
    static const char *const good[] = {
        MESSAGE("{" ROW "}"),
        MESSAGE("{\"new_values\":[1,2],\"operation\":\"INSERT\",\"pk_columns\":[\"b\"],\"columns\":"
                "[\"a\","
                "\"b\"],\"table\":\"t\"}"),
        MESSAGE("{\"x\":{\"y\":[1,{\"z\":null}]}," ROW
                ",\"w\":true,\"old_values\":null,\"command\":null}"),
        "{\"more\":[[[{}]]],\"changes\":[{" ROW
        "}],\"node\":null,\"id\":null,\"zz\":\"\\ud83d\\ude00\"}",
        " \n{\"changes\":[{" ROW "}],\"txs\":[{\"changes\":1,\"u\":[1]}]} \n ",
        MESSAGE("{\"database\":\"MAIN\"," ROW ",\"operation2\":\"DELETE\"}"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct seen s = {0};
        if (read_text(good[i], &s, NULL) != ERR_OK)
            fail_msg("%s", good[i]);
        assert_int_equal(s.n, 1);
        assert_int_equal(s.op, CHANGE_INSERT);
        assert_string_equal(s.columns, "a|b");
    }
}

/* As capture writes it: the second one of a message is read in the short way. */
#define OURS(v)                                                                                    \
    "{\"database\":\"main\",\"table\":\"t\",\"columns\":[\"a\"],\"pk_columns\":[],\"operation\":"  \
    "\"INSERT\",\"new_rowid\":1,\"new_values\":[" v "]}"

static void changes_of_our_own_take_the_short_way(void **state)
{
    static const char *const values[] = {"null",
                                         "-5",
                                         "1.5",
                                         "1e3",
                                         "\"text\"",
                                         "\"\xd0\x94\"",
                                         "\"\\n\"",
                                         "{\"$blob\":\"AP8=\"}",
                                         "{\"$text\":\"AA==\"}",
                                         "{\"$real\":\"-inf\"}",
                                         "\"\"",
                                         "{\"$blob\":\"\"}"};
    static const enum value_type types[] = {VALUE_NULL, VALUE_INTEGER, VALUE_REAL, VALUE_REAL,
                                            VALUE_TEXT, VALUE_TEXT,    VALUE_TEXT, VALUE_BLOB,
                                            VALUE_TEXT, VALUE_REAL,    VALUE_TEXT, VALUE_BLOB};

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct seen first = {0}, s = {0};
        char one[300], text[1000];

        (void)snprintf(one, sizeof one, OURS("%s"), values[i]);
        (void)snprintf(text, sizeof text, MESSAGE("%s"), one);
        assert_int_equal(read_text(text, &first, NULL), ERR_OK);
        (void)snprintf(text, sizeof text, MESSAGE("%s, %s ,%s"), one, one, one);
        assert_int_equal(read_text(text, &s, NULL), ERR_OK);
        assert_int_equal(s.n, 3);
        assert_true(s.shapes[0] == s.shapes[1] && s.shapes[0] == s.shapes[2]);
        assert_true(s.has_new_rowid && s.new_rowid == 1 && !s.has_old_rowid);
        assert_int_equal(s.new_values[0].type, types[i]);
        if (types[i] == VALUE_TEXT || types[i] == VALUE_BLOB) {
            assert_int_equal(s.new_values[0].u.s.len, first.new_values[0].u.s.len);
            assert_memory_equal(s.bytes[16], first.bytes[16], 256);
        } else {
            assert_true(s.new_values[0].u.i == first.new_values[0].u.i);
        }
    }
}

static void what_is_wrong_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "1",
        "null",
        "\"x\"",
        "{}",
        "{\"changes\":{}}",
        "{\"changes\":[]",
        "{\"changes\":[]}}",
        "{\"changes\":[]}{\"changes\":[]}",
        "{\"changes\":[]} \"open",
        "{\"changes\":[]} 12",
        "{\"changes\":[],\"changes\":[]}",
        "{\"changes\":[],\"format\":2}",
        "{\"changes\":[],\"format\":1.5}",
        "{\"changes\":[],\"txs\":[{\"changes\":1}]}",
        "{\"changes\":[],\"txs\":[{\"changes\":-1}]}",
        "{\"changes\":[],\"txs\":[1]}",
        "{\"changes\":[],\"id\":\"a\\u0000b\"}",
        "{\"changes\":[],\"id\":5}",
        "{\"changes\":[],\"id\":"
        "\"0123456789012345678901234567890123456789012345678901234567890123456789\"}",
        "{\"changes\":[],\"x\":[[[[[[[[[1]]]]]]]]]}",
        "// comment\n{\"changes\":[]}",
        MESSAGE("1"),
        MESSAGE("[]"),
        MESSAGE("{}"),
        MESSAGE("{},"),
        MESSAGE("{" ROW "},"),
        MESSAGE("{" ROW ",\"operation\":\"INSERT\"}"),
        MESSAGE("{\"columns\":[\"a\"],\"operation\":\"INSERT\",\"new_values\":[1]}"),
        MESSAGE("{\"table\":\"t\",\"operation\":\"INSERT\",\"new_values\":[1]}"),
        MESSAGE("{\"table\":\"t\",\"columns\":[],\"operation\":\"INSERT\",\"new_values\":[]}"),
        MESSAGE(
            "{\"table\":\"t\",\"columns\":[\"a\"],\"operation\":\"INSERT\",\"new_values\":[1,2]}"),
        MESSAGE("{\"table\":\"t\",\"columns\":[\"a\"],\"operation\":\"INSERT\",\"new_values\":[]}"),
        MESSAGE(
            "{\"table\":\"t\",\"columns\":[\"a\"],\"operation\":\"INSERT\",\"old_values\":[1]}"),
        MESSAGE(
            "{\"table\":\"t\",\"columns\":[\"a\"],\"operation\":\"UPDATE\",\"new_values\":[1]}"),
        MESSAGE("{\"table\":\"t\",\"columns\":[\"a\"],\"operation\":\"MERGE\",\"new_values\":[1]}"),
        MESSAGE("{\"table\":\"t\",\"columns\":[1],\"operation\":\"INSERT\",\"new_values\":[1]}"),
        MESSAGE("{\"table\":\"a\\u0000b\",\"columns\":[\"a\"],\"operation\":\"INSERT\",\"new_"
                "values\":[1]}"),
        MESSAGE("{\"operation\":\"SQL\"}"),
        MESSAGE("{\"operation\":\"SQL\",\"command\":5}"),
        MESSAGE("{\"operation\":\"SQL\",\"command\":\"a\\u0000b\"}"),
        MESSAGE(OURS("1") OURS("2")),
        MESSAGE(OURS("1") "," OURS("2") ","),
        MESSAGE("," OURS("1")),
        MESSAGE(OURS("1") ",," OURS("2")),
        MESSAGE(OURS("1") "," OURS("2") "x"),
        MESSAGE(OURS("1") "1"),
        MESSAGE(OURS("1") "," OURS("[1]")),
        MESSAGE(OURS("1") "," OURS("1,2")),
        MESSAGE(OURS("1") "," OURS("")),
        MESSAGE(OURS("1") "," OURS("01")),
        MESSAGE(OURS("1") "," OURS("1.")),
        MESSAGE(OURS("1") "," OURS("1e")),
        MESSAGE(OURS("1") "," OURS("-")),
        MESSAGE(OURS("1") "," OURS("{\"$blob\":\"A\"}")),
        MESSAGE(OURS("1") "," OURS("\"\xff\"")),
        MESSAGE(OURS("1") "," OURS("1") "}"),
        MESSAGE(OURS("1") "," OURS("9223372036854775808")),
#define VALUE(v)                                                                                   \
    MESSAGE("{\"table\":\"t\",\"columns\":[\"a\"],\"operation\":\"INSERT\",\"new_values\":[" v "]" \
            "}")
        VALUE("9223372036854775808"),
        VALUE("-9223372036854775809"),
        VALUE("1e999"),
        VALUE("-1e400"),
        VALUE("01"),
        VALUE("+1"),
        VALUE("1."),
        VALUE(".5"),
        VALUE("NaN"),
        VALUE("Infinity"),
        VALUE("0x1"),
        VALUE("[1]"),
        VALUE("{}"),
        VALUE("{\"$blob\":1}"),
        VALUE("{\"$blob\":\"A\"}"),
        VALUE("{\"$blob\":\"****\"}"),
        VALUE("{\"$text\":\"AA==\",\"$blob\":\"AA==\"}"),
        VALUE("{\"$real\":\"nan\"}"),
        VALUE("{\"$real\":1}"),
        VALUE("{\"$other\":\"x\"}"),
        VALUE("\"\xff\""),
        VALUE("\"\xed\xa0\x80\""),
        VALUE("\"\xc0\xaf\""),
        VALUE("\"\n\""),
        VALUE("\"\\x\""),
        VALUE("tru"),
        VALUE("1 2"),
        VALUE("1,,2"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct seen s = {0};
        if (read_text(bad[i], &s, NULL) != ERR_FORMAT)
            fail_msg("accepted: %s", bad[i]);
    }
}

static void the_caller_stops_the_reading(void **state)
{
    struct seen s = {.answer = ERR_DIVERGED};

    (void)state;
    assert_int_equal(read_text(MESSAGE("{" ROW "},{" ROW "}"), &s, NULL), ERR_DIVERGED);
    assert_int_equal(s.n, 1);
}

static void shapes_tell_tables_apart(void **state)
{
    struct seen s = {0};

    (void)state;
    assert_int_equal(
        read_text(MESSAGE("{" ROW "},"
                          "{\"table\":\"u\",\"columns\":[\"a\",\"b\"],\"operation\":\"DELETE\","
                          "\"old_values\":[1,2]},"
                          "{" ROW "},"
                          "{\"table\":\"t\",\"columns\":[\"ab\",\"\"],\"operation\":\"INSERT\","
                          "\"new_values\":[1,2]},"
                          "{\"pk_columns\":[\"a\"]," ROW "},"
                          "{\"pk_columns\":[\"a\",\"b\"]," ROW "}"),
                  &s, NULL),
        ERR_OK);
    assert_int_equal(s.n, 6);
    assert_true(s.shapes[0] == s.shapes[2]);
    for (unsigned i = 0; i < 6; i++)
        for (unsigned k = 0; k < i; k++)
            assert_true((s.shapes[i] == s.shapes[k]) == (i == 2 && k == 0));
}

/* More tables than the reader remembers. */
static void many_shapes_are_forgotten_safely(void **state)
{
    struct seen s = {0};
    struct changeset_reader *r = changeset_reader_new(see, &s);
    const struct changeset_info *info;
    struct err e = ERR_INIT;
    struct buf b = BUF_INIT;

    (void)state;
    changeset_put_head(&b, "n");
    for (int i = 0; i < 5000; i++)
        buf_printf(&b,
                   "%s{\"table\":\"t%d\",\"columns\":[\"a%d\"],\"operation\":\"INSERT\",\"new_"
                   "values\":[%d]}",
                   i ? "," : "", i % 3000, i, i);
    changeset_put_tail(&b, "id", "", "f", 1, &(struct changeset_txs){0});
    assert_int_equal(changeset_feed(r, b.data, b.len, &e), ERR_OK);
    assert_int_equal(changeset_finish(r, &info, &e), ERR_OK);
    assert_int_equal((int)info->changes, 5000);
    assert_string_equal(s.columns, "a4999");
    changeset_reader_free(r);
    buf_free(&b);
}

static void too_many_columns_are_refused(void **state)
{
    struct buf b = BUF_INIT;
    struct seen s = {0};

    (void)state;
    for (int n = CHANGESET_MAX_COLUMNS; n <= CHANGESET_MAX_COLUMNS + 1; n++) {
        buf_reset(&b);
        buf_puts(&b, "{\"changes\":[{\"table\":\"t\",\"columns\":[\"a\"");
        for (int i = 1; i < n; i++)
            buf_puts(&b, ",\"a\"");
        buf_puts(&b, "],\"operation\":\"INSERT\",\"new_values\":[1");
        for (int i = 1; i < n; i++)
            buf_puts(&b, ",1");
        buf_puts(&b, "]}]}");
        assert_int_equal(read_text(buf_cstr(&b), &s, NULL),
                         n <= CHANGESET_MAX_COLUMNS ? ERR_OK : ERR_FORMAT);
    }
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_comes_back),
        cmocka_unit_test(random_doubles_come_back),
        cmocka_unit_test(numbers_do_not_depend_on_the_locale),
        cmocka_unit_test(the_message_of_the_seed_is_read),
        cmocka_unit_test(our_message_is_written_and_read),
        cmocka_unit_test(what_was_handed_over_is_named),
        cmocka_unit_test(what_is_no_list_of_ids_is_refused),
        cmocka_unit_test(order_and_unknown_fields_do_not_matter),
        cmocka_unit_test(changes_of_our_own_take_the_short_way),
        cmocka_unit_test(what_is_wrong_is_refused),
        cmocka_unit_test(the_caller_stops_the_reading),
        cmocka_unit_test(shapes_tell_tables_apart),
        cmocka_unit_test(many_shapes_are_forgotten_safely),
        cmocka_unit_test(too_many_columns_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
