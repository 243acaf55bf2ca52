#include "base/json_tree.h"

#include <stdlib.h>
#include <string.h>

yajl_val json_tree_parse(const char *text, size_t len)
{
    char *copy = text ? strndup(text, len) : NULL;
    yajl_val tree = copy ? yajl_tree_parse(copy, NULL, 0) : NULL;

    free(copy);
    return tree;
}

yajl_val json_tree_member(yajl_val v, const char *name, yajl_type type)
{
    const char *path[] = {name, NULL};

    return v ? yajl_tree_get(v, path, type) : NULL;
}

const char *json_tree_text(yajl_val v, const char *name)
{
    yajl_val text = json_tree_member(v, name, yajl_t_string);

    return text ? YAJL_GET_STRING(text) : "";
}

int64_t json_tree_integer(yajl_val v, const char *name, int64_t where_none)
{
    yajl_val number = json_tree_member(v, name, yajl_t_number);

    return number && YAJL_IS_INTEGER(number) ? (int64_t)YAJL_GET_INTEGER(number) : where_none;
}

bool json_tree_is_true(yajl_val v, const char *name)
{
    return json_tree_member(v, name, yajl_t_true) != NULL;
}

size_t json_tree_length(yajl_val array)
{
    return array ? array->u.array.len : 0;
}
