/* What a node answers to the client, in two pieces: it is taken or refused, and what is taken can
 * be shown in every mode. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/answer.h"
#include "cli/show.h"
#include "cli/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FILE *out;
    if (!out) {
        text_locale();
        out = fopen("/dev/null", "we");
    }
    if (!out || size < 2)
        return 0;
    for (int mode = SHOW_TABLE; mode <= SHOW_JSONL; mode++) {
        struct err e = ERR_INIT;
        struct answer a;
        struct show s;
        size_t cut = data[0] % size;
        show_init(&s, out, (enum show_mode)mode);
        answer_init(&a, &s.sink);
        if (answer_take(&a, data + 1, cut > 0 ? cut - 1 : 0) && cut > 0)
            (void)answer_take(&a, data + cut, size - cut);
        (void)answer_end(&a, &e);
        answer_free(&a);
        show_reset(&s);
        show_free(&s);
    }
    return 0;
}
