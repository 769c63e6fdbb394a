/* Makes each fsync, fdatasync and syncfs take SYNC_MS milliseconds more, as on a disk without a capacitor, and counts those under
   way at once in the file SYNC_COUNTS (four ints, made before): of files now and at most so far, of directories likewise,
   in all processes. LD_PRELOAD of `cc -shared -fPIC slowsync.c -ldl`. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static atomic_int own[4], *counts = own;
static useconds_t pause_us;

__attribute__((constructor)) static void begin(void) {
    const char *ms = getenv("SYNC_MS"), *path = getenv("SYNC_COUNTS");
    pause_us = ms ? atoi(ms) * 1000 : 0;
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *shared = mmap(NULL, sizeof own, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared != MAP_FAILED)
        counts = shared;
    close(fd);
}

static int slow(const char *name, int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    struct stat found;
    atomic_int *count = counts + (fstat(fd, &found) == 0 && S_ISDIR(found.st_mode) ? 2 : 0);
    int now = atomic_fetch_add(count, 1) + 1, most = atomic_load(count + 1);
    while (now > most && !atomic_compare_exchange_weak(count + 1, &most, now))
        ;
    usleep(pause_us);
    int result = real(fd);
    atomic_fetch_sub(count, 1);
    return result;
}

int fsync(int fd) { return slow("fsync", fd); }
int fdatasync(int fd) { return slow("fdatasync", fd); }
int syncfs(int fd) { return slow("syncfs", fd); }
