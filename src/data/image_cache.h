/* Decoded images kept in memory, first come, until a budget is spent. Nothing is ever thrown out, so an image
 * once found stays valid as long as the cache. Thread-safe. */
#ifndef ARK_DATA_IMAGE_CACHE_H
#define ARK_DATA_IMAGE_CACHE_H

#include "io/image.h"

#include <stdbool.h>

typedef struct ark__image_cache ark__image_cache;
ark_status ark__image_cache_new(size_t budget_bytes, ark__image_cache **out) ARK_MUST_CHECK;
void ark__image_cache_free(ark__image_cache *c);
/** Image of a sample, still owned by the cache; false when it is not there. */
bool ark__image_cache_get(ark__image_cache *c, uint32_t dataset, uint32_t sample, ark_image *out);
/** Offer an image. true: the cache owns it now. false: no room, or it has one already; still the caller's. */
bool ark__image_cache_put(ark__image_cache *c, uint32_t dataset, uint32_t sample, const ark_image *im);

#endif
