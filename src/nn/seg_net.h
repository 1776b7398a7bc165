/* A segmentation network: any encoder and UperNet. */
#ifndef ARK_NN_SEG_NET_H
#define ARK_NN_SEG_NET_H

#include "nn/arch.h"
#include "nn/upernet.h"

typedef struct ark_seg_net {
    ark_arch arch;
    float drop_path; /* largest stochastic-depth rate in training */
    int channels;    /* of the decoder */
    int classes;     /* K */
    bool freeze;     /* the encoder learns nothing */
} ark_seg_net;

typedef struct ark_seg_tensors {
    ark_tensor *image;  /* (B,3,S,S) */
    ark_tensor *logits; /* (B,S,S,K), an output */
} ark_seg_tensors;

/** Record the network. Parameters of the encoder are declared in group 0, those of the decoder in group 1. */
ark_seg_tensors ark_seg_net_record(ark_plan *p, ark_params *store, const ark_seg_net *net);
/** Declare its parameters. */
ark_status ark_seg_net_declare(const ark_seg_net *net, ark_params *store) ARK_MUST_CHECK;

#endif
