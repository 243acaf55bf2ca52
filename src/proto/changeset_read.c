/*
 * The reading half of changeset.h: yajl's tokens drive a small state machine.
 *
 *   changeset_reader_new, _free, _reset    one reader serves many messages
 *   changeset_feed, changeset_finish       bytes in, changes out
 *
 * Where the machine is, and what brings it there (every level may also hold unknown fields, which
 * are skipped as a whole):
 *
 *   AT_START ─ { ─ AT_MESSAGE ─ "changes": [ ─ AT_CHANGES ─ { ─ AT_CHANGE ─ "columns": [ ─
 * AT_COLUMNS │                                           ├─ "pk_columns": [ ─ AT_PK ├─ "txs": [ ─
 * AT_TXS ─ { ─ AT_TX            └─ "…_values": [ ─ AT_VALUES ─ { ─ AT_TAGGED └─ } ─ AT_END
 *
 * One yajl handle serves all messages (yajl_allow_multiple_values): making one costs more than
 * reading a short message. A line feed behind each message ends a token that is still open, so that
 * nothing of one message is left for the next; after any error the handle is thrown away.
 */
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "base/json.h"
#include "proto/changeset.h"
#include "proto/changeset_number.h"
#include "proto/changeset_shape.h"

#define MAX_TXS (1U << 20) /* transactions of one message */

enum at {
    AT_START,
    AT_MESSAGE,
    AT_CHANGES,
    AT_CHANGE,
    AT_COLUMNS,
    AT_PK,
    AT_VALUES,
    AT_TAGGED,
    AT_TXS,
    AT_TX,
    AT_END
};

enum field {
    F_UNKNOWN,
    /* of a message */
    F_NODE,
    F_CHANGES,
    F_TIMESTAMP,
    F_ID,
    F_PREV,
    F_FILENAME,
    F_TXS,
    F_FORMAT,
    /* of a change */
    F_DATABASE,
    F_TABLE,
    F_COLUMNS,
    F_PK_COLUMNS,
    F_OPERATION,
    F_OLD_ROWID,
    F_NEW_ROWID,
    F_OLD_VALUES,
    F_NEW_VALUES,
    F_COMMAND,
    /* of a value that is an object */
    F_REAL,
    F_TEXT,
    F_BLOB
};

struct key {
    const char *name;
    size_t len;
    enum field field;
};

#define KEY(name, field)                                                                           \
    {                                                                                              \
        name, sizeof(name) - 1, field                                                              \
    }
/* In the order in which we write them, so that the next one is usually the right one. */
static const struct key message_keys[] = {
    KEY("node", F_NODE), KEY("changes", F_CHANGES), KEY("timestamp_ns", F_TIMESTAMP),
    KEY("id", F_ID),     KEY("prev", F_PREV),       KEY("filename", F_FILENAME),
    KEY("txs", F_TXS),   KEY("format", F_FORMAT),
};
static const struct key change_keys[] = {
    KEY("database", F_DATABASE),     KEY("table", F_TABLE),
    KEY("columns", F_COLUMNS),       KEY("pk_columns", F_PK_COLUMNS),
    KEY("operation", F_OPERATION),   KEY("old_rowid", F_OLD_ROWID),
    KEY("new_rowid", F_NEW_ROWID),   KEY("old_values", F_OLD_VALUES),
    KEY("new_values", F_NEW_VALUES), KEY("command", F_COMMAND),
};
static const struct key tx_keys[] = {
    KEY("changes", F_CHANGES),
    KEY("timestamp_ns", F_TIMESTAMP),
};
static const struct key tagged_keys[] = {
    KEY("$blob", F_BLOB),
    KEY("$text", F_TEXT),
    KEY("$real", F_REAL),
};

/* A row image being read. Text and blobs are offsets into the reader's `text` until the change is
 * complete, because that buffer moves while it grows. */
struct image {
    struct value *values;
    unsigned n, cap;
    bool present;
};

struct changeset_reader {
    changeset_fn *fn;
    void *arg;
    yajl_handle yajl;
    bool dirty; /* yajl's state is not that of a fresh handle */
    bool open;  /* fed, and not yet finished */

    /* the call that is running */
    struct err *err;
    enum err_code failed; /* sticky until reset */
    uint64_t consumed;    /* bytes of earlier calls */

