/*
 * yajl's tokens: where in the message they stand, and what they mean there. Every level may also
 * hold unknown fields, which are skipped as a whole.
 *
 *   AT_START   {
 *   AT_MESSAGE   "node": text …
 *                "changes": [
 *   AT_CHANGES      {
 *   AT_CHANGE         "table": text …
 *                     "columns": [      AT_COLUMNS
 *                     "pk_columns": [   AT_PK
 *                     "…_values": [     AT_VALUES   { AT_TAGGED
 *                "txs": [
 *   AT_TXS          {
 *   AT_TX             "changes": n …
 *                "handed": [          AT_HANDED
 *   AT_END     behind the last }
 */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/json.h"
#include "proto/changeset_number.h"
#include "proto/changeset_reader.h"

#define MAX_TXS    (1U << 20) /* transactions of one message */
#define MAX_HANDED 4096u      /* ids of what other nodes have handed over */

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
    KEY("node", F_NODE),     KEY("changes", F_CHANGES), KEY("timestamp_ns", F_TIMESTAMP),
    KEY("id", F_ID),         KEY("prev", F_PREV),       KEY("filename", F_FILENAME),
    KEY("txs", F_TXS),       KEY("handed", F_HANDED),   KEY("content", F_CONTENT),
    KEY("format", F_FORMAT),
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

/* ---- the message's own fields ---- */

/* Names of people's making are cut to fit, at a character's border; ids are not ours to change. */
static int put_fixed(struct changeset_reader *r, char *out, size_t size, bool cut, const char *s,
                     size_t len)
{
    if (memchr(s, '\0', len))
        return reader_fail(r, "NUL in a field of the message");
    if (len >= size) {
        if (!cut)
            return reader_fail(r, "an id is too long");
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
        return reader_fail(r, "a field has the wrong type");
    }
}

static int message_number(struct changeset_reader *r, const struct value *v)
{
    if (r->field == F_UNKNOWN)
        return 1;
    if (v->type != VALUE_INTEGER)
        return reader_fail(r, "a field has the wrong type");
    if (r->field == F_TIMESTAMP) {
        r->info.timestamp_ns = v->u.i;
        return 1;
    }
    if (r->field == F_CONTENT) {
        r->info.content = v->u.i != 0;
        return 1;
    }
    if (r->field != F_FORMAT)
        return reader_fail(r, "a field has the wrong type");
    if (v->u.i < 0 || v->u.i > CHANGESET_FORMAT)
        return reader_fail(r, "the message has a newer format than this program knows");
    r->info.format = (int)v->u.i;
    return 1;
}

static int start_tx(struct changeset_reader *r)
{
    struct changeset_tx *txs;

    if (r->info.n_txs >= MAX_TXS)
        return reader_fail(r, "too many transactions");
    txs = array_room(r->txs, r->info.n_txs, &r->txs_cap, sizeof *txs);
    if (!txs)
        return reader_no_memory(r);
    r->txs = txs;
    txs[r->info.n_txs++] = (struct changeset_tx){0, 0};
    r->seen_tx = 0;
    return 1;
}

static int tx_number(struct changeset_reader *r, const struct value *v)
{
    struct changeset_tx *tx = &r->txs[r->info.n_txs - 1];

    if (r->field == F_UNKNOWN)
        return 1;
    if (v->type != VALUE_INTEGER)
        return reader_fail(r, "a field has the wrong type");
    if (r->field == F_TIMESTAMP) {
        tx->timestamp_ns = v->u.i;
        return 1;
    }
    if (v->u.i < 0 || v->u.i > UINT32_MAX)
        return reader_fail(r, "the number of changes is out of range");
    tx->changes = (uint32_t)v->u.i;
    return 1;
}

static int add_handed(struct changeset_reader *r, const char *s, size_t len)
{
    char(*handed)[CHANGESET_ID_SIZE];

    if (r->info.n_handed >= MAX_HANDED)
        return reader_fail(r, "too much was handed over");
    handed = array_room(r->handed, r->info.n_handed, &r->handed_cap, sizeof *handed);
    if (!handed)
        return reader_no_memory(r);
    r->handed = handed;
    return put_fixed(r, r->handed[r->info.n_handed++], CHANGESET_ID_SIZE, false, s, len);
}

