/*
 * What follows a log in a host's process: one for each database file, whoever of the process wants
 * it, with a thread, connections to SQLite and a client of NATS of its own. It is a replica
 * (repl/replica.h) that only reads the log.
 *
 *   STANDBY ──(the file's lock is free)──> CONNECTING ──> FOLLOWING <──> OFFLINE, STOPPED
 *      another process, or a node,          │
 *      applies to the file                  └──(cannot be set up: another try later)──> FAILED
 *
 * Any thread may call these; follower_leave() of the last one waits for the thread's end.
 */
#ifndef HA_EXT_FOLLOWER_H
#define HA_EXT_FOLLOWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "ext/params.h"
#include "repl/start.h"

struct follower;

enum follower_state {
    FOLLOWER_STANDBY,
    FOLLOWER_CONNECTING,
    FOLLOWER_OFFLINE, /* the log cannot be reached; what is in the file stays readable */
    FOLLOWER_COPYING, /* a snapshot or a node's copy is looked for, or on its way */
    FOLLOWER_BEHIND,  /* follows, and has not come to the log's end yet */
    FOLLOWER_FOLLOWING,
    FOLLOWER_STOPPED, /* the log does not continue the file, or a message cannot be applied */
    FOLLOWER_FAILED
};

struct follower_start {
    const char *path;                /* of the database file; borrowed */
    const struct ext_params *params; /* copied as far as they are needed */
    const struct ext_subject *subject;
    const char *durable; /* names the replica to others; "" = the host's name */
    enum replica_start start;
    uint64_t start_seq;
    int64_t start_time_ns;
};

struct follower_status {
    enum follower_state state;
    char reason[ERR_MSG_SIZE];     /* "" where all is well */
    char last_error[ERR_MSG_SIZE]; /* over or not; "" = none */
    int64_t last_error_wall_ns;
    uint64_t log_seq;        /* newest seq of the log that was heard of; 0 = none */
    int64_t applied_wall_ns; /* when the file was changed last; 0 = not in this process */
    uint64_t restores;
    char aside[4096]; /* where the last file that was no prefix of the log is kept; "" = none */
};

const char *follower_state_name(enum follower_state s);

/* The one that the process has for this file, or a new one. ERR_BUSY: it follows another subject.
 */
enum err_code follower_join(struct follower **out, const struct follower_start *how, struct err *e);
void follower_leave(struct follower *f); /* NULL is fine */

void follower_status(struct follower *f, struct follower_status *st);

/* Waits until the file holds what the log has, or another process is seen to apply to it; for one
 * that was a replica before, not longer than it takes to see that nobody is there. At the deadline
 * what is left to be told is no error if the file was a replica before, or is becoming one; else it
 * is one, and says why there is no replica yet. */
enum err_code follower_settle(struct follower *f, int64_t deadline_ns, struct err *e);

#endif
