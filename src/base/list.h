/* Lists as people write them, with commas between. Any thread. */
#ifndef HA_BASE_LIST_H
#define HA_BASE_LIST_H

/* "a, b,,c d" → {"a", "b", "c d", NULL}: without the blanks around each, empty ones left out.
 * Owned, to be freed with list_free(); NULL: out of memory. */
char **list_split(const char *text);
void list_free(char **list); /* NULL is fine */

#endif
