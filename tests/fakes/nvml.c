/* A small libnvidia-ml.so.1 of our own: a pretended H200 or several, so that the unmodified pynvml can be
 * driven without a GPU. Layouts follow the public NVML C ABI.
 *
 *   FAKE_NVML_INIT          error code of nvmlInit (9: driver not loaded)
 *   FAKE_NVML_GPM           present (default) | absent | no_permission | lost | dram_refused | wild
 *                           lost: the fourth snapshot fails, that is the one that ends a first span
 *                           where a sample was taken before it
 *   FAKE_NVML_OLD           1: no energy counter, no throttle counters
 *   FAKE_NVML_LOST_AFTER    the device falls off the bus after so many readings of its memory
 *   FAKE_NVML_LAYOUT        "GPU-0123" (default), or more with the processes on them, MIG devices
 *                           behind their GPU: "GPU-0123:11,12 GPU-4567 MIG-a:13 MIG-b"
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    OK = 0, INVALID = 2, UNSUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6, TOO_SMALL = 7,
    IS_LOST = 15
};
enum { MOST = 16 };

typedef struct { char uuid[80]; unsigned pids[MOST]; int count, parent; } device_t;
typedef struct { uint32_t pid; uint64_t memory; uint32_t gpu_instance, compute_instance; } process_t;

typedef struct { uint64_t total, free, used; } memory_t;
typedef struct { uint32_t gpu, memory; } rates_t;
typedef struct {
    uint32_t field, scope;
    int64_t timestamp, latency;
    int value_type, status;
    union { double d; uint64_t u; } value;
} field_t;
typedef struct { uint64_t serial; } sample_t;
typedef struct { uint32_t id; int status; double value; const char *names[3]; } metric_t;
typedef struct {
    uint32_t version, count;
    sample_t *first, *second;
    metric_t metrics[477];
} metrics_get_t;
typedef struct { uint32_t version, supported; } support_t;

static device_t devices[MOST];
static int device_count, memory_reads, live_samples;
static uint64_t snapshots, energy_mj = 1000000, capped_ns = 5000000000u;

static int is(const char *name, const char *word) {
    const char *value = getenv(name);
    return value && !strcmp(value, word);
}
static int number(const char *name, int otherwise) {
    const char *value = getenv(name);
    return value ? atoi(value) : otherwise;
}
static int gone(void) { return memory_reads > number("FAKE_NVML_LOST_AFTER", 1 << 30); }
#define ALIVE if (gone()) return IS_LOST

int fake_live_samples(void) { return live_samples; }

/* parent: the GPU that a MIG device is a part of; -1 for a GPU. */
static void lay_out(void) {
    const char *given = getenv("FAKE_NVML_LAYOUT");
    char text[1024], *rest, *word;
    int gpu = -1;
    strncpy(text, given ? given : "GPU-0123", sizeof text - 1);
    text[sizeof text - 1] = 0;
    device_count = 0;
    for (word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        device_t *device = &devices[device_count];
        char *pids = strchr(word, ':');
        memset(device, 0, sizeof *device);
        if (pids) *pids++ = 0;
        strncpy(device->uuid, word, sizeof device->uuid - 1);
        while (pids && *pids) {
            device->pids[device->count++] = (unsigned)strtoul(pids, &pids, 10);
            if (*pids == ',') pids++;
        }
        device->parent = strncmp(word, "MIG-", 4) ? -1 : gpu;
        if (device->parent < 0) gpu = device_count;
        device_count++;
    }
}
/* The number `wanted` among those of a parent (GPUs: -1); how many there are where it is -1. */
static int child(int parent, int wanted) {
    int seen = 0;
    for (int n = 0; n < device_count; n++)
        if (devices[n].parent == parent && seen++ == wanted) return n;
    return wanted < 0 ? seen : -1;
}
static int place(const void *device) { return (int)((const device_t *)device - devices); }

