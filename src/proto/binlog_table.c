/*
 * What the rows behind it are made of: a TABLE_MAP event.
 *
 *   binlog_read_table
 *
 *   schema   length(1) bytes NUL
 *   name     length(1) bytes NUL
 *   types    count(lenenc) type(1)…
 *   meta     length(lenenc), of each type as many bytes as it needs
 *   nulls    a bit for each column
 *   more     type(1) length(lenenc) bytes, as binlog_row_metadata has it
 */
#include <string.h>

#include "proto/binlog_impl.h"
#include "proto/mysqltype.h"
#include "proto/mysqlwire.h"

#define REAL_TYPE_BITS 0x30u
#define LABELS_MAX     65535u

/* Kinds of what the log may tell beside. */
enum {
    SIGNEDNESS = 1,
    DEFAULT_CHARSET = 2,
    COLUMN_CHARSET = 3,
    COLUMN_NAME = 4,
    SET_LABELS = 5,
    ENUM_LABELS = 6,
    PRIMARY_KEY = 8,
    PRIMARY_KEY_PREFIX = 9,
    LABELS_DEFAULT_CHARSET = 10,
    LABELS_CHARSET = 11
};

struct builder {
    struct arena *arena;
    struct binlog_table *table;
};

static struct binlog_text take_text(struct builder *b, struct reader *r)
{
    struct binlog_text t = {NULL, 0};
    const char *s = mysqlwire_lenenc_text(r, &t.len);

    t.data = s ? arena_strndup(b->arena, s, t.len) : NULL;
    if (!t.data)
        r->bad = true;
    return t;
}

/* length(1) bytes NUL */
static const char *take_name(struct builder *b, struct reader *r)
{
    size_t len = reader_u8(r);
    const char *s = reader_bytes(r, len + 1);
    char *copy =
        s && s[len] == '\0' && !memchr(s, '\0', len) ? arena_strndup(b->arena, s, len) : NULL;

    if (!copy)
        r->bad = true;
    return copy;
}

/* How many bytes of meta a type has; -1: a type that is not known. */
static int meta_bytes(uint8_t type)
{
    switch (type) {
    case MYSQLTYPE_DECIMAL:
    case MYSQLTYPE_TINY:
    case MYSQLTYPE_SHORT:
    case MYSQLTYPE_LONG:
    case MYSQLTYPE_NULL:
    case MYSQLTYPE_TIMESTAMP:
    case MYSQLTYPE_LONGLONG:
    case MYSQLTYPE_INT24:
    case MYSQLTYPE_DATE:
    case MYSQLTYPE_TIME:
    case MYSQLTYPE_DATETIME:
    case MYSQLTYPE_YEAR:
    case BINLOG_NEWDATE:
        return 0;
    case MYSQLTYPE_FLOAT:
    case MYSQLTYPE_DOUBLE:
    case BINLOG_TIMESTAMP2:
    case BINLOG_DATETIME2:
    case BINLOG_TIME2:
    case MYSQLTYPE_JSON:
    case MYSQLTYPE_TINY_BLOB:
    case MYSQLTYPE_MEDIUM_BLOB:
    case MYSQLTYPE_LONG_BLOB:
    case MYSQLTYPE_BLOB:
    case MYSQLTYPE_GEOMETRY:
        return 1;
    case MYSQLTYPE_VARCHAR:
    case MYSQLTYPE_BIT:
    case MYSQLTYPE_NEWDECIMAL:
    case MYSQLTYPE_ENUM:
    case MYSQLTYPE_SET:
    case MYSQLTYPE_VAR_STRING:
    case MYSQLTYPE_STRING:
        return 2;
    default:
        return -1;
    }
}

/* A STRING's meta is its real type and its length, whose ninth and tenth bit are hidden in the
 * type's: they are stored there inverted. */
static void settle_string(struct binlog_column *c)
{
    unsigned real = c->meta >> 8, len = c->meta & 0xFFu;

    if ((real & REAL_TYPE_BITS) != REAL_TYPE_BITS) {
        len |= ((real & REAL_TYPE_BITS) ^ REAL_TYPE_BITS) << 4;
        real |= REAL_TYPE_BITS;
    }
    if (real == MYSQLTYPE_ENUM || real == MYSQLTYPE_SET)
        c->type = (uint8_t)real;
    c->meta = (uint16_t)len;
}

