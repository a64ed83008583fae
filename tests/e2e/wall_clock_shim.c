// Shifts the wall clock of one program, and no other clock, by the seconds that a shared file says at that
// moment. Waits until a moment of the wall clock follow it as they follow the kernel's.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t* seconds;
static long (*real_syscall)(long, ...);

__attribute__((constructor)) static void open_file(void) {
  real_syscall = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
  const char* path = getenv("SKEW_FILE");
  int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  void* page = mmap(NULL, sizeof(*seconds), PROT_READ, MAP_SHARED, file, 0);
  if (page != MAP_FAILED) seconds = page;
  close(file);
}

static long raw(long number, long a, long b, long c, long d, long e, long f) {
  if (real_syscall == NULL) real_syscall = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
  return real_syscall(number, a, b, c, d, e, f);
}

static int64_t skew(void) { return seconds == NULL ? 0 : *seconds; }

int clock_gettime(clockid_t clock, struct timespec* at) {
  int result = raw(SYS_clock_gettime, clock, (long)at, 0, 0, 0, 0);
  if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) at->tv_sec += skew();
  return result;
}

int gettimeofday(struct timeval* restrict at, void* restrict zone) {
  struct timespec now;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  at->tv_sec = now.tv_sec;
  at->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != NULL) *out = now.tv_sec;
  return now.tv_sec;
}

// In slices, so that a wait sees the clock change.
static long wait_until(long a, long op, long value, const struct timespec* until, long e, long mask) {
  for (;;) {
    struct timespec now, slice;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t left = (int64_t)(until->tv_sec - now.tv_sec) * 1000000000 + until->tv_nsec - now.tv_nsec;
    if (left > 50000000) left = 50000000;
    raw(SYS_clock_gettime, CLOCK_REALTIME, (long)&slice, 0, 0, 0, 0);
    int64_t end = slice.tv_nsec + (left > 0 ? left : 0);
    slice.tv_sec += end / 1000000000;
    slice.tv_nsec = end % 1000000000;
    long result = raw(SYS_futex, a, op, value, (long)&slice, e, mask);
    if (result == 0 || errno != ETIMEDOUT || left < 50000000) return result;
  }
}

long syscall(long number, ...) {
  __builtin_va_list words;
  __builtin_va_start(words, number);
  long w[6];
  for (int i = 0; i < 6; ++i) w[i] = __builtin_va_arg(words, long);
  __builtin_va_end(words);
  if (number == SYS_futex && (w[1] & FUTEX_CLOCK_REALTIME) != 0 && w[3] != 0 &&
      (w[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET) {
    return wait_until(w[0], w[1], w[2], (const struct timespec*)w[3], w[4], w[5]);
  }
  return raw(number, w[0], w[1], w[2], w[3], w[4], w[5]);
}
