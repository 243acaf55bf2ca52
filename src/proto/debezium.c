/*
 * A message is parsed (jsondoc.h), taken out of {"schema", "payload"}, and recognised:
 *
 *   debezium_decode → read_part, twice → recognise ─┬─ envelope (op)
 *                                                   ├─ tombstone (null)
 *                                                   ├─ what is no row
 *                                                   └─ flattened row
 */
#include "proto/debezium.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "proto/debezium_value.h"
#include "proto/jsondoc.h"

struct debezium {
    struct arena *arena; /* of one message */
};

/* A key or a value. */
struct part {
    const struct jsondoc *schema, *payload; /* NULL: there is none; the payload also for null */
};

/* While one message is read. */
struct reading {
    struct arena *arena;
    const struct debezium_message *message;
    struct part key, value;
    enum debezium_origin origin;
    struct debezium_event *out;
    struct err *err;
};

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NO_MEMORY, "out of memory");
}

/* ---- schemas ---- */

/* Of the member `name` of a struct; `hint` is where to look first, and moves on behind it. */
static const struct jsondoc *field_schema(const struct jsondoc *schema, const char *name,
                                          const struct jsondoc **hint)
{
    const struct jsondoc *fields = jsondoc_member(schema, "fields");
    const struct jsondoc *first = jsondoc_is(fields, JSONDOC_ARRAY) ? fields->first : NULL;
    const struct jsondoc *begin = hint && *hint ? *hint : first;

    for (int round = 0; round < 2; round++) {
        for (const struct jsondoc *f = round ? first : begin; f; f = f->next) {
            const char *field = jsondoc_string(f, "field");
            if (field && strcmp(field, name) == 0) {
                if (hint)
                    *hint = f->next;
                return f;
            }
        }
    }
    return NULL;
}

static bool is_named(const struct jsondoc *schema, const char *part)
{
    const char *name = jsondoc_string(schema, "name");

    return name && strstr(name, part);
}

/* ---- parts ---- */

static enum err_code read_part(struct reading *r, const char *what, const char *text, size_t len,
                               struct part *out)
{
    const struct jsondoc *doc;

    *out = (struct part){0};
    if (!text)
        return ERR_OK;
    if (len > DEBEZIUM_MAX_BYTES)
        return err_set(r->err, ERR_TOO_BIG, "%s: %zu bytes, more than %zu", what, len,
                       DEBEZIUM_MAX_BYTES);
    if (jsondoc_parse(r->arena, text, len, &doc, r->err) != ERR_OK)
        return err_wrap(r->err, "%s", what);
    const struct jsondoc *schema = jsondoc_member(doc, "schema");
    const struct jsondoc *payload = jsondoc_member(doc, "payload");
    if (schema && payload && doc->len == 2 &&
        (schema->type == JSONDOC_OBJECT || schema->type == JSONDOC_NULL)) {
        out->schema = schema->type == JSONDOC_OBJECT ? schema : NULL;
        doc = payload;
    }
    out->payload = doc->type == JSONDOC_NULL ? NULL : doc;
    return ERR_OK;
}

/* A Kafka key may be any text where no JSON converter has written it; then it says nothing. */
static enum err_code read_key(struct reading *r)
{
    const struct debezium_message *m = r->message;

    if (!m->key || read_part(r, "the key", m->key, m->key_len, &r->key) == ERR_OK)
        return ERR_OK;
    if (r->err->code != ERR_FORMAT)
        return r->err->code;
    err_clear(r->err);
    r->key = (struct part){0};
    return ERR_OK;
}

/* ---- rows ---- */

/* What transforms and the router of logical tables have added is no column. */
static bool is_added(const char *name)
{
    return strncmp(name, "__", 2) == 0;
}

static enum err_code read_value(struct reading *r, const struct jsondoc *schema,
                                const struct jsondoc *v, struct debezium_field *out)
{
    out->name = v->name;
    if (debezium_value(r->arena, r->origin, schema, v, &out->value, r->err) != ERR_OK)
        return err_wrap(r->err, "column \"%s\"", v->name);
    return ERR_OK;
}