    enum at at;
    enum field field; /* the key read last, at the level of `at` */
    size_t next_key;  /* index of the key expected next */
    unsigned depth, skip;
    uint32_t seen_message, seen_change, seen_tx; /* bit = enum field */

    struct changeset_info info;
    struct changeset_tx *txs;
    size_t txs_cap;

    /* the change being read */
    struct change change;
    bool has_operation, has_command;
    struct shape_names names;
    struct buf database, command, text;
    struct image old_image, new_image, *image;
    struct shape_set *shapes;
};

/* ---- failing ----------------------------------------------------------------------------------
 */

static int fail(struct changeset_reader *r, const char *what)
{
    r->failed = err_set(r->err, ERR_FORMAT, "message cannot be decoded: change %llu: %s",
                        (unsigned long long)r->info.changes + 1, what);
    return 0;
}

static int no_memory(struct changeset_reader *r)
{
    r->failed = err_set(r->err, ERR_NO_MEMORY, "out of memory while reading a message");
    return 0;
}

/* ---- values -----------------------------------------------------------------------------------
 */

static struct value *push_value(struct changeset_reader *r)
{
    struct image *im = r->image;

    if (im->n == im->cap) {
        unsigned cap = im->cap ? im->cap * 2 : 32;
        struct value *v;

        if (im->n >= CHANGESET_MAX_COLUMNS) {
            (void)fail(r, "too many values");
            return NULL;
        }
        v = realloc(im->values, cap * sizeof *v);
        if (!v) {
            (void)no_memory(r);
            return NULL;
        }
        im->values = v;
        im->cap = cap;
    }
    return &im->values[im->n++];
}

/* Bytes of `text` from `start` to its end are the value. */
static void set_bytes(struct changeset_reader *r, struct value *v, enum value_type type,
                      size_t start)
{
    v->type = type;
    v->u.s.data = (const char *)(uintptr_t)start;
    v->u.s.len = r->text.len - start;
}

static int text_value(struct changeset_reader *r, const char *s, size_t len)
{
    struct value *v = push_value(r);
    size_t start = r->text.len;

    if (!v)
        return 0;
    buf_put(&r->text, s, len);
    if (!buf_ok(&r->text))
        return no_memory(r);
    set_bytes(r, v, VALUE_TEXT, start);
    return 1;
}

/* {"$real": …}, {"$text": …}, {"$blob": …} */
static int tagged_value(struct changeset_reader *r, const char *s, size_t len)
{
    struct value *v = push_value(r);
    size_t start = r->text.len;

    if (!v)
        return 0;
    if (r->field == F_REAL) {
        bool negative = len == 4 && memcmp(s, "-inf", 4) == 0;

        if (!negative && !(len == 3 && memcmp(s, "inf", 3) == 0))
            return fail(r, "$real is neither inf nor -inf");
        *v = value_real(negative ? -__builtin_inf() : __builtin_inf());
        return 1;
    }
    if (!json_get_base64(&r->text, s, len))
        return buf_ok(&r->text) ? fail(r, "invalid base64") : no_memory(r);
    set_bytes(r, v, r->field == F_BLOB ? VALUE_BLOB : VALUE_TEXT, start);
    return 1;
}

static void settle_image(struct changeset_reader *r, struct image *im)
{
    const char *base = r->text.data ? r->text.data : "";

    for (unsigned i = 0; i < im->n; i++) {
        struct value *v = &im->values[i];

        if (v->type == VALUE_TEXT || v->type == VALUE_BLOB)
            v->u.s.data = base + (uintptr_t)v->u.s.data;
    }
}

/* ---- changes ----------------------------------------------------------------------------------
 */

static void start_change(struct changeset_reader *r)
{
    memset(&r->change, 0, sizeof r->change);
    r->has_operation = r->has_command = false;
    r->seen_change = 0;
    buf_reset(&r->names.table);
    buf_reset(&r->names.columns);
    buf_reset(&r->names.pk_columns);
    r->names.n_columns = r->names.n_pk = 0;
    buf_reset(&r->database);
    buf_reset(&r->command);
    buf_reset(&r->text);
    r->old_image.n = r->new_image.n = 0;
    r->old_image.present = r->new_image.present = false;
}

static int check_image(struct changeset_reader *r, const struct image *im, bool wanted)
{
    if (!wanted)
        return 1;
    if (!im->present)
        return fail(r, "a row image is missing");
    if (im->n != r->names.n_columns)
        return fail(r, "as many values as columns are wanted");
    return 1;
}

