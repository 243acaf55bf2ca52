#include "proto/object_meta.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <yajl/yajl_tree.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/json_tree.h"

/* Also bounds how deep the JSON nests: yajl frees a tree recursively. */
#define META_MAX_BYTES ((size_t)16 * 1024)

const char *object_tag(const struct object_info *info, const char *key)
{
    for (unsigned i = 0; i < info->n_tags; i++)
        if (strcmp(info->tags[i].key, key) == 0)
            return info->tags[i].value;
    return NULL;
}

void object_set_tag(struct object_info *info, const char *key, const char *value)
{
    if (info->n_tags == OBJECT_TAGS)
        return;
    struct object_tag *t = &info->tags[info->n_tags++];
    snprintf(t->key, sizeof t->key, "%s", key);
    snprintf(t->value, sizeof t->value, "%s", value);
}

void object_meta_put(struct buf *b, const char *bucket, const char *name,
                     const struct object_info *info, size_t chunk_bytes, int64_t now_ns)
{
    char when[CLOCK_TEXT_SIZE];
    clock_format(now_ns, when);
    buf_puts(b, "{\"name\":");
    json_put_cstr(b, name);
    if (info->n_tags > 0) {
        buf_puts(b, ",\"metadata\":{");
        for (unsigned i = 0; i < info->n_tags; i++) {
            if (i > 0)
                buf_putc(b, ',');
            json_put_cstr(b, info->tags[i].key);
            buf_putc(b, ':');
            json_put_cstr(b, info->tags[i].value);
        }
        buf_putc(b, '}');
    }
    buf_printf(b, ",\"options\":{\"max_chunk_size\":%zu},\"bucket\":", chunk_bytes);
    json_put_cstr(b, bucket);
    buf_puts(b, ",\"nuid\":");
    json_put_cstr(b, info->nuid);
    buf_printf(b, ",\"size\":%" PRIu64 ",\"mtime\":\"%s\",\"chunks\":%" PRIu32 ",\"digest\":",
               info->size, when, info->chunks);
    json_put_cstr(b, info->digest);
    buf_putc(b, '}');
}

static void read_tags(yajl_val tree, struct object_info *info)
{
    yajl_val v = json_tree_member(tree, "metadata", yajl_t_object);
    if (!YAJL_IS_OBJECT(v))
        return;
    for (size_t i = 0; i < v->u.object.len; i++)
        if (YAJL_IS_STRING(v->u.object.values[i]))
            object_set_tag(info, v->u.object.keys[i], v->u.object.values[i]->u.string);
}

/* It becomes a token of the subject of the object's chunks. */
static bool is_token(const char *s)
{
    for (const char *p = s; *p; p++)
        if (*p <= ' ' || *p > '~' || strchr(".*>", *p))
            return false;
    return *s != '\0';
}

bool object_meta_read(const char *data, size_t len, struct object_info *info)
{
    *info = (struct object_info){0};
    yajl_val tree = len <= META_MAX_BYTES ? json_tree_parse(data, len) : NULL;
    if (!tree)
        return false;
    const char *nuid = json_tree_text(tree, "nuid");
    int64_t size = json_tree_integer(tree, "size", -1);
    int64_t chunks = json_tree_integer(tree, "chunks", -1);
    bool ok = !json_tree_is_true(tree, "deleted") && is_token(nuid) &&
              strlen(nuid) < sizeof info->nuid && size >= 0 && chunks >= 0 && chunks <= UINT32_MAX;
    if (ok) {
        snprintf(info->nuid, sizeof info->nuid, "%s", nuid);
        snprintf(info->digest, sizeof info->digest, "%s", json_tree_text(tree, "digest"));
        info->size = (uint64_t)size;
        info->chunks = (uint32_t)chunks;
        read_tags(tree, info);
    }
    yajl_tree_free(tree);
    return ok;
}
