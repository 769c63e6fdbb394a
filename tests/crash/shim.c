/* Kills the process at the Nth call that changes a file inside one directory.

   Loaded with LD_PRELOAD; does nothing until crash_arm() is called, which shim.py does in a forked child. Counted are
   the calls that Lazu, Python and SQLite change files with, on descriptors and paths inside the directory, O_TMPFILE
   files included (/proc shows them as "/dir/#123 (deleted)"). Memory-mapped writes (SQLite's -shm) are no boundary:
   they are in the page cache, as after any kill.

   Built by shim.py: gcc -O2 -shared -fPIC shim.c -ldl */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { COUNT, BEFORE, AFTER, TORN, PAUSE };
enum { TRACE = 65536 };

static char root[PATH_MAX];
static size_t root_length;
static atomic_long counter;
static long target;
static int mode;
static int armed;
static int locks;
static char only_call[32], only_tail[32];
static const char *trace[TRACE];
static char tails[TRACE][32];

/* Begin to count; in any mode but COUNT die at call number `at` (the first is 1), or stop there and go on at SIGCONT if
   the mode is PAUSE. `directory` is an absolute path without links. */
void crash_arm(const char *directory, long at, int how) {
    root_length = strlen(directory);
    memcpy(root, directory, root_length + 1);
    target = at;
    mode = how;
    atomic_store(&counter, 0);
    armed = 1;
}

/* Count flock() too, which changes nothing but is where two processes meet. */
void crash_locks(int yes) { locks = yes; }

/* Count nothing but this call on paths that end so. */
void crash_only(const char *call, const char *tail) {
    strcpy(only_call, call);
    strcpy(only_tail, tail);
}

/* Stop; gives the number of boundaries met. */
long crash_disarm(void) {
    armed = 0;
    return atomic_load(&counter);
}

/* The call at a boundary, and the end of the path it was made on. */
const char *crash_call(long number) { return number > 0 && number < TRACE ? trace[number] : ""; }
const char *crash_tail(long number) { return number > 0 && number < TRACE ? tails[number] : ""; }

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static int inside(const char *path) {
    return !strncmp(path, root, root_length) && (path[root_length] == '/' || path[root_length] == 0);
}

static int wanted(const char *call, const char *path) {
    size_t length = strlen(path), tail = strlen(only_tail);
    return (!*only_call || !strcmp(call, only_call)) && length >= tail && !strcmp(path + length - tail, only_tail);
}

