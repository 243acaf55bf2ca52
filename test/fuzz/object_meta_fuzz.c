/* Meta messages of objects: what was read and is written again reads the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/object_meta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_tags(const struct object_info *a, const struct object_info *b)
{
    /* Texts that are not UTF-8 any more, because they were cut, change once. */
    if (a->n_tags != b->n_tags || a->n_tags > OBJECT_TAGS)
        abort();
    for (unsigned i = 0; i < a->n_tags; i++)
        if (strlen(a->tags[i].key) >= OBJECT_KEY_SIZE ||
            strlen(a->tags[i].value) >= OBJECT_VALUE_SIZE)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct object_info first, second;
    struct buf b = BUF_INIT;

    if (!object_meta_read((const char *)data, size, &first))
        return 0;
    object_meta_put(&b, "bucket", "name", &first, 1024, 0);
    if (!buf_ok(&b) || !object_meta_read(b.data, b.len, &second)) {
        /* Escapes may make it longer than what is read. */
        if (b.len < (size_t)16 * 1024)
            abort();
        buf_free(&b);
        return 0;
    }
    if (first.size != second.size || first.chunks != second.chunks ||
        strcmp(first.nuid, second.nuid) != 0)
        abort();
    check_tags(&first, &second);
    buf_free(&b);
    return 0;
}
