/* Preloaded into a process: calls that change some of its files fail while another process says so.

   FAULTY_FILES is a part of the paths of those files; FAULTY_CONTROL names a file of three 32-bit
   numbers that is mapped: the errno of now, the kinds of calls that fail, and how many have failed. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE = 1, SYNC = 2, OPEN = 4, GROW = 8 };

struct control { volatile int32_t number, kinds, struck; };

static struct control *control;
static const char *files;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("FAULTY_CONTROL");
  const char *part = getenv("FAULTY_FILES");
  int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
  int fd = path && part ? real(path, O_RDWR) : -1;
  if (fd < 0) return;
  void *found = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  files = strdup(part); /* PostgreSQL writes its titles over its environment */
  if (files && found != MAP_FAILED) control = found;
}

static int strike(int kind, const char *path) {
  if (!strstr(path, files)) return 0;
  int number = control->number;
  if (!number || !(control->kinds & kind)) return 0;
  __sync_fetch_and_add(&control->struck, 1);
  errno = number;
  return 1;
}

static int fails(int kind, int fd) {
  if (!control || !control->number || !(control->kinds & kind)) return 0;
  char link[32], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(link, path, sizeof path - 1);
  if (size < 0) return 0;
  path[size] = 0;
  return strike(kind, path);
}

static int opens(const char *path, int flags) {
  if (!control || !control->number || !(control->kinds & OPEN)) return 0;
  return (flags & (O_WRONLY | O_RDWR | O_CREAT)) && strike(OPEN, path);
}

#define REAL(name) (__typeof__(&name)) dlsym(RTLD_NEXT, #name)
#define CALL(kind, type, name, declared, given)          \
  type name declared {                                   \
    static __typeof__(&name) real;                       \
    if (!real) real = REAL(name);                        \
    return fails(kind, fd) ? (type)-1 : real given;      \
  }

CALL(WRITE, ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
CALL(WRITE, ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
CALL(WRITE, ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at))
CALL(WRITE, ssize_t, writev, (int fd, const struct iovec *data, int count), (fd, data, count))
CALL(WRITE, ssize_t, pwritev, (int fd, const struct iovec *data, int count, off_t at), (fd, data, count, at))
CALL(WRITE, ssize_t, pwritev64, (int fd, const struct iovec *data, int count, off64_t at), (fd, data, count, at))
CALL(SYNC, int, fsync, (int fd), (fd))
CALL(SYNC, int, fdatasync, (int fd), (fd))
CALL(GROW, int, ftruncate, (int fd, off_t size), (fd, size))
CALL(GROW, int, ftruncate64, (int fd, off64_t size), (fd, size))
CALL(GROW, int, fallocate, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size))
CALL(GROW, int, fallocate64, (int fd, int mode, off64_t at, off64_t size), (fd, mode, at, size))

/* These return the number instead of setting it. */
int posix_fallocate(int fd, off_t at, off_t size) {
  return fails(GROW, fd) ? errno : (REAL(posix_fallocate))(fd, at, size);
}
int posix_fallocate64(int fd, off64_t at, off64_t size) {
  return fails(GROW, fd) ? errno : (REAL(posix_fallocate64))(fd, at, size);
}

#define OPENING(name)                                    \
  int name(const char *path, int flags, ...) {           \
    va_list more;                                        \
    va_start(more, flags);                               \
    mode_t mode = va_arg(more, mode_t);                  \
    va_end(more);                                        \
    return opens(path, flags) ? -1 : (REAL(name))(path, flags, mode); \
  }
#define OPENING_AT(name)                                 \
  int name(int at, const char *path, int flags, ...) {   \
    va_list more;                                        \
    va_start(more, flags);                               \
    mode_t mode = va_arg(more, mode_t);                  \
    va_end(more);                                        \
    return opens(path, flags) ? -1 : (REAL(name))(at, path, flags, mode); \
  }

OPENING(open)
OPENING(open64)
OPENING_AT(openat)
OPENING_AT(openat64)
