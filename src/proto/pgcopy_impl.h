/* What the two halves of pgcopy share. */
#ifndef HA_PROTO_PGCOPY_IMPL_H
#define HA_PROTO_PGCOPY_IMPL_H

/* Of a binary file, the terminating NUL included. */
#define COPY_SIGNATURE_SIZE 11u
extern const char copy_signature[COPY_SIGNATURE_SIZE];

#endif