static int finish_row_change(struct changeset_reader *r)
{
    struct change *c = &r->change;
    const struct shape *shape;

    if (r->names.table.len == 0) /* an empty name is one, too: SQLite allows it */
        return fail(r, "no table");
    if (r->names.n_columns == 0)
        return fail(r, "no columns");
    if (!check_image(r, &r->old_image, c->op != CHANGE_INSERT) ||
        !check_image(r, &r->new_image, c->op != CHANGE_DELETE))
        return 0;
    shape = shape_set_find(r->shapes, &r->names);
    if (!shape)
        return no_memory(r);
    c->table = shape->table;
    c->columns = shape->columns;
    c->n_columns = shape->n_columns;
    c->pk_columns = shape->pk_columns;
    c->n_pk = shape->n_pk;
    c->shape = shape->id;
    if (c->op != CHANGE_INSERT) {
        settle_image(r, &r->old_image);
        c->old_values = r->old_image.values;
    }
    if (c->op != CHANGE_DELETE) {
        settle_image(r, &r->new_image);
        c->new_values = r->new_image.values;
    }
    return 1;
}

static int finish_change(struct changeset_reader *r)
{
    struct change *c = &r->change;
    enum err_code code;

    if (!r->has_operation)
        return fail(r, "no operation");
    c->database = r->database.len > 0 ? buf_cstr(&r->database) : "main";
    if (c->op == CHANGE_SQL) {
        if (!r->has_command)
            return fail(r, "SQL without a command");
        c->command = buf_cstr(&r->command);
        c->command_len = r->command.len;
        c->shape = UINT64_MAX;
    } else if (!finish_row_change(r)) {
        return 0;
    }
    if (!buf_ok(&r->database) || !buf_ok(&r->command))
        return no_memory(r);
    code = r->fn(r->arg, c, r->err);
    if (code) {
        r->failed = code;
        return 0;
    }
    r->info.changes++;
    /* One change of hundreds of megabytes must not keep its memory for ever. */
    if (r->text.cap > (16 << 20))
        buf_free(&r->text);
    return 1;
}

static int set_operation(struct changeset_reader *r, const char *s, size_t len)
{
    static const struct {
        const char *name;
        size_t len;
        enum change_op op;
    } ops[] = {{"INSERT", 6, CHANGE_INSERT},
               {"UPDATE", 6, CHANGE_UPDATE},
               {"DELETE", 6, CHANGE_DELETE},
               {"SQL", 3, CHANGE_SQL}};

    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (len == ops[i].len && memcmp(s, ops[i].name, len) == 0) {
            r->change.op = ops[i].op;
            r->has_operation = true;
            return 1;
        }
    }
    return fail(r, "unknown operation");
}

/* A name goes into a list of terminated strings, so it holds no NUL; no name in SQLite does. */
static int put_name(struct changeset_reader *r, struct buf *list, const char *s, size_t len)
{
    if (memchr(s, '\0', len))
        return fail(r, "NUL in a name");
    buf_put(list, s, len);
    buf_putc(list, '\0');
    return buf_ok(list) ? 1 : no_memory(r);
}

static int put_column(struct changeset_reader *r, struct buf *list, unsigned *n, const char *s,
                      size_t len)
{
    if (*n >= CHANGESET_MAX_COLUMNS)
        return fail(r, "too many columns");
    (*n)++;
    return put_name(r, list, s, len);
}

static int change_string(struct changeset_reader *r, const char *s, size_t len)
{
    switch (r->field) {
    case F_DATABASE:
        if (memchr(s, '\0', len))
            return fail(r, "NUL in a name");
        buf_put(&r->database, s, len);
        return 1;
    case F_TABLE:
        return put_name(r, &r->names.table, s, len);
    case F_OPERATION:
        return set_operation(r, s, len);
    case F_COMMAND:
        if (memchr(s, '\0', len))
            return fail(r, "NUL in a command");
        buf_put(&r->command, s, len);
        r->has_command = true;
        return 1;
    case F_UNKNOWN:
        return 1;
    default:
        return fail(r, "a field has the wrong type");
    }
}

/* ---- the message's own fields -----------------------------------------------------------------
 */

