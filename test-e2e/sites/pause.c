/* Holds a pod's namespaces, or a site's, and reaps what dies in them: process 1 of both. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void reap(int number) {
  (void)number;
  while (waitpid(-1, 0, WNOHANG) > 0) {
  }
}

static void leave(int number) {
  (void)number;
  _exit(0);
}

int main(void) {
  struct sigaction reaper = {.sa_handler = reap, .sa_flags = SA_NOCLDSTOP};
  sigaction(SIGCHLD, &reaper, 0);
  signal(SIGTERM, leave);
  signal(SIGINT, leave);
  reap(0);
  for (;;) pause();
}