/* `all`: the fields whose names begin with "__", too. */
static enum err_code read_row(struct reading *r, const struct jsondoc *schema,
                              const struct jsondoc *row, bool all,
                              const struct debezium_field **out, size_t *n)
{
    const struct jsondoc *hint = NULL;
    struct debezium_field *fields;
    size_t count = 0;

    if (row->len > DEBEZIUM_MAX_COLUMNS)
        return err_set(r->err, ERR_TOO_BIG, "a row of %zu columns", row->len);
    fields = arena_alloc(r->arena, (row->len + 1) * sizeof *fields);
    if (!fields)
        return no_memory(r->err);
    for (const struct jsondoc *v = row->first; v; v = v->next) {
        if ((!all && is_added(v->name)) || debezium_is_unavailable(v))
            continue;
        const struct jsondoc *s = field_schema(schema, v->name, &hint);
        if (read_value(r, s, v, &fields[count]) != ERR_OK)
            return r->err->code;
        count++;
    }
    *out = fields;
    *n = count;
    return ERR_OK;
}

static bool has_key(const struct reading *r, const char *name)
{
    return jsondoc_member(r->key.payload, name) != NULL;
}

static enum err_code read_column(struct reading *r, const struct jsondoc *field, const char *name,
                                 struct debezium_column *out)
{
    const struct jsondoc *initial = jsondoc_member(field, "default");

    *out = (struct debezium_column){.name = name, .key = has_key(r, name)};
    out->type = debezium_declared(r->arena, r->origin, field);
    if (!out->type)
        return no_memory(r->err);
    if (initial &&
        debezium_value(r->arena, r->origin, field, initial, &out->initial, r->err) != ERR_OK)
        return err_wrap(r->err, "the default of column \"%s\"", name);
    return ERR_OK;
}

static enum err_code read_columns(struct reading *r, const struct jsondoc *schema, bool all)
{
    const struct jsondoc *fields = jsondoc_member(schema, "fields");
    struct debezium_column *columns;
    size_t n = 0;

    if (!jsondoc_is(fields, JSONDOC_ARRAY))
        return ERR_OK;
    if (fields->len > DEBEZIUM_MAX_COLUMNS)
        return err_set(r->err, ERR_TOO_BIG, "a row of %zu columns", fields->len);
    columns = arena_alloc(r->arena, (fields->len + 1) * sizeof *columns);
    if (!columns)
        return no_memory(r->err);
    for (const struct jsondoc *f = fields->first; f; f = f->next) {
        const char *name = jsondoc_string(f, "field");
        if (!name || (!all && is_added(name)))
            continue;
        if (read_column(r, f, name, &columns[n]) != ERR_OK)
            return r->err->code;
        n++;
    }
    r->out->columns = columns;
    r->out->n_columns = n;
    return ERR_OK;
}

/* What finds the row: the columns of the message's key, with the values that they have in the row
 * as it was or, where that does not say, as it is; these are under the value's schema, as the row
 * in the table is. Where there is no key: all of the row as it was. */
static enum err_code read_keys(struct reading *r, const struct jsondoc *schema,
                               const struct jsondoc *before, const struct jsondoc *after, bool all)
{
    const struct jsondoc *key = r->key.payload;
    struct debezium_field *keys;
    size_t n = 0;

    if (!jsondoc_is(key, JSONDOC_OBJECT)) {
        if (!jsondoc_is(before, JSONDOC_OBJECT))
            return ERR_OK;
        return read_row(r, schema, before, all, &r->out->keys, &r->out->n_keys);
    }
    if (key->len > DEBEZIUM_MAX_COLUMNS)
        return err_set(r->err, ERR_TOO_BIG, "a key of %zu columns", key->len);
    keys = arena_alloc(r->arena, (key->len + 1) * sizeof *keys);
    if (!keys)
        return no_memory(r->err);
    for (const struct jsondoc *k = key->first; k; k = k->next) {
        const struct jsondoc *s = field_schema(schema, k->name, NULL);
        const struct jsondoc *v = jsondoc_member(before, k->name);
        if (!all && is_added(k->name))
            continue;
        if (!v || v->type == JSONDOC_NULL || debezium_is_unavailable(v))
            v = jsondoc_member(after, k->name);
        if (!v || v->type == JSONDOC_NULL || debezium_is_unavailable(v)) {
            v = k;
            s = field_schema(r->key.schema, k->name, NULL);
        }
        if (read_value(r, s, v, &keys[n]) != ERR_OK)
            return r->err->code;
        n++;
    }
    r->out->keys = keys;
    r->out->n_keys = n;
    return ERR_OK;
}

/* ---- what it is ---- */

static enum err_code nothing(struct reading *r, const char *why)
{
    r->out->kind = DEBEZIUM_NOTHING;
    r->out->why = why;
    return ERR_OK;
}

static enum err_code need_keys(struct reading *r)
{
    if (r->out->n_keys > 0)
        return ERR_OK;
    return err_set(r->err, ERR_UNSUPPORTED,
                   "an event of a table without a key, and it does not have the row as it was: "
                   "give the table a key, or have the source log whole rows");
}

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

