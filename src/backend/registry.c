/* The list of backends: the only place that knows which were built. */
#include "backend/backend.h"
#include "base/err.h"
#include "base/par.h"
#include "base/str.h"

#include <string.h>

static const ark_backend *const backends[] = {&ark_backend_ref, &ark_backend_cpu, &ark_backend_cuda};
enum { COUNT = sizeof backends / sizeof backends[0] };

ark_status ark_dev_open(const char *name, int threads, ark_dev **out) {
    const char *names[COUNT];
    for (int i = 0; i < COUNT; i++) {
        names[i] = backends[i]->name;
        if (!strcmp(backends[i]->name, name)) {
            return backends[i]->open(threads > 0 ? threads : ark_cpu_count(), out);
        }
    }
    const char *near = ark_nearest(name, names, COUNT);
    return ARK_ERR(ARK_EINVAL, "unknown backend '%s'%s%s (known: ref, cpu, cuda)", name,
        near ? ", did you mean " : "", near ? near : "");
}

void ark_dev_close(ark_dev *dev) {
    if (dev) {
        dev->backend->close(dev);
    }
}
