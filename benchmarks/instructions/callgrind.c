/* What a process tells callgrind while it runs under it, for Python to call: begin to count, and
 * write what was counted since. Outside valgrind these do nothing.
 */

#include <valgrind/callgrind.h>

/* Until then code runs uncounted, about five times faster. */
void counting_start(void)
{
    CALLGRIND_START_INSTRUMENTATION;
}

void counting_stop(void)
{
    CALLGRIND_STOP_INSTRUMENTATION;
}

void counting_reset(void)
{
    CALLGRIND_ZERO_STATS;
}

/* The file that is written has the name in it. */
void counting_dump(const char *name)
{
    CALLGRIND_DUMP_STATS_AT(name);
}
