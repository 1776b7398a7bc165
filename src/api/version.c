#include "ark/ark.h"

const char *ark_version(void) {
    return ARK_VERSION;
}