static bool read_columns(struct builder *b, struct reader *r)
{
    struct binlog_table *t = b->table;
    uint64_t n = mysqlwire_lenenc(r);

    if (r->bad || n == 0 || n > BINLOG_COLUMNS_MAX)
        return false;
    const char *types = reader_bytes(r, (size_t)n);
    size_t meta_len;
    const char *meta = mysqlwire_lenenc_text(r, &meta_len);
    const char *nulls = reader_bytes(r, ((size_t)n + 7) / 8);
    t->columns = arena_alloc(b->arena, (size_t)n * sizeof *t->columns);
    if (!types || !meta || !nulls || !t->columns)
        return false;
    t->n_columns = (unsigned)n;
    struct reader m = reader_of(meta, meta_len);
    for (unsigned i = 0; i < t->n_columns; i++) {
        struct binlog_column *c = &t->columns[i];
        c->type = (uint8_t)types[i];
        int bytes = meta_bytes(c->type);
        if (bytes < 0)
            return false;
        if (bytes == 1)
            c->meta = reader_u8(&m);
        else if (bytes == 2)
            c->meta = c->type == MYSQLTYPE_VARCHAR || c->type == MYSQLTYPE_VAR_STRING
                          ? mysqlwire_u16(&m)
                          : reader_u16(&m);
        if (c->type == MYSQLTYPE_STRING || c->type == MYSQLTYPE_ENUM || c->type == MYSQLTYPE_SET)
            settle_string(c);
        c->nullable = ((uint8_t)nulls[i / 8] >> (i % 8) & 1) != 0;
    }
    return reader_done(&m);
}

/* ---- what the log tells beside ---- */

/* Those that may have no sign: YEAR, which never has one, among them. */
static bool is_number(const struct binlog_column *c)
{
    switch (c->type) {
    case MYSQLTYPE_TINY:
    case MYSQLTYPE_SHORT:
    case MYSQLTYPE_INT24:
    case MYSQLTYPE_LONG:
    case MYSQLTYPE_LONGLONG:
    case MYSQLTYPE_NEWDECIMAL:
    case MYSQLTYPE_FLOAT:
    case MYSQLTYPE_DOUBLE:
    case MYSQLTYPE_YEAR:
        return true;
    default:
        return false;
    }
}

static bool is_text(const struct binlog_column *c)
{
    switch (c->type) {
    case MYSQLTYPE_VARCHAR:
    case MYSQLTYPE_VAR_STRING:
    case MYSQLTYPE_STRING:
    case MYSQLTYPE_TINY_BLOB:
    case MYSQLTYPE_MEDIUM_BLOB:
    case MYSQLTYPE_LONG_BLOB:
    case MYSQLTYPE_BLOB:
        return true;
    default:
        return false;
    }
}

static bool is_choice(const struct binlog_column *c)
{
    return c->type == MYSQLTYPE_ENUM || c->type == MYSQLTYPE_SET;
}

static bool is_enum(const struct binlog_column *c)
{
    return c->type == MYSQLTYPE_ENUM;
}

static bool is_set(const struct binlog_column *c)
{
    return c->type == MYSQLTYPE_SET;
}

/* The next column from *i on that `is`; NULL: there is none. */
static struct binlog_column *next_column(struct binlog_table *t, unsigned *i,
                                         bool (*is)(const struct binlog_column *c))
{
    while (*i < t->n_columns) {
        struct binlog_column *c = &t->columns[(*i)++];
        if (is(c))
            return c;
    }
    return NULL;
}

/* A bit for each number, the first one the highest of its byte. */
static void read_signs(struct builder *b, struct reader *r)
{
    struct binlog_column *c;
    unsigned i = 0, bit = 0;
    uint8_t byte = 0;

    for (; (c = next_column(b->table, &i, is_number)); bit++) {
        if (bit % 8 == 0)
            byte = reader_u8(r);
        c->has_sign = true;
        c->is_unsigned = (byte >> (7 - bit % 8) & 1) != 0;
    }
}