/* Names of people's making are cut to fit, at a character's border; ids are not ours to change. */
static int put_fixed(struct changeset_reader *r, char *out, size_t size, bool cut, const char *s,
                     size_t len)
{
    if (memchr(s, '\0', len))
        return fail(r, "NUL in a field of the message");
    if (len >= size) {
        if (!cut)
            return fail(r, "an id is too long");
        len = size - 1;
        while (len > 0 && ((unsigned char)s[len] & 0xC0) == 0x80)
            len--;
    }
    memcpy(out, s, len);
    out[len] = '\0';
    return 1;
}

static int message_string(struct changeset_reader *r, const char *s, size_t len)
{
    struct changeset_info *i = &r->info;

    switch (r->field) {
    case F_NODE:
        return put_fixed(r, i->node, sizeof i->node, true, s, len);
    case F_FILENAME:
        return put_fixed(r, i->filename, sizeof i->filename, true, s, len);
    case F_ID:
        return put_fixed(r, i->id, sizeof i->id, false, s, len);
    case F_PREV:
        return put_fixed(r, i->prev, sizeof i->prev, false, s, len);
    case F_UNKNOWN:
        return 1;
    default:
        return fail(r, "a field has the wrong type");
    }
}

static int message_number(struct changeset_reader *r, const struct value *v)
{
    if (r->field == F_UNKNOWN)
        return 1;
    if (v->type != VALUE_INTEGER)
        return fail(r, "a field has the wrong type");
    if (r->field == F_TIMESTAMP) {
        r->info.timestamp_ns = v->u.i;
        return 1;
    }
    if (r->field != F_FORMAT)
        return fail(r, "a field has the wrong type");
    if (v->u.i < 0 || v->u.i > CHANGESET_FORMAT)
        return fail(r, "the message has a newer format than this program knows");
    r->info.format = (int)v->u.i;
    return 1;
}

static int start_tx(struct changeset_reader *r)
{
    if (r->info.n_txs == r->txs_cap) {
        size_t cap = r->txs_cap ? r->txs_cap * 2 : 64;
        struct changeset_tx *txs;

        if (r->info.n_txs >= MAX_TXS)
            return fail(r, "too many transactions");
        txs = realloc(r->txs, cap * sizeof *txs);
        if (!txs)
            return no_memory(r);
        r->txs = txs;
        r->txs_cap = cap;
    }
    r->txs[r->info.n_txs++] = (struct changeset_tx){0, 0};
    r->seen_tx = 0;
    return 1;
}

static int tx_number(struct changeset_reader *r, const struct value *v)
{
    struct changeset_tx *tx = &r->txs[r->info.n_txs - 1];

    if (r->field == F_UNKNOWN)
        return 1;
    if (v->type != VALUE_INTEGER)
        return fail(r, "a field has the wrong type");
    if (r->field == F_TIMESTAMP) {
        tx->timestamp_ns = v->u.i;
        return 1;
    }
    if (v->u.i < 0 || v->u.i > UINT32_MAX)
        return fail(r, "the number of changes is out of range");
    tx->changes = (uint32_t)v->u.i;
    return 1;
}

/* ---- yajl's callbacks: 1 = go on, 0 = stop ------------------------------------------------------
 */

/* Strict: no surrogates, no overlong forms. A NUL may come from \u0000. */
static bool is_utf8(const char *s, size_t len)
{
    for (;;) {
        const char *nul = memchr(s, '\0', len);
        size_t piece = nul ? (size_t)(nul - s) : len;

        if (!json_is_text(s, piece))
            return false;
        if (!nul)
            return true;
        s += piece + 1;
        len -= piece + 1;
    }
}

static int on_null(void *arg)
{
    struct changeset_reader *r = arg;
    struct value *v;

    if (r->skip > 0)
        return 1;
    switch (r->at) {
    case AT_VALUES:
        v = push_value(r);
        if (!v)
            return 0;
        *v = value_null();
        return 1;
    case AT_MESSAGE:
    case AT_CHANGE:
    case AT_TX:
        return 1; /* the same as absent */
    default:
        return fail(r, "null where none is wanted");
    }
}

/* We write none, but another program may for a column that it calls boolean. */
static int on_boolean(void *arg, int b)
{
    struct changeset_reader *r = arg;
    struct value *v;

    if (r->skip > 0)
        return 1;
    if (r->at == AT_VALUES) {
        v = push_value(r);
        if (!v)
            return 0;
        *v = value_int(b != 0);
        return 1;
    }
    if ((r->at == AT_MESSAGE || r->at == AT_CHANGE || r->at == AT_TX) && r->field == F_UNKNOWN)
        return 1;
    return fail(r, "true or false where none is wanted");
}

