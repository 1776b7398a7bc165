/* NumPy .npz archives: a zip file of .npy members, stored or deflated, zip64 included. */
#ifndef ARK_IO_NPZ_H
#define ARK_IO_NPZ_H

#include "io/npy.h"

typedef struct ark_npz ark_npz;

/** Map a file and read its central directory. Not a zip file, a directory that does not fit the file, two
 *  members of one name, encrypted members: ARK_EFORMAT naming file and reason. Limits: 4096 members, names of
 *  255 bytes. Other files than .npy in the archive are left alone. */
ark_status ark_npz_open(const char *path, ark_npz **out) ARK_MUST_CHECK;
/** The same over n bytes of memory, which must outlive the result; name appears in messages. */
ark_status ark_npz_open_memory(const void *bytes, size_t n, const char *name, ark_npz **out) ARK_MUST_CHECK;
void ark_npz_close(ark_npz *z);
/** Arrays in the archive and their names, without ".npy". */
size_t ark_npz_count(const ark_npz *z);
const char *ark_npz_name(const ark_npz *z, size_t i);
/** Read one array as float32, its checksum verified. No such name: ARK_EINVAL with the names there are.
 *  ARK_EFORMAT: a bad member, more than 16 GiB, or more data than its compressed bytes can hold. */
ark_status ark_npz_read(const ark_npz *z, const char *name, ark_npy *out) ARK_MUST_CHECK;

#endif
