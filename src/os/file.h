/*
 * Files and directories: what the C library leaves to be done every time. Any thread; nothing here
 * keeps state. Messages name the path.
 */
#ifndef HA_OS_FILE_H
#define HA_OS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* ERR_DISK_FULL, ERR_IO or, where the user named something impossible, ERR_CONFIG, from an errno.
 */
enum err_code file_error(struct err *e, const char *what, const char *path, int number);

/* Creates `path` and the directories above it, as far as they are missing. */
enum err_code file_make_dirs(const char *path, mode_t mode, struct err *e);

/* Replaces the file in one step: after a crash there is the old content or the new, never a part.
 */
enum err_code file_write(const char *path, const void *bytes, size_t len, mode_t mode,
                         struct err *e);

/* Makes what was created, renamed or linked as `path` durable: syncs the directory that it is in.
 * On an error the new name may be gone after a power loss. */
enum err_code file_sync_parent(const char *path, struct err *e);

/* All of it, or the errno that came in between; 0 is success. */
int file_write_all(int fd, const void *bytes, size_t len);

/* Appends the content to `out`; ERR_TOO_BIG beyond `limit` bytes. */
enum err_code file_read(const char *path, size_t limit, struct buf *out, struct err *e);

/* Opens (creates) `path` and takes an exclusive lock that ends when the last descriptor that came
 * from *fd is closed, at the latest with the processes that hold one. While another holds it: tries
 * until the deadline, then ERR_BUSY, with what the holder wrote into the file in the message. The
 * holder's process id is written into it. */
enum err_code file_lock(int *fd, const char *path, int64_t deadline_ns, struct err *e);
void file_unlock(int fd); /* closes it; -1 is fine */
/* The same, and the file is gone: for a lock whose file nobody else is to find. */
void file_lock_remove(int fd, const char *path);

/* Removes a directory and all in it; symbolic links are not followed. False if something is left.
 */
bool file_remove_tree(const char *path);

/* Bytes that an unprivileged user may still write there; UINT64_MAX if the system does not tell. */
uint64_t file_free_bytes(const char *path);

/*
 * A directory that lives in memory and only as long as its process: /dev/shm/ha.XXXXXX (where there
 * is no /dev/shm: below $TMPDIR or /tmp, and *in_memory is false). Its file `.lock` is locked; a
 * directory of that pattern whose lock is free belonged to a process that was killed, and is
 * removed here. *lock_fd stays open as long as the directory is in use.
 */
#define FILE_TEMP_SIZE 256
enum err_code file_temp_dir(char path[FILE_TEMP_SIZE], int *lock_fd, bool *in_memory,
                            struct err *e);
void file_temp_remove(const char *path, int lock_fd);

#endif
