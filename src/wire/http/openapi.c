/* The description of the interface, as a file in the source tree, as bytes in the program. */
#include "wire/http/exchange.h"

extern const char http_openapi_end[];

/* The assembler finds the file from the root of the tree, where make runs. */
__asm__(".section .rodata, \"a\", @progbits\n"
        ".global http_openapi_text\n"
        ".hidden http_openapi_text\n"
        "http_openapi_text:\n"
        ".incbin \"src/wire/http/openapi.yaml\"\n"
        ".global http_openapi_end\n"
        ".hidden http_openapi_end\n"
        "http_openapi_end:\n"
        ".byte 0\n"
        ".previous\n");

size_t http_openapi_len(void)
{
    return (size_t)(http_openapi_end - http_openapi_text);
}