/* ---- yajl's callbacks: 1 = go on, 0 = stop ---- */

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
        v = build_value(r);
        if (!v)
            return 0;
        *v = value_null();
        return 1;
    case AT_MESSAGE:
    case AT_CHANGE:
    case AT_TX:
        return 1; /* the same as absent */
    default:
        return reader_fail(r, "null where none is wanted");
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
        v = build_value(r);
        if (!v)
            return 0;
        *v = value_int(b != 0);
        return 1;
    }
    if ((r->at == AT_MESSAGE || r->at == AT_CHANGE || r->at == AT_TX) && r->field == F_UNKNOWN)
        return 1;
    return reader_fail(r, "true or false where none is wanted");
}

static int change_number(struct changeset_reader *r, const struct value *v)
{
    struct change *c = &r->change;

    if (r->field == F_UNKNOWN)
        return 1;
    if (v->type != VALUE_INTEGER || (r->field != F_OLD_ROWID && r->field != F_NEW_ROWID))
        return reader_fail(r, "a field has the wrong type");
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
        return reader_fail(r, "a number is out of range");
    switch (r->at) {
    case AT_VALUES:
        to = build_value(r);
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
        return reader_fail(r, "a number where none is wanted");
    }
}

static int on_string(void *arg, const unsigned char *bytes, size_t len)
{
    struct changeset_reader *r = arg;
    const char *s = (const char *)bytes;

    if (!is_utf8(s, len))
        return reader_fail(r, "a string is not valid UTF-8");
    if (r->skip > 0)
        return 1;
    switch (r->at) {
    case AT_VALUES:
        return build_text(r, s, len);
    case AT_TAGGED:
        return build_tagged(r, s, len);
    case AT_COLUMNS:
        return build_column(r, &r->names.columns, &r->names.n_columns, s, len);
    case AT_PK:
        return build_column(r, &r->names.pk_columns, &r->names.n_pk, s, len);
    case AT_CHANGE:
        return build_string(r, s, len);
    case AT_MESSAGE:
        return message_string(r, s, len);
    case AT_TX:
        return r->field == F_UNKNOWN ? 1 : reader_fail(r, "a field has the wrong type");
    case AT_HANDED:
        return add_handed(r, s, len);
    default:
        return reader_fail(r, "a string where none is wanted");
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
        return reader_fail(r, "a field stands twice");
    *seen |= bit;
    return 1;
}

static int on_key(void *arg, const unsigned char *bytes, size_t len)
{
    struct changeset_reader *r = arg;
    const char *s = (const char *)bytes;

    if (!is_utf8(s, len))
        return reader_fail(r, "a name is not valid UTF-8");
    if (r->skip > 0)
        return 1;
#define FIND(keys) find_key(r, (keys), sizeof(keys) / sizeof *(keys), s, len)
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
            return reader_fail(r, "a value with two fields");
        r->field = FIND(tagged_keys);
        return r->field == F_UNKNOWN ? reader_fail(r, "a value of unknown kind") : 1;
    }
#undef FIND
}

static int deeper(struct changeset_reader *r)
{
    if (r->depth >= CHANGESET_MAX_DEPTH)
        return reader_fail(r, "too deep");
    r->depth++;
    return 1;
}

static void enter(struct changeset_reader *r, enum at at)
{
    r->at = at;
    r->field = F_UNKNOWN;
    r->next_key = 0;
}

/* An object or a list where the field under way has none: all of it is skipped if the field is not
 * known. */
static int skip_unknown(struct changeset_reader *r)
{
    if (r->field != F_UNKNOWN)
        return reader_fail(r, "a field has the wrong type");
    r->skip = 1;
    return 1;
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
        build_start(r);
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
        return skip_unknown(r);
    default:
        return reader_fail(r, "an object where none is wanted");
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
        return build_finish(r);
    case AT_TX:
        enter(r, AT_TXS);
        return 1;
    case AT_TAGGED:
        if (r->field == F_UNKNOWN)
            return reader_fail(r, "a value of unknown kind");
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
    default:
        return skip_unknown(r);
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
        if (r->field == F_HANDED) {
            enter(r, AT_HANDED);
            return 1;
        }
        return skip_unknown(r);
    case AT_TX:
        return skip_unknown(r);
    default:
        return reader_fail(r, "a list where none is wanted");
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
    default: /* AT_CHANGES, AT_TXS, AT_HANDED */
        enter(r, AT_MESSAGE);
        return 1;
    }
}

const yajl_callbacks token_callbacks = {
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

void token_reset(struct changeset_reader *r)
{
    r->depth = r->skip = 0;
    r->seen_message = 0;
    enter(r, AT_START);
}
