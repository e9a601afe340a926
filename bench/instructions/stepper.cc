// Counts the instructions that a program retires between its two SIGUSR1s, by single-stepping it with ptrace(2): exact
// and the same every time on any CPU and for any instruction, where valgrind knows only some.
//
//   stepper PROGRAM ARGUMENT...     the program's output, then a line `steps N`
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace {

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(3);
}

/// Runs on until a signal or the end; true for SIGUSR1, which the program does not get to see.
bool until_mark(pid_t child, int* status) {
  for (int signal = 0;;) {
    if (ptrace(PTRACE_CONT, child, nullptr, signal) != 0) fail("PTRACE_CONT");
    if (waitpid(child, status, 0) != child) fail("waitpid");
    if (!WIFSTOPPED(*status)) return false;
    if (WSTOPSIG(*status) == SIGUSR1) return true;
    signal = WSTOPSIG(*status) == SIGTRAP ? 0 : WSTOPSIG(*status);
  }
}

/// Steps until the next SIGUSR1.
unsigned long long steps(pid_t child, int* status) {
  for (unsigned long long n = 0;; n++) {
    if (ptrace(PTRACE_SINGLESTEP, child, nullptr, 0) != 0) fail("PTRACE_SINGLESTEP");
    if (waitpid(child, status, 0) != child) fail("waitpid");
    if (!WIFSTOPPED(*status)) return 0;
    if (WSTOPSIG(*status) == SIGUSR1) return n;
    if (WSTOPSIG(*status) != SIGTRAP) {
      std::fprintf(stderr, "stopped by signal %d\n", WSTOPSIG(*status));
      std::exit(3);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: stepper PROGRAM ARGUMENT...\n", stderr);
    return 2;
  }
  const pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) fail("PTRACE_TRACEME");
    if (setenv("MARK_BY_SIGNAL", "1", 1) != 0) fail("setenv");
    execvp(argv[1], argv + 1);
    fail(argv[1]);
  }
  int status = 0;
  // The stop at exec.
  if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) fail("exec");
  if (!until_mark(child, &status)) return WIFEXITED(status) ? WEXITSTATUS(status) : 3;
  const unsigned long long n = steps(child, &status);
  while (WIFSTOPPED(status)) until_mark(child, &status);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return WIFEXITED(status) ? WEXITSTATUS(status) : 3;
  std::printf("steps %llu\n", n);
  return 0;
}
