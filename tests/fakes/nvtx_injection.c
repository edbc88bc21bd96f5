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

typedef struct { size_t id, count; intptr_t *functions; } segment_t;
typedef struct {
    uint16_t version, size, module, compatible;
    size_t count;
    segment_t *segments;
} extension_t;
typedef struct {
    uint32_t size;
    uint16_t kind, version;
    const void *next;
    uint64_t flags;
    const char *unit;
} semantics_t;
typedef struct {
    size_t size;
    uint64_t schema;
    const char *name, *description;
    uint64_t scope;
    const semantics_t *semantics;
    uint64_t id;
} counter_t;

enum { CALLBACKS = 1, CORE2 = 5, COUNTERS = 4 };
enum { REGISTER_COUNTER = 0, SAMPLE_FLOAT64 = 2 };
enum { MARK = 1, PUSH = 4, POP = 5, NAME_CATEGORY = 8, REGISTER_STRING = 10, CREATE = 12 };

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

static void mark(const char *domain, const attributes_t *a) {
    LOG("mark %s %s %d %g\n", domain, a->message_type == 3 ? a->message.registered : "?",
        a->payload_type, a->payload.f64);
}
static uint64_t register_counter(const char *domain, const counter_t *c) {
    static uint64_t counters;
    const semantics_t *last = c->semantics; /* that of time stands before that of the value */
    while (last && last->next) last = last->next;
    LOG("counter %s %llu %s in %s\n", domain, (unsigned long long)++counters, c->name,
        last && last->unit ? last->unit : "nothing");
    return counters;
}
static void sample_float64(const char *domain, uint64_t id, double value) {
    LOG("sample %s %llu %g\n", domain, (unsigned long long)id, value);
}

/* Other extensions are met with silence; refusing one makes nvtx take the tool for none. */
int InitializeInjectionNvtxExtension(extension_t *extension) {
    if (extension->module == COUNTERS && extension->count
        && extension->segments[0].count > SAMPLE_FLOAT64) {
        extension->segments[0].functions[REGISTER_COUNTER] = (intptr_t)register_counter;
        extension->segments[0].functions[SAMPLE_FLOAT64] = (intptr_t)sample_float64;
    }
    return 1;
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
    *table[MARK] = (function_t)mark;
    *table[PUSH] = (function_t)push;
    *table[POP] = (function_t)pop;
    *table[NAME_CATEGORY] = (function_t)name_category;
    *table[REGISTER_STRING] = (function_t)register_string;
    *table[CREATE] = (function_t)create;
    return 1;
}