static int change_number(struct changeset_reader *r, const struct value *v)
{
    struct change *c = &r->change;

    if (r->field == F_UNKNOWN)
        return 1;
    if (v->type != VALUE_INTEGER || (r->field != F_OLD_ROWID && r->field != F_NEW_ROWID))
        return fail(r, "a field has the wrong type");
    if (r->field == F_OLD_ROWID) {
        c->has_old_rowid = true;
        c->old_rowid = v->u.i;
    } else {
        c->has_new_rowid = true;
        c->new_rowid = v->u.i;
    }
    return 1;
}

static int on_number(void *arg, const char *s, size_t len)
{
    struct changeset_reader *r = arg;
    struct value v, *to;

    if (r->skip > 0)
        return 1;
    if (!number_parse(s, len, &v))
        return fail(r, "a number is out of range");
    switch (r->at) {
    case AT_VALUES:
        to = push_value(r);
        if (!to)
            return 0;
        *to = v;
        return 1;
    case AT_CHANGE:
        return change_number(r, &v);
    case AT_MESSAGE:
        return message_number(r, &v);
    case AT_TX:
        return tx_number(r, &v);
    default:
        return fail(r, "a number where none is wanted");
    }
}

static int on_string(void *arg, const unsigned char *bytes, size_t len)
{
    struct changeset_reader *r = arg;
    const char *s = (const char *)bytes;

    if (!is_utf8(s, len))
        return fail(r, "a string is not valid UTF-8");
    if (r->skip > 0)
        return 1;
    switch (r->at) {
    case AT_VALUES:
        return text_value(r, s, len);
    case AT_TAGGED:
        return tagged_value(r, s, len);
    case AT_COLUMNS:
        return put_column(r, &r->names.columns, &r->names.n_columns, s, len);
    case AT_PK:
        return put_column(r, &r->names.pk_columns, &r->names.n_pk, s, len);
    case AT_CHANGE:
        return change_string(r, s, len);
    case AT_MESSAGE:
        return message_string(r, s, len);
    case AT_TX:
        return r->field == F_UNKNOWN ? 1 : fail(r, "a field has the wrong type");
    default:
        return fail(r, "a string where none is wanted");
    }
}

static enum field find_key(struct changeset_reader *r, const struct key *keys, size_t n,
                           const char *s, size_t len)
{
    for (size_t i = 0; i < n; i++) {
        size_t k = (r->next_key + i) % n;

        if (keys[k].len == len && memcmp(keys[k].name, s, len) == 0) {
            r->next_key = k + 1;
            return keys[k].field;
        }
    }
    return F_UNKNOWN;
}

static int once(struct changeset_reader *r, uint32_t *seen)
{
    uint32_t bit = UINT32_C(1) << r->field;

    if (r->field == F_UNKNOWN)
        return 1;
    if (*seen & bit)
        return fail(r, "a field stands twice");
    *seen |= bit;
    return 1;
}

static int on_key(void *arg, const unsigned char *bytes, size_t len)
{
    struct changeset_reader *r = arg;
    const char *s = (const char *)bytes;

    if (!is_utf8(s, len))
        return fail(r, "a name is not valid UTF-8");
    if (r->skip > 0)
        return 1;
#define FIND(keys) find_key(r, keys, sizeof keys / sizeof *keys, s, len)
    switch (r->at) {
    case AT_CHANGE:
        r->field = FIND(change_keys);
        return once(r, &r->seen_change);
    case AT_MESSAGE:
        r->field = FIND(message_keys);
        return once(r, &r->seen_message);
    case AT_TX:
        r->field = FIND(tx_keys);
        return once(r, &r->seen_tx);
    default: /* AT_TAGGED */
        if (r->field != F_UNKNOWN)
            return fail(r, "a value with two fields");
        r->field = FIND(tagged_keys);
        return r->field == F_UNKNOWN ? fail(r, "a value of unknown kind") : 1;
    }
#undef FIND
}

static int deeper(struct changeset_reader *r)
{
    if (r->depth >= CHANGESET_MAX_DEPTH)
        return fail(r, "too deep");
    r->depth++;
    return 1;
}

static void enter(struct changeset_reader *r, enum at at)
{
    r->at = at;
    r->field = F_UNKNOWN;
    r->next_key = 0;
}

