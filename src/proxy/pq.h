/*
 * libpq, loaded when it is first needed. It and the libraries behind it (Kerberos, LDAP …) take
 * megabytes of a process, and only a node with a PostgreSQL source needs them.
 */
#ifndef HA_PROXY_PQ_H
#define HA_PROXY_PQ_H

#include <libpq-fe.h>

#include "base/err.h"

/* What is used of it, by the names of its interface without "PQ". */
#define PQ_FUNCTIONS(X)                                                                            \
    X(cancel)                                                                                      \
    X(clear)                                                                                       \
    X(cmdStatus)                                                                                   \
    X(cmdTuples)                                                                                   \
    X(conninfoFree)                                                                                \
    X(conninfoParse)                                                                               \
    X(connectPoll)                                                                                 \
    X(connectStartParams)                                                                          \
    X(consumeInput)                                                                                \
    X(errorMessage)                                                                                \
    X(escapeIdentifier)                                                                            \
    X(escapeLiteral)                                                                               \
    X(finish)                                                                                      \
    X(flush)                                                                                       \
    X(fmod)                                                                                        \
    X(fname)                                                                                       \
    X(freeCancel)                                                                                  \
    X(freemem)                                                                                     \
    X(ftype)                                                                                       \
    X(getCancel)                                                                                   \
    X(getCopyData)                                                                                 \
    X(getResult)                                                                                   \
    X(getisnull)                                                                                   \
    X(getlength)                                                                                   \
    X(getvalue)                                                                                    \
    X(isBusy)                                                                                      \
    X(nfields)                                                                                     \
    X(ntuples)                                                                                     \
    X(putCopyData)                                                                                 \
    X(resultErrorField)                                                                            \
    X(resultErrorMessage)                                                                          \
    X(resultStatus)                                                                                \
    X(sendQuery)                                                                                   \
    X(sendQueryParams)                                                                             \
    X(serverVersion)                                                                               \
    X(setNoticeReceiver)                                                                           \
    X(setSingleRowMode)                                                                            \
    X(setnonblocking)                                                                              \
    X(socket)                                                                                      \
    X(status)                                                                                      \
    X(transactionStatus)

struct pq {
#define X(name) __typeof__(PQ##name) *name; /* NOLINT(bugprone-macro-parentheses) */
    PQ_FUNCTIONS(X)
#undef X
};

/* Immutable after pq_load(), which must have succeeded before any of them is called. */
extern struct pq pq;

/* Before the first use; more do no harm. One thread. ERR_CONFIG where the machine does not have it.
 */
enum err_code pq_load(struct err *e);

#endif
