/* The network of Foundation Ark: encoder -> pooling -> projector -> one linear head per dataset. */
#ifndef ARK_NN_ARK_NET_H
#define ARK_NN_ARK_NET_H

#include "base/task.h"
#include "core/plan.h"
#include "nn/arch.h"

typedef enum ark_projector { ARK_PROJECTOR_NONE, ARK_PROJECTOR_LINEAR, ARK_PROJECTOR_MLP } ark_projector;

typedef struct ark_head {
    char *dataset;
    ark_task task;
    int n_classes;
    char **classes; /* in the order of the head's outputs */
} ark_head;

/* What keeps its weights in training. */
typedef enum ark_freeze {
    ARK_FREEZE_NONE,
    ARK_FREEZE_ENCODER,
    ARK_FREEZE_FEATURES, /* encoder and projector: only heads learn */
} ark_freeze;

typedef struct ark_net {
    ark_arch arch;
    float drop_path; /* largest rate, 0.1 */
    ark_projector projector;
    int projector_dim; /* 1376 in Ark */
    ark_freeze freeze;
    int n_heads;
    ark_head *heads;
} ark_net;

/** Width of the features the heads read: projector_dim, or the encoder's channels without a projector. */
int ark_net_features(const ark_net *net);

/** Declare every parameter of the network in the store, in file order: encoder, projector
 * (group 0), heads (group 1 + i). */
ark_status ark_net_declare(const ark_net *net, ark_params *store) ARK_MUST_CHECK;

typedef struct ark_net_tensors {
    ark_tensor *image;     /* input (B,3,S,S) */
    ark_tensor *encoder;   /* (B,C) pooled, output */
    ark_tensor *projected; /* (B,D), output; equals encoder without a projector */
} ark_net_tensors;

/** Record image -> pooled features -> projected features; what net->freeze names gets no gradient. Errors
 * surface in ark_plan_finish. */
ark_net_tensors ark_net_trunk(ark_plan *p, const ark_net *net);
/** Logits (B,K) of head i on features (B,D): omni_heads.i.weight, .bias. */
ark_tensor *ark_net_head(ark_plan *p, const ark_net *net, ark_tensor *features, int i);

/** Deep copy of the head list and its strings; ark_net_free releases it. */
ark_status ark_net_copy(const ark_net *from, ark_net *to) ARK_MUST_CHECK;
void ark_net_free(ark_net *net);
const char *ark_projector_name(ark_projector p); /* "none", "linear", "mlp" */

#endif
