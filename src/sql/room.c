#include "sql/room.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/clock.h"

/* Between the write that found no room and the question why a statement failed. If it was another
 * statement's, the disk is blamed for both, which is better than not to blame a full one. */
#define ROOM_RECENT_NS (10 * CLOCK_S)

static _Atomic int64_t refused_ns; /* when a write was last refused for want of room; 0 = never */

static ssize_t note(ssize_t written, size_t wanted)
{
    int saved = errno;

    if ((written < 0 && saved == ENOSPC) || (written >= 0 && (size_t)written < wanted))
        atomic_store_explicit(&refused_ns, clock_mono_ns(), memory_order_relaxed);
    errno = saved;
    return written;
}

static ssize_t watched_write(int fd, const void *bytes, size_t n)
{
    return note(write(fd, bytes, n), n);
}

static ssize_t watched_pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    return note(pwrite(fd, bytes, n, at), n);
}

static ssize_t watched_pwrite64(int fd, const void *bytes, size_t n, off64_t at)
{
    return note(pwrite64(fd, bytes, n, at), n);
}

/* Which of them SQLite calls, its build decides. */
void room_watch(void)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

    if (!vfs || vfs->iVersion < 3 || !vfs->xSetSystemCall)
        return;
    (void)vfs->xSetSystemCall(vfs, "write", (sqlite3_syscall_ptr)watched_write);
    (void)vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)watched_pwrite);
    (void)vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)watched_pwrite64);
}

int room_errno(sqlite3 *db, int rc)
{
    int64_t at = atomic_load_explicit(&refused_ns, memory_order_relaxed);

    if ((rc & 0xff) == SQLITE_FULL)
        return at > 0 && clock_mono_ns() - at < ROOM_RECENT_NS ? ENOSPC : 0;
    return db ? sqlite3_system_errno(db) : 0;
}
