/*
 * What comes from another node: the first byte chooses between a question that hands transactions
 * over and a recording of results. Whatever it is, all that is handed out lies within it, and a
 * recording that was taken is taken again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/recorder.h"
#include "repl/handover.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT ((size_t)64 * 1024)

static void question(const char *body, size_t len)
{
    static struct handover h;
    struct err e = ERR_INIT;
    enum err_code code = handover_read(&h, body, len, &e);
    if (code != e.code || (code != ERR_OK && code != ERR_FORMAT))
        abort();
    if (code != ERR_OK)
        return;
    if (h.n == 0 || h.n > HANDOVER_MAX || strlen(h.origin) >= sizeof h.origin)
        abort();
    for (unsigned i = 0; i < h.n; i++)
        if (h.txns[i].data < body || h.txns[i].len > (size_t)(body + len - h.txns[i].data))
            abort();
}

static void recording(const char *bytes, size_t len)
{
    struct recorder a, b;
    recorder_init(&a, LIMIT);
    recorder_init(&b, LIMIT);
    if (recorder_load(&a, bytes, len) &&
        (!recorder_replay(&a, &b.sink) || !recorder_load(&a, b.bytes.data, b.bytes.len)) &&
        buf_ok(&b.bytes))
        abort();
    recorder_free(&a);
    recorder_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] == 'q')
        question((const char *)data + 1, size - 1);
    else
        recording((const char *)data + 1, size - 1);
    return 0;
}
