/*
 * JSON read into a tree (yajl's), for answers and lines that are small and seldom: what is asked of
 * one is its members by name. Big or frequent JSON is read as it comes, by the codecs of proto.
 *
 * Any thread; a tree is used by one at a time. Texts are borrowed from the tree, which
 * yajl_tree_free() ends.
 */
#ifndef HA_BASE_JSON_TREE_H
#define HA_BASE_JSON_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <yajl/yajl_tree.h>

/* Of `len` bytes that are not terminated (yajl_tree_parse() reads those that are); NULL may stand
 * for none. NULL where that is not JSON, and where there is no memory. Owned by the caller. */
yajl_val json_tree_parse(const char *text, size_t len);

/* The member of an object that has that name and type, else NULL. `v` may be NULL, or no object. */
yajl_val json_tree_member(yajl_val v, const char *name, yajl_type type);

/* The same for the types that are asked for most. */
const char *json_tree_text(yajl_val v, const char *name); /* "" where there is none */
int64_t json_tree_integer(yajl_val v, const char *name, int64_t where_none);
bool json_tree_is_true(yajl_val v, const char *name);

/* Of an array; 0 for NULL. */
size_t json_tree_length(yajl_val array);

#endif