static int on_start_map(void *arg)
{
    struct changeset_reader *r = arg;

    if (!deeper(r))
        return 0;
    if (r->skip > 0) {
        r->skip++;
        return 1;
    }
    switch (r->at) {
    case AT_START:
        enter(r, AT_MESSAGE);
        return 1;
    case AT_CHANGES:
        start_change(r);
        enter(r, AT_CHANGE);
        return 1;
    case AT_TXS:
        enter(r, AT_TX);
        return start_tx(r);
    case AT_VALUES:
        enter(r, AT_TAGGED);
        return 1;
    case AT_MESSAGE:
    case AT_CHANGE:
    case AT_TX:
        if (r->field == F_UNKNOWN) {
            r->skip = 1;
            return 1;
        }
        return fail(r, "a field has the wrong type");
    default:
        return fail(r, "an object where none is wanted");
    }
}

static int on_end_map(void *arg)
{
    struct changeset_reader *r = arg;

    r->depth--;
    if (r->skip > 0) {
        r->skip--;
        return 1;
    }
    switch (r->at) {
    case AT_CHANGE:
        enter(r, AT_CHANGES);
        return finish_change(r);
    case AT_TX:
        enter(r, AT_TXS);
        return 1;
    case AT_TAGGED:
        if (r->field == F_UNKNOWN)
            return fail(r, "a value of unknown kind");
        enter(r, AT_VALUES);
        return 1;
    default: /* AT_MESSAGE */
        enter(r, AT_END);
        return 1;
    }
}

static int start_list(struct changeset_reader *r)
{
    switch (r->field) {
    case F_COLUMNS:
        enter(r, AT_COLUMNS);
        return 1;
    case F_PK_COLUMNS:
        enter(r, AT_PK);
        return 1;
    case F_OLD_VALUES:
    case F_NEW_VALUES:
        r->image = r->field == F_OLD_VALUES ? &r->old_image : &r->new_image;
        r->image->present = true;
        enter(r, AT_VALUES);
        return 1;
    case F_UNKNOWN:
        r->skip = 1;
        return 1;
    default:
        return fail(r, "a field has the wrong type");
    }
}

static int on_start_array(void *arg)
{
    struct changeset_reader *r = arg;

    if (!deeper(r))
        return 0;
    if (r->skip > 0) {
        r->skip++;
        return 1;
    }
    switch (r->at) {
    case AT_CHANGE:
        return start_list(r);
    case AT_MESSAGE:
        if (r->field == F_CHANGES) {
            enter(r, AT_CHANGES);
            return 1;
        }
        if (r->field == F_TXS) {
            enter(r, AT_TXS);
            return 1;
        }
        if (r->field != F_UNKNOWN)
            return fail(r, "a field has the wrong type");
        r->skip = 1;
        return 1;
    case AT_TX:
        if (r->field != F_UNKNOWN)
            return fail(r, "a field has the wrong type");
        r->skip = 1;
        return 1;
    default:
        return fail(r, "a list where none is wanted");
    }
}

static int on_end_array(void *arg)
{
    struct changeset_reader *r = arg;

    r->depth--;
    if (r->skip > 0) {
        r->skip--;
        return 1;
    }
    r->field = F_UNKNOWN;
    switch (r->at) {
    case AT_COLUMNS:
        r->at = AT_CHANGE;
        r->next_key = 3;
        return 1;
    case AT_PK:
        r->at = AT_CHANGE;
        r->next_key = 4;
        return 1;
    case AT_VALUES:
        r->at = AT_CHANGE;
        r->next_key = r->image == &r->old_image ? 8 : 9;
        return 1;
    default: /* AT_CHANGES, AT_TXS */
        enter(r, AT_MESSAGE);
        return 1;
    }
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_start_map,
    .yajl_map_key = on_key,
    .yajl_end_map = on_end_map,
    .yajl_start_array = on_start_array,
    .yajl_end_array = on_end_array,
};

/* ---- the interface ----------------------------------------------------------------------------
 */

static bool make_yajl(struct changeset_reader *r)
{
    if (r->yajl)
        yajl_free(r->yajl);
    r->yajl = yajl_alloc(&callbacks, NULL, r);
    if (!r->yajl)
        return false;
    /* Strings are checked in the callbacks, more strictly than yajl would. */
    (void)yajl_config(r->yajl, yajl_dont_validate_strings, 1);
    (void)yajl_config(r->yajl, yajl_allow_multiple_values, 1);
    r->dirty = false;
    return true;
}

