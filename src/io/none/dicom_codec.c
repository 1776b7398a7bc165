/* In place of dicom_gdcm.cpp where ARK_DICOM is off. */
#include "io/dicom_priv.h"

ark__codec_result ark__gdcm_decode(const ark__frame *f, uint8_t *out, size_t out_bytes) {
    (void)f;
    (void)out;
    (void)out_bytes;
    return ARK__NOT_BUILT;
}