static enum err_code no_table(struct reading *r)
{
    return err_set(r->err, ERR_FORMAT, "neither it nor its topic names a table");
}

/* Topics are named <prefix>.<schema or database>.<table>. */
static const char *table_of_topic(const char *topic)
{
    const char *dot = strrchr(topic, '.');

    return dot ? dot + 1 : topic;
}

static enum err_code set_origin(struct reading *r, const struct jsondoc *source)
{
    const char *connector = or_empty(jsondoc_string(source, "connector"));

    r->out->connector = connector;
    r->out->database = or_empty(jsondoc_string(source, "db"));
    r->out->schema = or_empty(jsondoc_string(source, "schema"));
    (void)jsondoc_integer(jsondoc_member(source, "ts_ms"), &r->out->time_ms);
    if (strcmp(connector, "mongodb") == 0 || strcmp(connector, "cassandra") == 0)
        return err_set(r->err, ERR_UNSUPPORTED,
                       "the event comes from %s, whose documents are no rows of a table",
                       strcmp(connector, "mongodb") == 0 ? "MongoDB" : "Cassandra");
    if (strcmp(connector, "postgresql") == 0)
        r->origin = DEBEZIUM_POSTGRES;
    if (strcmp(connector, "mysql") == 0 || strcmp(connector, "mariadb") == 0)
        r->origin = DEBEZIUM_MYSQL;
    return ERR_OK;
}

static enum err_code need_object(struct reading *r, const struct jsondoc *row, const char *name)
{
    if (jsondoc_is(row, JSONDOC_OBJECT))
        return ERR_OK;
    return err_set(r->err, ERR_FORMAT, "its \"%s\" is no row", name);
}

static enum err_code envelope(struct reading *r, const char *op)
{
    const struct jsondoc *p = r->value.payload;
    const struct jsondoc *source = jsondoc_member(p, "source");
    const struct jsondoc *before = jsondoc_member(p, "before"), *after = jsondoc_member(p, "after");
    const struct jsondoc *schema = field_schema(r->value.schema, "after", NULL);
    const char *table = jsondoc_string(source, "table");
    enum err_code code = set_origin(r, source);

    if (code != ERR_OK)
        return code;
    if (strcmp(op, "m") == 0)
        return nothing(r, "logical message");
    if (!table || !*table)
        return err_set(r->err, ERR_FORMAT, "its source names no table");
    r->out->table = table;
    r->out->transaction = or_empty(jsondoc_string(jsondoc_member(p, "transaction"), "id"));
    if (strcmp(op, "t") == 0) {
        r->out->kind = DEBEZIUM_TRUNCATE;
        return ERR_OK;
    }
    bool is_update = strcmp(op, "u") == 0, is_delete = strcmp(op, "d") == 0;
    if (!is_update && !is_delete && strcmp(op, "c") != 0 && strcmp(op, "r") != 0)
        return err_set(r->err, ERR_FORMAT, "its op is \"%.20s\"", op);
    r->out->kind = is_update ? DEBEZIUM_UPDATE : is_delete ? DEBEZIUM_DELETE : DEBEZIUM_INSERT;
    if (!schema)
        schema = field_schema(r->value.schema, "before", NULL);
    code = is_delete ? ERR_OK : need_object(r, after, "after");
    if (code == ERR_OK)
        code = read_columns(r, schema, true);
    if (code == ERR_OK && !is_delete)
        code = read_row(r, schema, after, true, &r->out->row, &r->out->n_row);
    if (code == ERR_OK && (is_update || is_delete))
        code = read_keys(r, schema, before, is_update ? after : NULL, true);
    if (code == ERR_OK && (is_update || is_delete))
        code = need_keys(r);
    return code;
}

/* The sum of what the topic of a source may hold besides rows. */
static const char *no_row(const struct reading *r)
{
    const struct jsondoc *p = r->value.payload, *s = r->value.schema;

    if (is_named(s, "io.debezium.connector.common.Heartbeat") ||
        strncmp(r->message->topic, "__debezium-heartbeat", strlen("__debezium-heartbeat")) == 0)
        return "heartbeat";
    if (is_named(s, "TransactionMetadataValue") ||
        (jsondoc_string(p, "status") && jsondoc_string(p, "id") &&
         jsondoc_member(p, "event_count") && jsondoc_member(p, "data_collections")))
        return "transaction border";
    if (is_named(s, "SchemaChangeValue") ||
        (jsondoc_member(p, "source") && jsondoc_member(p, "tableChanges")))
        return "schema change";
    return NULL;
}