int nvmlInitWithFlags(unsigned flags) {
    (void)flags; lay_out(); return number("FAKE_NVML_INIT", OK);
}
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int code) { (void)code; return "an error of the fake"; }
int nvmlSystemGetDriverVersion(char *out, unsigned n) { strncpy(out, "580.0", n); return OK; }
int nvmlDeviceGetCount_v2(unsigned *out) { *out = (unsigned)child(-1, -1); return OK; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **out) {
    int found = child(-1, (int)index);
    *out = &devices[found < 0 ? 0 : found];
    return found < 0 ? INVALID : OK;
}
int nvmlDeviceGetHandleByUUID(const char *uuid, void **out) {
    for (int n = 0; n < device_count; n++)
        if (!strcmp(uuid, devices[n].uuid)) {
            *out = &devices[n];
            return OK;
        }
    return NOT_FOUND;
}
int nvmlDeviceGetMigMode(void *d, unsigned *now, unsigned *pending) {
    ALIVE; *now = *pending = child(place(d), -1) > 0; return OK;
}
int nvmlDeviceGetMaxMigDeviceCount(void *d, unsigned *out) {
    ALIVE; *out = child(place(d), -1) > 0 ? 7 : 0; return OK;
}
int nvmlDeviceGetMigDeviceHandleByIndex(void *d, unsigned index, void **out) {
    ALIVE;
    int found = child(place(d), (int)index);
    *out = &devices[found < 0 ? 0 : found];
    return found < 0 ? NOT_FOUND : OK;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void *d, unsigned *count, process_t *out) {
    ALIVE;
    const device_t *device = d;
    unsigned room = *count;
    *count = (unsigned)device->count;
    if (!device->count) return OK;
    if (!out || room < *count) return TOO_SMALL;
    for (unsigned n = 0; n < *count; n++) {
        memset(&out[n], 0, sizeof out[n]);
        out[n].pid = device->pids[n];
    }
    return OK;
}
int nvmlDeviceGetName(void *d, char *out, unsigned n) {
    (void)d; ALIVE; strncpy(out, "NVIDIA H200", n); return OK;
}
int nvmlDeviceGetUUID(void *d, char *out, unsigned n) {
    ALIVE; strncpy(out, ((device_t *)d)->uuid, n); return OK;
}
int nvmlDeviceGetCudaComputeCapability(void *d, int *major, int *minor) {
    (void)d; ALIVE; *major = 9; *minor = 0; return OK;
}
int nvmlDeviceGetEnforcedPowerLimit(void *d, unsigned *mw) {
    (void)d; ALIVE; *mw = 700000; return OK;
}
int nvmlDeviceGetMemoryInfo(void *d, memory_t *out) {
    (void)d;
    memory_reads++;
    ALIVE;
    out->total = 150754820096u; out->used = 1073741824u; out->free = out->total - out->used;
    return OK;
}
int nvmlDeviceGetUtilizationRates(void *d, rates_t *out) {
    ALIVE;
    if (((device_t *)d)->parent >= 0) return UNSUPPORTED;  /* as on a MIG device */
    out->gpu = 99 - 20 * (unsigned)place(d); out->memory = 40;
    return OK;
}
int nvmlDeviceGetClockInfo(void *d, int type, unsigned *mhz) {
    (void)d; ALIVE; *mhz = type == 2 ? 3201 : 1980; return OK;
}
int nvmlDeviceGetMaxClockInfo(void *d, int type, unsigned *mhz) {
    (void)d; ALIVE; *mhz = type == 2 ? 3201 : 1980; return OK;
}
int nvmlDeviceGetMemoryBusWidth(void *d, unsigned *bits) { (void)d; ALIVE; *bits = 6144; return OK; }
int nvmlDeviceGetCurrentClocksEventReasons(void *d, unsigned long long *mask) {
    (void)d; ALIVE; *mask = 0x4; return OK;
}
/* Each reading finds 350 J more, and 0.5 s more under the power cap. */
int nvmlDeviceGetTotalEnergyConsumption(void *d, unsigned long long *mj) {
    (void)d; ALIVE;
    if (number("FAKE_NVML_OLD", 0)) return UNSUPPORTED;
    *mj = energy_mj += 350000;
    return OK;
}
int nvmlDeviceGetFieldValues(void *d, int count, field_t *fields) {
    (void)d; ALIVE;
    capped_ns += 500000000;
    for (int n = 0; n < count; n++) {
        int capped = fields[n].field == 74, thermal = fields[n].field == 269;
        fields[n].status = (capped || thermal) && !number("FAKE_NVML_OLD", 0) ? OK : UNSUPPORTED;
        fields[n].value_type = 3;
        fields[n].value.u = capped ? capped_ns : 0;
    }
    return OK;
}

int nvmlGpmQueryDeviceSupport(void *d, support_t *support) {
    (void)d; ALIVE;
    if (support->version != 1) return INVALID;
    support->supported = !is("FAKE_NVML_GPM", "absent");
    return OK;
}
int nvmlGpmSampleAlloc(sample_t **out) {
    live_samples++;
    return (*out = calloc(1, sizeof **out)) ? OK : 20;
}
int nvmlGpmSampleFree(sample_t *sample) { live_samples--; free(sample); return OK; }
int nvmlGpmSampleGet(void *d, sample_t *sample) {
    (void)d; ALIVE;
    if (is("FAKE_NVML_GPM", "no_permission")) return NO_PERMISSION;
    sample->serial = ++snapshots;
    return is("FAKE_NVML_GPM", "lost") && snapshots > 3 ? IS_LOST : OK;
}
int nvmlGpmMetricsGet(metrics_get_t *get) {
    if (get->version != 1 || !get->first || !get->second) return INVALID;
    if (!get->first->serial || get->first->serial >= get->second->serial) return INVALID;
    for (uint32_t n = 0; n < get->count; n++) {
        metric_t *metric = &get->metrics[n];
        int dram = metric->id == 10;
        metric->status = dram && is("FAKE_NVML_GPM", "dram_refused") ? UNSUPPORTED : OK;
        metric->value = dram ? 62.5 : metric->id == 2 ? 87.5 : metric->id == 5 ? 12.5 : -1;
        if (dram && is("FAKE_NVML_GPM", "wild")) metric->value = 250;
    }
    return OK;
}
