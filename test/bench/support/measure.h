/*
 * What the measuring programs share: their arguments, a clock, latencies and what is told of them.
 *
 * A program prints one JSON object on one line of standard output and exits with 0, or says on
 * standard error what went wrong and exits with 1. To be included by one file of a program; one
 * thread.
 */
#ifndef HA_BENCH_MEASURE_H
#define HA_BENCH_MEASURE_H

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MEASURE_UNUSED __attribute__((unused))

static inline int64_t measure_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

MEASURE_UNUSED __attribute__((noreturn, format(printf, 1, 2))) static void measure_fail(
    const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

MEASURE_UNUSED static void *measure_alloc(size_t n, size_t size)
{
    void *p = calloc(n > 0 ? n : 1, size);
    if (!p)
        measure_fail("out of memory");
    return p;
}

/* The value of "name=value" among the arguments, or `missing`. */
MEASURE_UNUSED static const char *measure_text(int argc, char **argv, const char *name,
                                               const char *missing)
{
    size_t n = strlen(name);
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], name, n) == 0 && argv[i][n] == '=')
            return argv[i] + n + 1;
    return missing;
}

MEASURE_UNUSED static long measure_number(int argc, char **argv, const char *name, long missing,
                                          long least, long most)
{
    const char *text = measure_text(argc, argv, name, NULL);
    if (!text)
        return missing;
    char *end = NULL;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < least || value > most)
        measure_fail("%s=%s: a number from %ld to %ld is wanted", name, text, least, most);
    return value;
}

/* Every argument must be one of the names. */
MEASURE_UNUSED static void measure_check(int argc, char **argv, const char *const *names)
{
    for (int i = 1; i < argc; i++) {
        const char *equals = strchr(argv[i], '=');
        size_t n = equals ? (size_t)(equals - argv[i]) : 0;
        const char *const *known = names;
        while (*known && !(n > 0 && strlen(*known) == n && strncmp(*known, argv[i], n) == 0))
            known++;
        if (!*known)
            measure_fail("%s: not one of this program's arguments", argv[i]);
    }
}

/* ---- latencies in nanoseconds; more than four seconds count as four ---- */

static inline uint32_t measure_since(int64_t start_ns)
{
    int64_t ns = measure_now_ns() - start_ns;
    return ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

static int measure_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Sorts them. Members of an object: p50_us, p99_us, p999_us, max_us. */
MEASURE_UNUSED static void measure_print(uint32_t *ns, size_t n)
{
    qsort(ns, n, sizeof *ns, measure_compare);
    double p50 = n > 0 ? ns[n / 2] / 1e3 : 0;
    double p99 = n > 0 ? ns[n * 99 / 100] / 1e3 : 0;
    double p999 = n > 0 ? ns[n * 999 / 1000] / 1e3 : 0;
    double most = n > 0 ? ns[n - 1] / 1e3 : 0;
    printf("\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f", p50, p99, p999,
           most);
}

#endif
