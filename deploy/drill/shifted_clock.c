/* A library to be preloaded: the calendar time of its process differs by CLOCK_SHIFT_MS, as on a host with a late clock. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);
    static long long shift;

    if (!real) {
        const char *given = getenv("CLOCK_SHIFT_MS");
        shift = given ? atoll(given) : 0;
        real = dlsym(RTLD_NEXT, "clock_gettime");
    }
    int result = real(clock, now);
    if (result == 0 && clock == CLOCK_REALTIME) {
        long long shifted = now->tv_sec * 1000000000LL + now->tv_nsec + shift * 1000000LL;
        now->tv_sec = shifted / 1000000000LL;
        now->tv_nsec = shifted % 1000000000LL;
    }
    return result;
}
