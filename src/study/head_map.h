/* Which head classes stand for the classes of a dataset. */
#ifndef ARK_STUDY_HEAD_MAP_H
#define ARK_STUDY_HEAD_MAP_H

#include "data/dataset.h"
#include "nn/ark_net.h"

typedef struct ark_head_class {
    int head, class;
} ark_head_class;

typedef struct ark_head_map {
    size_t K;
    struct ark_head_target {
        ark_head_class *from; /* [n] */
        size_t n;             /* 0 = nothing stands for it */
        bool given;           /* by the map, not by name */
        char nearest[200];    /* of an unmatched one: "HEAD/CLASS", or "" */
    } * target;               /* [K] in the dataset's order */
} ark_head_map;

/** From the section `map` of a run file (NULL: none), then by name and synonym. @return ARK_EINVAL naming
 *  file, line, and the nearest head, class or target for names that are not there */
ark_status ark_head_map_read(
    const char *run_file, const ark_net *net, const ark_dataset *data, ark_head_map *out) ARK_MUST_CHECK;
void ark_head_map_free(ark_head_map *m);

#endif
