/*
 * What MySQL's functions ask the session whose statement runs: its named locks (GET_LOCK). A
 * session is a thread, so this is the thread's; threads that have entered none have no locks.
 */
#ifndef HA_SQL_MYSQL_SESSION_H
#define HA_SQL_MYSQL_SESSION_H

#include <stdbool.h>
#include <stdint.h>

struct mysql_session {
    /* True: it has the lock from now on, once more. Does not wait. */
    bool (*lock)(void *arg, const char *name);
    /* The session that has it, 0 = nobody. */
    int64_t (*owner)(void *arg, const char *name);
    /* 1 = given back, 0 = another one's, -1 = nobody's. */
    int (*unlock)(void *arg, const char *name);
    /* Gives back all; how many there were. */
    int64_t (*unlock_all)(void *arg);
    void *arg;
};

/* The thread's session from now on; NULL leaves. `s` is borrowed. */
void mysql_session_enter(const struct mysql_session *s);

#endif
