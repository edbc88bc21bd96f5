/* A small libnvidia-ml.so.1 of our own: one pretended H200, so that the unmodified pynvml can be
 * driven without a GPU. Layouts follow the public NVML C ABI.
 *
 *   FAKE_NVML_INIT          error code of nvmlInit (9: driver not loaded)
 *   FAKE_NVML_GPM           present (default) | absent | no_permission | lost | dram_refused | wild
 *                           lost: the fourth snapshot fails, that is the one that ends a first span
 *                           where a sample was taken before it
 *   FAKE_NVML_OLD           1: no energy counter, no throttle counters
 *   FAKE_NVML_LOST_AFTER    the device falls off the bus after so many readings of its memory
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, INVALID = 2, UNSUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6, IS_LOST = 15 };

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

static int the_device, memory_reads, live_samples;
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

int nvmlInitWithFlags(unsigned flags) { (void)flags; return number("FAKE_NVML_INIT", OK); }
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int code) { (void)code; return "an error of the fake"; }
int nvmlSystemGetDriverVersion(char *out, unsigned n) { strncpy(out, "580.0", n); return OK; }
int nvmlDeviceGetCount_v2(unsigned *out) { *out = 1; return OK; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **out) {
    *out = &the_device;
    return index ? INVALID : OK;
}
int nvmlDeviceGetHandleByUUID(const char *uuid, void **out) {
    *out = &the_device;
    return strcmp(uuid, "GPU-0123") ? NOT_FOUND : OK;
}
int nvmlDeviceGetName(void *d, char *out, unsigned n) {
    (void)d; ALIVE; strncpy(out, "NVIDIA H200", n); return OK;
}
int nvmlDeviceGetUUID(void *d, char *out, unsigned n) {
    (void)d; ALIVE; strncpy(out, "GPU-0123", n); return OK;
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
    (void)d; ALIVE; out->gpu = 99; out->memory = 40; return OK;
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
