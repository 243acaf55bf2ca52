/*
 * What the functions and catalogs of the PostgreSQL front ask about the session whose statement
 * runs: its user, its database, its settings. A session is a thread, so this is the thread's.
 *
 * Strings are borrowed from the session. Threads that have entered none see defaults ("ha", empty
 * settings), as other protocols' statements do when they call these functions.
 */
#ifndef HA_SQL_PG_SESSION_H
#define HA_SQL_PG_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pg_set { PG_SET_OK, PG_SET_UNKNOWN, PG_SET_FIXED, PG_SET_INVALID, PG_SET_NO_MEMORY };

struct pg_session {
    const char *user;
    const char *database;
    int32_t pid;      /* what BackendKeyData said */
    bool read_only;   /* the user may only read */
    bool in_recovery; /* pg_is_in_recovery(): this node takes no writes */
    /* The value of a setting, borrowed until the next call; NULL: unknown. May be NULL. */
    const char *(*setting)(void *arg, const char *name);
    /* Changes one, for set_config(); `local`: until the transaction ends. By whichever thread runs
     * the statement, while the session's own waits for it. May be NULL. */
    enum pg_set (*set)(void *arg, const char *name, const char *value, bool local);
    /* The node's databases by number; false at the end. May be NULL: only `database` then. */
    bool (*database_at)(void *arg, size_t i, char *id, size_t size);
    void *arg;
};

/* The thread's session from now on; NULL leaves. `s` is borrowed. */
void pg_session_enter(const struct pg_session *s);
/* Never NULL. */
const struct pg_session *pg_session_current(void);
/* A setting, of the session or else as PostgreSQL has it by default; NULL: there is none. */
const char *pg_session_setting(const char *name);

/* The settings that everyone knows, by number; false at the end. */
bool pg_session_default(unsigned i, const char **name, const char **value);

#endif
