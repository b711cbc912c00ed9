/*
 * What bench.h promises.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "bench.h"

double bench_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);

    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double bench_cpu(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);

    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void bench_fail(const char *format, ...)
{
    va_list args;

    fflush(stdout);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

void *bench_alloc(size_t n, size_t size)
{
    void *p = calloc(n, size);

    if (p == NULL) {
        bench_fail("out of memory");
    }

    return p;
}

void *bench_grow(void *p, size_t n, size_t size)
{
    void *grown = reallocarray(p, n, size);

    if (grown == NULL) {
        bench_fail("out of memory");
    }

    return grown;
}

uint64_t bench_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;

    return *state;
}

uint32_t *bench_order(size_t n, uint64_t seed)
{
    uint32_t *order = bench_alloc(n + 1, sizeof(*order));
    uint64_t state = seed * 2654435761U + 88172645463325252U;

    for (size_t i = 0; i < n; i++) {
        size_t j = bench_random(&state) % (i + 1);

        order[i] = order[j];
        order[j] = (uint32_t)i;
    }

    return order;
}

static void take(const bench_option_t *option, const char *value,
                 const char *usage)
{
    char *end;

    if (option->text != NULL) {
        *option->text = value;
        return;
    }

    *option->number = strtoull(value, &end, 10);
    if (*value < '0' || *value > '9' || *end != '\0') {
        bench_fail("%s takes a number, not \"%s\"\n%s", option->name, value,
                   usage);
    }
}

void bench_options(int argc, char **argv, const bench_option_t *options,
                   const char *usage)
{
    for (int i = 1; i < argc; i++) {
        const bench_option_t *option = options;

        while (option->name != NULL && strcmp(option->name, argv[i]) != 0) {
            option++;
        }
        if (option->name == NULL) {
            bench_fail("unknown option %s\n%s", argv[i], usage);
        }
        if (option->flag != NULL) {
            *option->flag = 1;
        } else if (i + 1 < argc) {
            take(option, argv[++i], usage);
        } else {
            bench_fail("%s needs a value\n%s", argv[i], usage);
        }
    }
}

char *bench_put(char *p, const char *text)
{
    size_t len = strlen(text);

    memcpy(p, text, len);

    return p + len;
}

char *bench_put_number(char *p, uint64_t number)
{
    char digits[20];
    size_t n = 0;

    do {
        digits[n++] = (char)('0' + number % 10);
    } while ((number /= 10) > 0);
    while (n > 0) {
        *p++ = digits[--n];
    }

    return p;
}

char *bench_put_hex(char *p, const unsigned char *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        *p++ = digits[bytes[i] >> 4];
        *p++ = digits[bytes[i] & 15];
    }

    return p;
}

static void add_us(bench_times_t *times, uint32_t us)
{
    if (times->n == times->max) {
        times->max = times->max == 0 ? 1 << 16 : times->max * 2;
        times->us = bench_grow(times->us, times->max, sizeof(*times->us));
    }
    times->us[times->n++] = us;
}

void bench_times_add(bench_times_t *times, double seconds)
{
    add_us(times, (uint32_t)(seconds * 1e6));
}

void bench_times_merge(bench_times_t *into, const bench_times_t *from)
{
    for (size_t i = 0; i < from->n; i++) {
        add_us(into, from->us[i]);
    }
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static double quantile(const bench_times_t *times, double q)
{
    if (times->n == 0) {
        return 0;
    }

    return times->us[(size_t)((double)(times->n - 1) * q)] / 1e3;
}

void bench_times_print(bench_times_t *times)
{
    if (times->n > 0) {
        qsort(times->us, times->n, sizeof(*times->us), compare);
    }
    printf("\"p50_ms\":%.3f,\"p95_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f",
           quantile(times, 0.5), quantile(times, 0.95), quantile(times, 0.99),
           quantile(times, 1));
}
