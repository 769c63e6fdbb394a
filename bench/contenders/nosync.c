/* Makes every sync a no-op, to see what durability costs: LD_PRELOAD of `cc -shared -fPIC nosync.c`. Never for real use. */
int fsync(int fd) { (void)fd; return 0; }
int fdatasync(int fd) { (void)fd; return 0; }
int syncfs(int fd) { (void)fd; return 0; }
int sync_file_range(int fd, long offset, long count, unsigned flags) { (void)fd; (void)offset; (void)count; (void)flags; return 0; }
