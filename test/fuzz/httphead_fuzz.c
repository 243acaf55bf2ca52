/*
 * A connection's bytes: heads, and bodies in chunks or not, as long as they can be read. The first
 * byte says in which pieces they arrive; whole and in pieces the same must be read.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/httpchunk.h"
#include "proto/httphead.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Sum of what was read, so that two ways to read can be compared. */
struct reading {
    uint64_t sum;
    size_t requests;
};

static void see(struct reading *r, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        r->sum = r->sum * 31 + (unsigned char)bytes[i];
}

static void see_head(struct reading *r, const struct httphead *h)
{
    see(r, h->method, strlen(h->method));
    see(r, h->path, strlen(h->path));
    see(r, h->query, strlen(h->query));
    for (unsigned i = 0; i < h->n; i++) {
        see(r, h->fields[i].name, strlen(h->fields[i].name));
        see(r, h->fields[i].value, strlen(h->fields[i].value));
        if (!httphead_field(h, h->fields[i].name))
            abort();
    }
    r->requests++;
}

/* Bytes of the body that were taken; 0 where it does not end here, or never. */
static size_t read_chunks(struct reading *r, const char *s, size_t n, size_t piece)
{
    struct httpchunk c = HTTPCHUNK_INIT;

    for (size_t at = 0; at < n;) {
        const char *p = s + at, *bytes = NULL;
        size_t here = n - at < piece ? n - at : piece, whole = here, len = 0;
        enum httpchunk_verdict v;

        while ((v = httpchunk_next(&c, &p, &here, &bytes, &len)) == HTTPCHUNK_DATA)
            see(r, bytes, len);
        at += whole - here;
        if (v == HTTPCHUNK_END)
            return at;
        if (v == HTTPCHUNK_BAD)
            return 0;
        if (here > 0)
            abort(); /* not all was taken */
    }
    return 0;
}

static size_t find_end(const char *s, size_t n, size_t piece)
{
    for (size_t len = 0, seen = 0; seen < n; seen = len) {
        len = n - seen < piece ? n : seen + piece;
        size_t end = httphead_end(s, len, seen);
        if (end > len)
            abort();
        if (end > 0)
            return end;
    }
    return 0;
}

static struct reading read_all(const uint8_t *data, size_t size, size_t piece)
{
    struct reading r = {0};
    static struct httphead h;
    char *s = malloc(size ? size : 1); /* reading beyond it is seen */

    if (!s)
        return r;
    memcpy(s, data, size);
    for (size_t at = 0; at < size;) {
        struct err e = ERR_INIT;
        size_t head = find_end(s + at, size - at, piece);
        if (head == 0 || httphead_parse(&h, s + at, head, &e) != ERR_OK)
            break;
        see_head(&r, &h);
        at += head;
        size_t body = h.chunked ? read_chunks(&r, s + at, size - at, piece) : h.length;
        if ((h.chunked && body == 0) || body > size - at)
            break;
        at += body;
    }
    free(s);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct reading whole = read_all(data + 1, size - 1, size);
    struct reading pieces = read_all(data + 1, size - 1, data[0] % 16 + 1U);
    if (whole.sum != pieces.sum || whole.requests != pieces.requests)
        abort();
    return 0;
}