static int link_of(int fd, char *path) {
    char proc[64];
    snprintf(proc, sizeof proc, fd == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", fd);
    ssize_t length = readlink(proc, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return length > 0;
}

/* Count one boundary on `path`; whether this is the one to die at. */
static int boundary(const char *call, const char *path) {
    if (!inside(path) || !wanted(call, path))
        return 0;
    long number = atomic_fetch_add(&counter, 1) + 1;
    if (number < TRACE) {
        size_t length = strlen(path), keep = sizeof tails[0] - 1;
        trace[number] = call;
        strcpy(tails[number], length > keep ? path + length - keep : path);
    }
    if (mode == COUNT || number != target)
        return 0;
    if (mode == PAUSE)
        raise(SIGSTOP);
    if (mode == BEFORE)
        die();
    return mode != PAUSE;
}

static int on_fd(const char *call, int fd) {
    char path[PATH_MAX];
    int saved = errno, hit = armed && link_of(fd, path) && boundary(call, path);
    errno = saved;
    return hit;
}

static int on_path(const char *call, int dirfd, const char *name) {
    char path[PATH_MAX * 2] = "";
    int saved = errno, hit = 0;
    if (armed) {
        if (name[0] != '/' && link_of(dirfd, path))
            strcat(path, "/");
        strncat(path, name, PATH_MAX - 1);
        hit = boundary(call, path);
    }
    errno = saved;
    return hit;
}

#define REAL(type, name, ...)                                                                                          \
    static type (*real)(__VA_ARGS__);                                                                                  \
    if (!real)                                                                                                         \
        real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name);

/* A call that writes `size` bytes: `half` writes the first half of them, for a torn write. */
#define WRITING(hit, half, whole)                                                                                      \
    if (hit && mode == TORN) {                                                                                         \
        half;                                                                                                          \
        die();                                                                                                         \
    }                                                                                                                  \
    DOING(ssize_t, hit, whole)

/* A call that is done or not: nothing of it can be torn. */
#define DOING(type, hit, whole)                                                                                        \
    type result = whole;                                                                                               \
    if (hit)                                                                                                           \
        die();                                                                                                         \
    return result;

ssize_t write(int fd, const void *data, size_t size) {
    REAL(ssize_t, write, int, const void *, size_t)
    int hit = on_fd("write", fd);
    WRITING(hit, real(fd, data, size / 2), real(fd, data, size))
}

#define PWRITE(name, off)                                                                                              \
    ssize_t name(int fd, const void *data, size_t size, off at) {                                                      \
        REAL(ssize_t, name, int, const void *, size_t, off)                                                            \
        int hit = on_fd("pwrite", fd);                                                                                 \
        WRITING(hit, real(fd, data, size / 2, at), real(fd, data, size, at))                                           \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(ssize_t, writev, int, const struct iovec *, int)
    int hit = on_fd("writev", fd);
    WRITING(hit, real(fd, parts, count / 2), real(fd, parts, count))
}

#define PWRITEV(name, off)                                                                                             \
    ssize_t name(int fd, const struct iovec *parts, int count, off at) {                                               \
        REAL(ssize_t, name, int, const struct iovec *, int, off)                                                       \
        int hit = on_fd("pwritev", fd);                                                                                \
        WRITING(hit, real(fd, parts, count / 2, at), real(fd, parts, count, at))                                       \
    }
PWRITEV(pwritev, off_t)
PWRITEV(pwritev64, off64_t)

#define SENDFILE(name, off)                                                                                            \
    ssize_t name(int to, int from, off *at, size_t size) {                                                             \
        REAL(ssize_t, name, int, int, off *, size_t)                                                                   \
        int hit = on_fd("sendfile", to);                                                                               \
        WRITING(hit, real(to, from, at, size / 2), real(to, from, at, size))                                           \
    }
SENDFILE(sendfile, off_t)
SENDFILE(sendfile64, off64_t)

ssize_t copy_file_range(int from, off64_t *here, int to, off64_t *there, size_t size, unsigned flags) {
    REAL(ssize_t, copy_file_range, int, off64_t *, int, off64_t *, size_t, unsigned)
    int hit = on_fd("copy_file_range", to);
    WRITING(hit, real(from, here, to, there, size / 2, flags), real(from, here, to, there, size, flags))
}

#define ON_FD(name)                                                                                                    \
    int name(int fd) {                                                                                                 \
        REAL(int, name, int)                                                                                           \
        int hit = on_fd(#name, fd);                                                                                    \
        DOING(int, hit, real(fd))                                                                                      \
    }
ON_FD(fsync)
ON_FD(fdatasync)
ON_FD(syncfs)

int flock(int fd, int how) {
    REAL(int, flock, int, int)
    int hit = locks && !(how & LOCK_UN) && on_fd("flock", fd);
    DOING(int, hit, real(fd, how))
}

#define TRUNCATE(name, off)                                                                                            \
    int name(int fd, off size) {                                                                                       \
        REAL(int, name, int, off)                                                                                      \
        int hit = on_fd("ftruncate", fd);                                                                              \
        DOING(int, hit, real(fd, size))                                                                                \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define FALLOCATE(name, off)                                                                                           \
    int name(int fd, int how, off at, off size) {                                                                      \
        REAL(int, name, int, int, off, off)                                                                            \
        int hit = on_fd("fallocate", fd);                                                                              \
        DOING(int, hit, real(fd, how, at, size))                                                                       \
    }
FALLOCATE(fallocate, off_t)
FALLOCATE(fallocate64, off64_t)

#define POSIX_FALLOCATE(name, off)                                                                                     \
    int name(int fd, off at, off size) {                                                                               \
        REAL(int, name, int, off, off)                                                                                 \
        int hit = on_fd("fallocate", fd);                                                                              \
        DOING(int, hit, real(fd, at, size))                                                                            \
    }
POSIX_FALLOCATE(posix_fallocate, off_t)
POSIX_FALLOCATE(posix_fallocate64, off64_t)

#define ON_NAME(name)                                                                                                  \
    int name(const char *path) {                                                                                       \
        REAL(int, name, const char *)                                                                                  \
        int hit = on_path(#name, AT_FDCWD, path);                                                                      \
        DOING(int, hit, real(path))                                                                                    \
    }
ON_NAME(unlink)
ON_NAME(rmdir)

int unlinkat(int dirfd, const char *path, int flags) {
    REAL(int, unlinkat, int, const char *, int)
    int hit = on_path("unlink", dirfd, path);
    DOING(int, hit, real(dirfd, path, flags))
}

/* Of two names the new one decides. */
#define ON_NAMES(name)                                                                                                 \
    int name(const char *old, const char *new) {                                                                       \
        REAL(int, name, const char *, const char *)                                                                    \
        int hit = on_path(#name, AT_FDCWD, new);                                                                       \
        DOING(int, hit, real(old, new))                                                                                \
    }
ON_NAMES(link)
ON_NAMES(rename)

int linkat(int olddir, const char *old, int newdir, const char *new, int flags) {
    REAL(int, linkat, int, const char *, int, const char *, int)
    int hit = on_path("link", newdir, new);
    DOING(int, hit, real(olddir, old, newdir, new, flags))
}

int renameat(int olddir, const char *old, int newdir, const char *new) {
    REAL(int, renameat, int, const char *, int, const char *)
    int hit = on_path("rename", newdir, new);
    DOING(int, hit, real(olddir, old, newdir, new))
}

int renameat2(int olddir, const char *old, int newdir, const char *new, unsigned flags) {
    REAL(int, renameat2, int, const char *, int, const char *, unsigned)
    int hit = on_path("rename", newdir, new);
    DOING(int, hit, real(olddir, old, newdir, new, flags))
}
