/* Loaded before libc (LD_PRELOAD): counts what a process changes under a folder and makes the n-th change go wrong.

   A change is of a class (a bit): growing (a write, a new file or folder), reaching the disk (fsync), naming (rename),
   taking away (unlink). Only changes of the classes in `mask` count. What goes wrong: REFUSED once with an errno,
   FULL (every one from the n-th on), KILLED before it happens, TORN (half of a write, then killed).
   Calls go to the kernel directly, so that nothing else has to be looked up. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { GROW = 1, SYNC = 2, NAME = 4, GONE = 8 };
enum { OFF, REFUSED, FULL, KILLED, TORN };

static char root[PATH_MAX];
static long at, seen, synced;
static int number, mode, mask, no_exchange;

void faults_arm(const char *folder, long n, int error, int how, int classes) {
  strncpy(root, folder, sizeof root - 1);
  at = n; number = error; mask = classes; seen = 0; synced = 0;
  __atomic_store_n(&mode, how, __ATOMIC_SEQ_CST);
}
void faults_no_exchange(int on) { no_exchange = on; }
long faults_seen(void) { return seen; }
long faults_synced(void) { return synced; }

static int under(const char *path) { size_t n = strlen(root); return n && !strncmp(path, root, n); }

static int fd_under(int fd) {
  char link[40], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  long n = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
  if (n <= 0) return 0;
  path[n] = 0;
  return under(path);
}

static int name_under(int dir, const char *path) { return path[0] == '/' ? under(path) : dir != AT_FDCWD && fd_under(dir); }

static void die(void) { syscall(SYS_kill, getpid(), SIGKILL); for (;;) pause(); }

/* 0: let it happen; 1: it fails, errno is set; 2: half of it, then die. */
static int goes_wrong(int class, int counts) {
  int how = __atomic_load_n(&mode, __ATOMIC_SEQ_CST);
  if (how == OFF || !(class & mask) || !counts) return 0;
  long n = __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST);
  if (n < at || (how != FULL && n > at)) return 0;
  if (how == KILLED) die();
  if (how == TORN) return 2;
  errno = number;
  return 1;
}

#define WRITES(class, fd, count, whole, half) do { \
    int wrong = mode != OFF ? goes_wrong(class, fd_under(fd)) : 0; \
    if (wrong == 1) return -1; \
    if (wrong == 2) { half; die(); } \
    return whole; } while (0)

ssize_t write(int fd, const void *b, size_t n) {
  WRITES(GROW, fd, n, syscall(SYS_write, fd, b, n), syscall(SYS_write, fd, b, n / 2));
}
ssize_t pwrite64(int fd, const void *b, size_t n, off64_t o) {
  WRITES(GROW, fd, n, syscall(SYS_pwrite64, fd, b, n, o), syscall(SYS_pwrite64, fd, b, n / 2, o));
}
ssize_t pwrite(int fd, const void *b, size_t n, off_t o) { return pwrite64(fd, b, n, o); }
ssize_t writev(int fd, const struct iovec *v, int n) { WRITES(GROW, fd, n, syscall(SYS_writev, fd, v, n), (void)0); }
ssize_t sendfile64(int out, int in, off64_t *o, size_t n) {
  WRITES(GROW, out, n, syscall(SYS_sendfile, out, in, o, n), syscall(SYS_sendfile, out, in, o, n / 2));
}
ssize_t sendfile(int out, int in, off_t *o, size_t n) { return sendfile64(out, in, o, n); }
ssize_t copy_file_range(int in, off64_t *a, int out, off64_t *b, size_t n, unsigned f) {
  WRITES(GROW, out, n, syscall(SYS_copy_file_range, in, a, out, b, n, f), (void)0);
}
int ftruncate64(int fd, off64_t n) { WRITES(GROW, fd, n, syscall(SYS_ftruncate, fd, n), (void)0); }
int ftruncate(int fd, off_t n) { return ftruncate64(fd, n); }
int fallocate64(int fd, int m, off64_t o, off64_t n) { WRITES(GROW, fd, n, syscall(SYS_fallocate, fd, m, o, n), (void)0); }
int fallocate(int fd, int m, off_t o, off_t n) { return fallocate64(fd, m, o, n); }

static int reaches(long call, int fd) {
  if (mode != OFF && fd_under(fd)) {
    __atomic_add_fetch(&synced, 1, __ATOMIC_SEQ_CST);
    if (goes_wrong(SYNC, 1)) { if (mode == TORN) die(); return -1; }
  }
  return syscall(call, fd);
}
int fsync(int fd) { return reaches(SYS_fsync, fd); }
int fdatasync(int fd) { return reaches(SYS_fdatasync, fd); }

#define NAMES(class, ours, whole) do { \
    int wrong = mode != OFF ? goes_wrong(class, ours) : 0; \
    if (wrong == 2) die(); \
    return wrong ? -1 : whole; } while (0)

int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
  if (no_exchange && flags) { errno = ENOSYS; return -1; }
  NAMES(NAME, name_under(b, to), syscall(SYS_renameat2, a, from, b, to, flags));
}
int renameat(int a, const char *from, int b, const char *to) { return renameat2(a, from, b, to, 0); }
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }
int linkat(int a, const char *from, int b, const char *to, int flags) {
  NAMES(NAME, name_under(b, to), syscall(SYS_linkat, a, from, b, to, flags));
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }
int unlinkat(int dir, const char *path, int flags) { NAMES(GONE, name_under(dir, path), syscall(SYS_unlinkat, dir, path, flags)); }
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
int mkdirat(int dir, const char *path, mode_t m) { NAMES(GROW, name_under(dir, path), syscall(SYS_mkdirat, dir, path, m)); }
int mkdir(const char *path, mode_t m) { return mkdirat(AT_FDCWD, path, m); }

static int opened(int dir, const char *path, int flags, mode_t m) {
  struct stat there;
  int makes = mode != OFF && (flags & O_CREAT) && name_under(dir, path) && fstatat(dir, path, &there, 0) != 0;
  NAMES(GROW, makes, syscall(SYS_openat, dir, path, flags, m));
}
#define MODE_OF(m) mode_t m = 0; if (flags & (O_CREAT | O_TMPFILE)) { va_list l; va_start(l, flags); m = va_arg(l, int); va_end(l); }
int open(const char *path, int flags, ...) { MODE_OF(m) return opened(AT_FDCWD, path, flags, m); }
int open64(const char *path, int flags, ...) { MODE_OF(m) return opened(AT_FDCWD, path, flags | O_LARGEFILE, m); }
int openat(int dir, const char *path, int flags, ...) { MODE_OF(m) return opened(dir, path, flags, m); }
int openat64(int dir, const char *path, int flags, ...) { MODE_OF(m) return opened(dir, path, flags | O_LARGEFILE, m); }
