/*
 * What a user writes: the arguments of CREATE VIRTUAL TABLE temp.ha USING ha(…) and the subject of
 * the row that is inserted into it. Names and meanings are those of the extension that ha-sync's
 * users know; ours are added behind. Pure but for the environment, which values may name; any
 * thread.
 *
 * An argument is `key=value`; the value may stand in single or double quotes, and $NAME or ${NAME}
 * in it is the environment variable, or nothing.
 */
#ifndef HA_EXT_PARAMS_H
#define HA_EXT_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/name.h"
#include "sql/apply.h"

/* Owned texts; "" where nothing was said, but for the defaults. */
struct ext_params {
    char *servers; /* comma-separated NATS URLs */
    char *client_name, *username, *password, *token;
    char *cert_file, *cert_key_file, *ca_file;
    char *extensions;   /* with commas between; those that the tables of the log need */
    char *logger;       /* stdout, stderr, file:PATH */
    int64_t timeout_ms; /* that INSERT waits for the log; 0 = it does not wait */
    bool insecure;
    enum row_identify row_identify;
    bool serializable; /* consistency: the log is a serializable one, and taken at its word */
    bool snapshot;     /* an empty file begins with the newest snapshot */
    bool allow_writes; /* of this connection's users, in the replica's file */
};

/* The defaults; false: out of memory. */
bool ext_params_init(struct ext_params *p);
/* One argument. ERR_CONFIG names it, and shows no secret. */
enum err_code ext_params_take(struct ext_params *p, const char *argument, struct err *e);
/* All have been taken: do they make sense together? */
enum err_code ext_params_check(const struct ext_params *p, struct err *e);
/* *to is overwritten; false: out of memory, and it is to be freed nevertheless. */
bool ext_params_copy(struct ext_params *to, const struct ext_params *from);
void ext_params_free(struct ext_params *p);

#define EXT_STREAM_MAX 64 /* bytes of a stream's name, as of --replication-stream */
#define EXT_IDS_MAX    4

/* "ha_replication.ha.db": the stream and the database's id. */
struct ext_subject {
    char stream[EXT_STREAM_MAX + 1];
    /* The databases that may be meant, the most likely one first: the id as it stands there; the
     * one behind the NATS token that stands there ("ha=2Edb"); and where there are underscores,
     * with dots in their place, since other servers of ha name ha.db's subject ha_db. */
    char ids[EXT_IDS_MAX][NAME_TOKEN_SIZE];
    unsigned n;
};

enum err_code ext_subject_parse(const char *text, struct ext_subject *out, struct err *e);

#endif
