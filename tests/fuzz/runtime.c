/* What the fuzzer needs below Python: which edges an execution takes, how much memory it asks for,
 * and the input that is being executed, written to a file when a sanitizer or a signal ends the
 * process. Preloaded behind libasan; knows nothing of qpack, and costs nothing while not watching.
 */

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime.h"

uint8_t fuzz_counts[FUZZ_EDGES];
uint16_t fuzz_touched[FUZZ_EDGES];
uint32_t fuzz_touched_count;
uint64_t fuzz_allocated;
int fuzz_is_watching;

static uintptr_t previous;
static const char *crash_path;
static const unsigned char *current;
static size_t current_size;

/* gcc's -fsanitize-coverage=trace-pc calls this at each edge. */
void __sanitizer_cov_trace_pc(void)
{
    uintptr_t place;
    uint32_t edge;
    if (!fuzz_is_watching)
        return;
    place = (uintptr_t)__builtin_return_address(0) * UINT64_C(0x9E3779B97F4A7C15) >> 40;
    edge = (place ^ previous) & (FUZZ_EDGES - 1);
    previous = place >> 1;
    if (fuzz_counts[edge] == 0)
        fuzz_touched[fuzz_touched_count++] = (uint16_t)edge;
    if (fuzz_counts[edge] < 255)
        fuzz_counts[edge]++;
}

void fuzz_begin(const unsigned char *input, size_t size)
{
    current = input;
    current_size = size;
    previous = 0;
    fuzz_allocated = 0;
    fuzz_is_watching = 1;
}

void fuzz_end(void)
{
    fuzz_is_watching = 0;
    current = NULL;
}

static void count_allocation(const volatile void *memory, size_t size)
{
    (void)memory;
    if (fuzz_is_watching)
        fuzz_allocated += size;
}

static void ignore_release(const volatile void *memory)
{
    (void)memory;
}

static void keep_input(void)
{
    int file;
    if (current == NULL)
        return;
    file = open(crash_path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (file < 0 || write(file, current, current_size) != (ssize_t)current_size)
        return;
    close(file);
}

static void too_slow(int number)
{
    static const char text[] = "an execution takes too long\n";
    (void)number;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(2);
    abort(); /* libasan shows where, and calls keep_input */
}

/* Of libasan; absent where the fuzzer runs without it. */
extern int __sanitizer_install_malloc_and_free_hooks(
    void (*)(const volatile void *, size_t), void (*)(const volatile void *)
) __attribute__((weak));
extern void __sanitizer_set_death_callback(void (*)(void)) __attribute__((weak));

int fuzz_install(const char *path)
{
    crash_path = path;
    signal(SIGALRM, too_slow);
    if (__sanitizer_set_death_callback == NULL)
        return 0;
    __sanitizer_set_death_callback(keep_input);
    return __sanitizer_install_malloc_and_free_hooks(count_allocation, ignore_release);
}
