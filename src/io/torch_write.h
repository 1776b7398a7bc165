/* Writing of .pth files that torch.load(weights_only=True) reads: zip container, pickle protocol 2. */
#ifndef ARK_IO_TORCH_WRITE_H
#define ARK_IO_TORCH_WRITE_H

#include "io/safetensors.h"

/** Write what w declares, tensors in the order of declaration: {"state_dict": OrderedDict of tensors,
 * "arkfm": dict of the metadata}. Each tensor has its storage, stored at a multiple of 64 bytes with its
 * CRC. Equal content gives equal bytes. Atomic.
 *  @return ARK_OK, ARK_EINVAL (U16, U32, U64: torch has no storage class for them), ARK_EIO, ARK_ENOMEM. */
ark_status ark_pth_write(const ark_st_writer *w, const char *path) ARK_MUST_CHECK;

#endif
