/* An NVTX tool of our own: writes every event of every domain as one line to the file named by
 * NVTX_TEST_LOG. The few types are declared here after the public NVTX v3 ABI.
 * Build with -DSILENT for a tool that listens and does nothing, to time the ranges themselves.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    uint16_t version, size;
    uint32_t category;
    int32_t color_type;
    uint32_t color;
    int32_t payload_type, reserved;
    union { uint64_t u64; int64_t i64; double f64; } payload;
    int32_t message_type;
    union { const char *ascii; const char *registered; } message;
} attributes_t;

typedef void (*function_t)(void);
typedef function_t **table_t; /* places of the function pointers to fill in */
typedef struct {
    size_t size;
    int (*module_functions)(int module, table_t *table, unsigned *count);
} callbacks_t;

enum { CALLBACKS = 1, CORE2 = 5 };
enum { PUSH = 4, POP = 5, NAME_CATEGORY = 8, REGISTER_STRING = 10, CREATE = 12 };

static FILE *out;
static _Thread_local int depth;

#ifdef SILENT
#define LOG(...) ((void)0)
#else
#define LOG(...) do { if (out) { fprintf(out, __VA_ARGS__); fflush(out); } } while (0)
#endif

/* A domain's or a string's handle is its own text. */
static const char *create(const char *name) {
    LOG("domain %s\n", name);
    return strdup(name);
}
static const char *register_string(const char *domain, const char *text) {
    LOG("string %s %s\n", domain, text);
    return strdup(text);
}
static void name_category(const char *domain, uint32_t category, const char *name) {
    LOG("category %s %u %s\n", domain, category, name);
}
static int push(const char *domain, const attributes_t *a) {
    LOG("push %s %u %s %d %lld\n", domain, a->category,
        a->message_type == 3 ? a->message.registered : "?", a->payload_type,
        (long long)a->payload.i64);
    return depth++;
}
static int pop(const char *domain) {
    LOG("pop %s\n", domain);
    return --depth;
}

int InitializeInjectionNvtx2(const void *(*get_table)(uint32_t)) {
    const callbacks_t *callbacks = get_table(CALLBACKS);
    const char *path = getenv("NVTX_TEST_LOG");
    table_t table;
    unsigned count;
    if (!callbacks || !callbacks->module_functions(CORE2, &table, &count) || count <= CREATE)
        return 0;
    /* each part of the nvtx package is initialised on its own: append */
    if (path && !out) out = fopen(path, "a");
    *table[PUSH] = (function_t)push;
    *table[POP] = (function_t)pop;
    *table[NAME_CATEGORY] = (function_t)name_category;
    *table[REGISTER_STRING] = (function_t)register_string;
    *table[CREATE] = (function_t)create;
    return 1;
}
