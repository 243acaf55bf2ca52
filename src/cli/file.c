#include <fcntl.h>
#include <unistd.h>

#include "cli/cli.h"

/* SQLite's connections in WAL mode hold a shared lock on these bytes for as long as they are open;
 * see "File Locking" in SQLite's documentation of the file format. */
#define SHARED_FIRST 0x40000002
#define SHARED_SIZE  510

bool cli_file_in_use(const char *path)
{
    struct flock l = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = SHARED_FIRST, .l_len = SHARED_SIZE};
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool used = fcntl(fd, F_GETLK, &l) == 0 && l.l_type != F_UNLCK;
    close(fd);
    return used;
}

enum err_code cli_file_check(const char *path, struct image *img, struct err *e)
{
    struct bar bar;
    bar_begin(&bar, "checking");
    enum err_code code =
        image_check(path, NULL, &(struct watch){.moved = bar_moved, .arg = &bar}, img, e);
    bar_end(&bar);
    return code;
}
