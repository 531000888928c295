// The clock of another day, for the tests: as many seconds later as ANOTHER_DAY says, for every program that is run.
// Only what tells the time of day is moved: timeouts go by the monotonic clock, and files keep the times that they have.
// (Debian's faketime moves absolute sleeps as well: Python's time.sleep fails under it, or its timeouts never end.)
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static time_t later(void) {
  const char *seconds = getenv("ANOTHER_DAY");
  return seconds ? atoll(seconds) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int failed = syscall(SYS_clock_gettime, clock, now);
  if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += later();
  return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  (void)zone;
  struct timespec fine;
  int failed = clock_gettime(CLOCK_REALTIME, &fine);
  if (!failed && now) *now = (struct timeval){fine.tv_sec, fine.tv_nsec / 1000};
  return failed;
}

time_t time(time_t *to) {
  struct timespec fine;
  clock_gettime(CLOCK_REALTIME, &fine);
  if (to) *to = fine.tv_sec;
  return fine.tv_sec;
}

int timespec_get(struct timespec *now, int base) {
  return base == TIME_UTC && !clock_gettime(CLOCK_REALTIME, now) ? base : 0;
}
