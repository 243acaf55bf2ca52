#include "base/id.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define ID_RANDOM 12 /* characters chosen per process; the rest count */

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char prefix[ID_RANDOM]; /* immutable after init */
static _Atomic uint64_t counter;

static void choose_prefix(void)
{
    size_t have = 0;

    while (have < ID_RANDOM) {
        unsigned char bytes[32];
        ssize_t n = getrandom(bytes, sizeof bytes, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            abort(); /* without randomness two nodes could use the same ids: never start */
        for (ssize_t i = 0; i < n && have < ID_RANDOM; i++)
            if (bytes[i] < 248) /* 4 * 62: every digit equally likely */
                prefix[have++] = digits[bytes[i] % 62];
    }
}

void id_next(char out[ID_SIZE])
{
    uint64_t n;

    (void)pthread_once(&once, choose_prefix);
    n = atomic_fetch_add_explicit(&counter, 1, memory_order_relaxed);
    memcpy(out, prefix, ID_RANDOM);
    for (int i = ID_LEN - 1; i >= ID_RANDOM; i--) {
        out[i] = digits[n % 62];
        n /= 62;
    }
    out[ID_LEN] = '\0';
}