struct changeset_reader *changeset_reader_new(changeset_fn *fn, void *arg)
{
    struct changeset_reader *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    r->fn = fn;
    r->arg = arg;
    r->shapes = shape_set_new();
    if (!r->shapes || !make_yajl(r)) {
        changeset_reader_free(r);
        return NULL;
    }
    return r;
}

void changeset_reader_free(struct changeset_reader *r)
{
    if (!r)
        return;
    if (r->yajl)
        yajl_free(r->yajl);
    shape_set_free(r->shapes);
    buf_free(&r->names.table);
    buf_free(&r->names.columns);
    buf_free(&r->names.pk_columns);
    buf_free(&r->database);
    buf_free(&r->command);
    buf_free(&r->text);
    free(r->old_image.values);
    free(r->new_image.values);
    free(r->txs);
    free(r);
}

void changeset_reader_reset(struct changeset_reader *r)
{
    if (r->open)
        r->dirty = true;
    r->open = false;
    r->failed = ERR_OK;
    r->consumed = 0;
    r->depth = r->skip = 0;
    r->seen_message = 0;
    memset(&r->info, 0, sizeof r->info);
    enter(r, AT_START);
}

static enum err_code syntax_error(struct changeset_reader *r, const char *s, size_t n,
                                  struct err *e)
{
    unsigned char *why = yajl_get_error(r->yajl, 0, (const unsigned char *)s, n);
    unsigned long long at = r->consumed + yajl_get_bytes_consumed(r->yajl);

    (void)err_set(e, ERR_FORMAT, "message cannot be decoded: byte %llu: %.*s", at,
                  why ? (int)strcspn((char *)why, "\n") : 0, why ? (char *)why : "");
    if (why)
        yajl_free_error(r->yajl, why);
    return e->code;
}

static enum err_code parse(struct changeset_reader *r, const char *s, size_t n, struct err *e)
{
    yajl_status st;

    r->err = e;
    st = yajl_parse(r->yajl, (const unsigned char *)s, n);
    if (st == yajl_status_ok) {
        r->consumed += n;
        return ERR_OK;
    }
    r->dirty = true;
    if (!r->failed)
        r->failed = syntax_error(r, s, n, e);
    return r->failed;
}

enum err_code changeset_feed(struct changeset_reader *r, const void *bytes, size_t n, struct err *e)
{
    if (r->failed)
        return err_set(e, r->failed, "message cannot be decoded: it has already failed");
    if (r->dirty && !make_yajl(r))
        return r->failed = err_set(e, ERR_NO_MEMORY, "out of memory while reading a message");
    r->open = true;
    return parse(r, bytes, n, e);
}

/* Do the transactions account for the changes? A message that does not add up is not ours. */
static enum err_code check_txs(struct changeset_reader *r, struct err *e)
{
    uint64_t sum = 0;

    if (r->info.n_txs == 0)
        return ERR_OK;
    for (size_t i = 0; i < r->info.n_txs; i++)
        sum += r->txs[i].changes;
    if (sum == r->info.changes)
        return ERR_OK;
    return r->failed = err_set(e, ERR_FORMAT,
                               "message cannot be decoded: it has %llu changes, its transactions "
                               "%llu",
                               (unsigned long long)r->info.changes, (unsigned long long)sum);
}

enum err_code changeset_finish(struct changeset_reader *r, const struct changeset_info **info,
                               struct err *e)
{
    enum err_code code;

    if (r->failed)
        return err_set(e, r->failed, "message cannot be decoded: it has already failed");
    if (r->dirty && !make_yajl(r))
        return r->failed = err_set(e, ERR_NO_MEMORY, "out of memory while reading a message");
    code = parse(r, "\n", 1, e);
    if (code)
        return code;
    if (r->at != AT_END) {
        r->dirty = true;
        return r->failed = err_set(e, ERR_FORMAT,
                                   "message cannot be decoded: it ends after %llu bytes, too soon",
                                   (unsigned long long)r->consumed - 1);
    }
    if (!(r->seen_message & UINT32_C(1) << F_CHANGES))
        return r->failed =
                   err_set(e, ERR_FORMAT, "message cannot be decoded: it has no list of changes");
    r->open = false;
    code = check_txs(r, e);
    if (code)
        return code;
    r->info.txs = r->info.n_txs > 0 ? r->txs : NULL;
    *info = &r->info;
    return ERR_OK;
}