static uint16_t collation(struct reader *r)
{
    uint64_t id = mysqlwire_lenenc(r);

    if (id > UINT16_MAX)
        r->bad = true;
    return (uint16_t)id;
}

/* One for all, and pairs: the how manyth text, its own. */
static void read_default_charset(struct builder *b, struct reader *r,
                                 bool (*is)(const struct binlog_column *c))
{
    struct binlog_column *c;
    uint16_t all = collation(r);

    for (unsigned i = 0; (c = next_column(b->table, &i, is));)
        c->collation = all;
    while (!r->bad && r->at < r->end) {
        uint64_t which = mysqlwire_lenenc(r);
        uint16_t own = collation(r);
        unsigned i = 0;
        do
            c = next_column(b->table, &i, is);
        while (c && which-- > 0);
        if (!c)
            r->bad = true;
        else
            c->collation = own;
    }
}

static void read_charsets(struct builder *b, struct reader *r,
                          bool (*is)(const struct binlog_column *c))
{
    struct binlog_column *c;

    for (unsigned i = 0; !r->bad && (c = next_column(b->table, &i, is));)
        c->collation = collation(r);
}

static void read_names(struct builder *b, struct reader *r)
{
    for (unsigned i = 0; i < b->table->n_columns && !r->bad; i++)
        b->table->columns[i].name = take_text(b, r);
    b->table->has_names = !r->bad;
}

static void read_labels(struct builder *b, struct reader *r,
                        bool (*is)(const struct binlog_column *c))
{
    struct binlog_column *c;

    for (unsigned i = 0; !r->bad && (c = next_column(b->table, &i, is));) {
        uint64_t n = mysqlwire_lenenc(r);
        if (r->bad || n > LABELS_MAX || n > (uint64_t)(r->end - r->at)) {
            r->bad = true;
            return;
        }
        struct binlog_text *labels = arena_alloc(b->arena, (size_t)(n + 1) * sizeof *labels);
        if (!labels) {
            r->bad = true;
            return;
        }
        for (uint64_t k = 0; k < n && !r->bad; k++)
            labels[k] = take_text(b, r);
        c->labels = labels;
        c->n_labels = (unsigned)n;
    }
}

static void read_keys(struct builder *b, struct reader *r, bool with_prefix)
{
    while (!r->bad && r->at < r->end) {
        uint64_t i = mysqlwire_lenenc(r);
        if (with_prefix)
            (void)mysqlwire_lenenc(r);
        if (i >= b->table->n_columns)
            r->bad = true;
        else
            b->table->columns[i].is_key = true;
    }
    b->table->has_keys = !r->bad;
}

static bool read_more(struct builder *b, struct reader *r)
{
    while (!r->bad && r->at < r->end) {
        uint8_t kind = reader_u8(r);
        size_t len;
        const char *data = mysqlwire_lenenc_text(r, &len);
        if (!data)
            return false;
        struct reader part = reader_of(data, len);
        if (kind == SIGNEDNESS)
            read_signs(b, &part);
        else if (kind == DEFAULT_CHARSET || kind == LABELS_DEFAULT_CHARSET)
            read_default_charset(b, &part, kind == DEFAULT_CHARSET ? is_text : is_choice);
        else if (kind == COLUMN_CHARSET || kind == LABELS_CHARSET)
            read_charsets(b, &part, kind == COLUMN_CHARSET ? is_text : is_choice);
        else if (kind == COLUMN_NAME)
            read_names(b, &part);
        else if (kind == SET_LABELS || kind == ENUM_LABELS)
            read_labels(b, &part, kind == SET_LABELS ? is_set : is_enum);
        else if (kind == PRIMARY_KEY || kind == PRIMARY_KEY_PREFIX)
            read_keys(b, &part, kind == PRIMARY_KEY_PREFIX);
        if (part.bad)
            return false;
    }
    return !r->bad;
}

bool binlog_read_table(const struct binlog_event *e, struct arena *a, struct binlog_table *out)
{
    struct reader r = e->u.table.body;
    struct builder b = {a, out};

    memset(out, 0, sizeof *out);
    out->id = e->u.table.table_id;
    out->schema = take_name(&b, &r);
    out->name = take_name(&b, &r);
    return !r.bad && read_columns(&b, &r) && read_more(&b, &r);
}
