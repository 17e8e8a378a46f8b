/* See runtime.c. */

#include <stddef.h>
#include <stdint.h>

enum { FUZZ_EDGES = 1 << 14 };

extern uint8_t fuzz_counts[FUZZ_EDGES];     /* how often each edge was taken, at most 255 */
extern uint16_t fuzz_touched[FUZZ_EDGES];   /* the edges with a count */
extern uint32_t fuzz_touched_count;
extern uint64_t fuzz_allocated;             /* bytes asked of malloc, whether released or not */

int fuzz_install(const char *path);         /* path: where the input goes at a crash; kept */
void fuzz_begin(const unsigned char *input, size_t size);
void fuzz_end(void);

void __asan_poison_memory_region(const volatile void *, size_t);    /* these of libasan */
void __asan_unpoison_memory_region(const volatile void *, size_t);
size_t __sanitizer_get_current_allocated_bytes(void);
