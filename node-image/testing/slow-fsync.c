/* Makes a disk slow: before each flush it waits as many milliseconds as the file that KEYFLEET_SLOW names says.
   Each wait adds a byte to the file of that name with ".waits" behind it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void wait_as_told(void) {
  const char *path = getenv("KEYFLEET_SLOW");
  if (path == NULL) return;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  char text[16] = {0};
  ssize_t size = read(file, text, sizeof text - 1);
  close(file);
  long ms = size > 0 ? atol(text) : 0;
  if (ms <= 0 || ms > 10000) return;
  struct timespec time = {ms / 1000, (ms % 1000) * 1000000L};
  nanosleep(&time, NULL);
  char waits[256];
  snprintf(waits, sizeof waits, "%s.waits", path);
  int counter = open(waits, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (counter < 0) return;
  if (write(counter, ".", 1) < 0) { /* The count is for tests only. */ }
  close(counter);
}

int fsync(int file) {
  static int (*real)(int);
  if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  wait_as_told();
  return real(file);
}

int fdatasync(int file) {
  static int (*real)(int);
  if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  wait_as_told();
  return real(file);
}
