/*
 * What the programs that measure have in common: clocks, random order,
 * options, and the times of requests.  Each is one process that ends with
 * bench_fail when something is not as it should be.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>

/* Seconds of a clock that only goes forward. */
double bench_now(void);

/* Seconds of CPU this process has used, in itself and in the kernel. */
double bench_cpu(void);

/* One line on stderr, and exit status 1. */
void bench_fail(const char *format, ...)
    __attribute__((noreturn, format(printf, 1, 2)));

/* Memory, or the end of the program. */
void *bench_alloc(size_t n, size_t size);

/* The same with what was in p, which is gone. */
void *bench_grow(void *p, size_t n, size_t size);

/* xorshift; the state is never 0. */
uint64_t bench_random(uint64_t *state);

/* The numbers 0 to n - 1 in an order that the seed decides. */
uint32_t *bench_order(size_t n, uint64_t seed);

/* Of text, number and flag one, which says what it takes. */
typedef struct {
    const char *name; /* "--seconds"; NULL ends a list */
    const char **text;
    uint64_t *number;
    uint64_t *flag; /* no value: set to 1 */
} bench_option_t;

/* Ends the program with the usage when the arguments are not of the list. */
void bench_options(int argc, char **argv, const bench_option_t *options,
                   const char *usage);

/* Text written to p; what comes after it is returned. */
char *bench_put(char *p, const char *text);
char *bench_put_number(char *p, uint64_t number);
char *bench_put_hex(char *p, const unsigned char *bytes, size_t n);

/* How long each request took. */
typedef struct {
    uint32_t *us;
    size_t n;
    size_t max;
} bench_times_t;

void bench_times_add(bench_times_t *times, double seconds);

/* Adds all of one to another. */
void bench_times_merge(bench_times_t *into, const bench_times_t *from);

/* Prints "p50_ms":…,"p95_ms":…,"p99_ms":…,"max_ms":…; sorts them. */
void bench_times_print(bench_times_t *times);

#endif
