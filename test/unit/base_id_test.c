#include "base/id.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define THREADS    4
#define PER_THREAD 5000

static char ids[THREADS][PER_THREAD][ID_SIZE];

static void *take(void *arg)
{
    for (int i = 0; i < PER_THREAD; i++)
        id_next(ids[(size_t)(uintptr_t)arg][i]);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void test_unique(void **state)
{
    pthread_t t[THREADS];
    char(*all)[ID_SIZE] = ids[0];

    (void)state;
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, take, (void *)(uintptr_t)i), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    qsort(ids, (size_t)THREADS * PER_THREAD, ID_SIZE, compare);
    for (int i = 0; i < THREADS * PER_THREAD; i++) {
        assert_int_equal(strlen(all[i]), ID_LEN);
        if (i > 0)
            assert_true(strcmp(all[i - 1], all[i]) < 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unique),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
