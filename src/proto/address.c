#include "proto/address.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/digits.h"

bool address_parse(const char *text, struct address *out)
{
    uint64_t index = 0;

    *out = (struct address){0};
    if (!digits_read(&text, &out->seq))
        return false;
    if (*text == '.') {
        text++;
        if (!digits_read(&text, &index) || index == 0 || index > UINT32_MAX)
            return false;
    }
    out->index = (unsigned)index;
    return *text == '\0';
}

void address_print(const struct address *a, char out[ADDRESS_SIZE])
{
    if (a->seq == 0)
        (void)snprintf(out, ADDRESS_SIZE, "not in the log yet");
    else if (a->index > 1)
        (void)snprintf(out, ADDRESS_SIZE, "%" PRIu64 ".%u", a->seq, a->index);
    else
        (void)snprintf(out, ADDRESS_SIZE, "%" PRIu64, a->seq);
}