static bool is_true(const struct jsondoc *v)
{
    return jsondoc_is(v, JSONDOC_TRUE) ||
           (jsondoc_is(v, JSONDOC_STRING) && strcmp(v->text, "true") == 0);
}

/* Without its envelope an event does not say more than what the transform was told to add. */
static enum err_code flattened(struct reading *r)
{
    const struct jsondoc *p = r->value.payload;
    const char *table = jsondoc_string(p, "__table");
    const char *op = jsondoc_string(p, "__op");
    bool is_delete = (op && strcmp(op, "d") == 0) || is_true(jsondoc_member(p, "__deleted"));
    enum err_code code;

    if (!table)
        table = jsondoc_string(p, "__source_table");
    r->out->table = table && *table ? table : table_of_topic(r->message->topic);
    if (!*r->out->table)
        return no_table(r);
    r->out->database = or_empty(jsondoc_string(p, "__db"));
    r->out->schema = or_empty(jsondoc_string(p, "__schema"));
    (void)jsondoc_integer(jsondoc_member(p, "__source_ts_ms"), &r->out->time_ms);
    if (op && strcmp(op, "t") == 0) {
        r->out->kind = DEBEZIUM_TRUNCATE;
        return ERR_OK;
    }
    code = read_columns(r, r->value.schema, false);
    if (code == ERR_OK)
        code = is_delete ? read_keys(r, r->value.schema, p, NULL, false)
                         : read_row(r, r->value.schema, p, false, &r->out->row, &r->out->n_row);
    if (code != ERR_OK)
        return code;
    if (is_delete) {
        r->out->kind = DEBEZIUM_DELETE;
        return need_keys(r);
    }
    if (r->out->n_row == 0)
        return err_set(r->err, ERR_FORMAT, "it is neither a change event nor a row");
    r->out->kind = DEBEZIUM_INSERT;
    /* It may be an update, of which some columns are not known: those of a row that is there stay.
     */
    if (jsondoc_is(r->key.payload, JSONDOC_OBJECT)) {
        r->out->kind = DEBEZIUM_UPDATE;
        code = read_keys(r, r->value.schema, NULL, p, false);
        if (code == ERR_OK && r->out->n_keys == 0)
            r->out->kind = DEBEZIUM_INSERT;
    }
    return code;
}

static enum err_code tombstone(struct reading *r)
{
    const struct jsondoc *key = r->key.payload;

    if (!jsondoc_is(key, JSONDOC_OBJECT))
        return nothing(r, "tombstone without a key");
    for (const struct jsondoc *k = key->first; k; k = k->next)
        if (is_added(k->name)) /* of one of several tables, it does not say which */
            return nothing(r, "tombstone of a topic of several tables");
    r->out->kind = DEBEZIUM_TOMBSTONE;
    r->out->table = table_of_topic(r->message->topic);
    if (!*r->out->table)
        return no_table(r);
    enum err_code code = read_keys(r, NULL, NULL, NULL, true);
    if (code == ERR_OK && r->out->n_keys == 0)
        return nothing(r, "tombstone without a key");
    return code;
}

static enum err_code recognise(struct reading *r)
{
    const struct jsondoc *p = r->value.payload;
    const char *op = jsondoc_string(p, "op"), *what;

    if (!p)
        return tombstone(r);
    if (p->type != JSONDOC_OBJECT)
        return err_set(r->err, ERR_FORMAT, "it is no JSON object");
    what = no_row(r);
    if (what)
        return nothing(r, what);
    if (op && jsondoc_is(jsondoc_member(p, "source"), JSONDOC_OBJECT))
        return envelope(r, op);
    return flattened(r);
}

/* ---- the interface ---- */

struct debezium *debezium_new(void)
{
    struct debezium *d = calloc(1, sizeof *d);

    if (d)
        d->arena = arena_new();
    if (d && !d->arena) {
        free(d);
        return NULL;
    }
    return d;
}

void debezium_free(struct debezium *d)
{
    if (!d)
        return;
    arena_free(d->arena);
    free(d);
}

enum err_code debezium_decode(struct debezium *d, const struct debezium_message *m,
                              struct debezium_event *out, struct err *e)
{
    struct reading r = {.arena = d->arena, .message = m, .out = out, .err = e};
    enum err_code code;

    arena_reset(d->arena);
    *out = (struct debezium_event){
        .table = "", .database = "", .schema = "", .connector = "", .transaction = ""};
    code = read_key(&r);
    if (code == ERR_OK)
        code = read_part(&r, "the value", m->value, m->value_len, &r.value);
    return code == ERR_OK ? recognise(&r) : code;
}
