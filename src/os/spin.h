/*
 * A short look at a socket, again and again, before its thread goes to sleep on it.
 *
 * A client that sends a request after each answer has the next one ready within some ten
 * microseconds. On a machine that has little to do a sleeping processor takes longer than that to
 * wake up, twice for each exchange: once here, once at the client. So the thread looks a few times
 * first, and lets every other thread run between two looks.
 *
 * It costs processor time whenever nothing comes. So no more threads spin at a time than
 * there are processors, and one that has spun in vain leaves out the next 1, 3, 7 … up to 1,023
 * times: for one that sends a request now and then nobody spins.
 *
 * On a machine with more to do it does harm: a thread that never sleeps has used up its share, and
 * waits behind all the others when one of them wants the processor. Nothing tells that but the
 * clock. So each thread times some stretches of waits with looks and some without, and goes on with
 * what has been faster. Any thread; a struct is one thread's.
 */
#ifndef HA_OS_SPIN_H
#define HA_OS_SPIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct spin {
    unsigned skip;    /* so many times to be left out */
    unsigned in_vain; /* how many to leave out the last time it was in vain, halved since */

    bool sleeps; /* in this stretch: no looks */
    unsigned stretches;
    uint64_t waits;     /* since the stretch began */
    int64_t begun_ns;   /* 0 = no stretch has begun */
    int64_t took_ns[2]; /* one exchange, on average: with looks, without; 0 = not known */
};

/* The first exchanges of a connection are left out: many have but one. */
#define SPIN_INIT ((struct spin){.skip = 4})

/* Returns when `fd` has something to read, has an error, or after SPIN_NS at the latest. */
void spin_on(struct spin *w, int fd);

/* The same, and takes what is there: recv(), which sleeps where nothing has come by then, and does
 * so without a look where one is to be left out. What it returns and says in errno is recv()'s. */
ssize_t spin_recv(struct spin *w, int fd, void *to, size_t room);

#endif
