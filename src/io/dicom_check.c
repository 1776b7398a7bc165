/* What a DICOM file must be to be read: a single radiograph of samples that are understood. Anything else is
 * refused, with its reason. */
#include "base/err.h"
#include "io/dicom_priv.h"
#include "io/image_codec.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool among(const char *s, const char *const *words, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(s, words[i])) {
            return true;
        }
    }
    return false;
}

static bool begins(const char *s, const char *with) {
    return !strncmp(s, with, strlen(with));
}

static void name_view(ark_dicom_meta *m) {
    static const char *const sides[] = {"LL", "RL", "L", "R", "LATERAL", "LAT"};
    const char *v = m->view_position;
    if (!v[0]) {
        if (m->view) {
            snprintf(m->view_position, sizeof m->view_position, "lateral");
        }
    } else if (among(v, sides, sizeof sides / sizeof *sides) || strstr(v, "LATERAL")) {
        m->view = 'L';
    } else {
        m->view = begins(v, "PA") ? 'P' : begins(v, "AP") ? 'A' : 'O';
    }
}

static ark_status check_kind(const ark_dicom *d) {
    static const char *const radiographs[] = {"", "CR", "DX", "DR", "RG"};
    static const char *const colours[] = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"};
    const ark_dicom_meta *m = &d->meta;
    if (!among(m->modality, radiographs, sizeof radiographs / sizeof *radiographs)) {
        return ARK_ERR(ARK_EFORMAT, "%s: DICOM: modality %s, expected a radiograph (CR, DX, DR, RG)", d->name,
            m->modality);
    }
    if (!strcmp(m->photometric, "PALETTE COLOR")) {
        return ARK_ERR(ARK_EFORMAT, "%s: DICOM: palette colours are not read", d->name);
    }
    bool grey = begins(m->photometric, "MONOCHROME") && strlen(m->photometric) == 11 &&
                (m->photometric[10] == '1' || m->photometric[10] == '2');
    bool colour = among(m->photometric, colours, sizeof colours / sizeof *colours);
    if (!(grey && m->samples == 1) && !(colour && m->samples == 3)) {
        return ARK_ERR(ARK_EFORMAT, "%s: DICOM: photometric interpretation '%s' with %d samples a pixel",
            d->name, m->photometric, m->samples);
    }
    return ARK_OK;
}

static ark_status check_samples(ark_dicom *d) {
    ark_dicom_meta *m = &d->meta;
    m->bits_stored = m->bits_stored < 0 ? m->bits_allocated : m->bits_stored;
    m->high_bit = m->high_bit < 0 ? m->bits_stored - 1 : m->high_bit;
    if ((m->bits_allocated != 8 && m->bits_allocated != 16) || m->bits_stored < 1 ||
        m->bits_stored > m->high_bit + 1 || m->high_bit >= m->bits_allocated) {
        return ARK_ERR(ARK_EFORMAT,
            "%s: DICOM: %d bits allocated, %d stored, high bit %d, expected 8 or 16 allocated and the rest "
            "within",
            d->name, m->bits_allocated, m->bits_stored, m->high_bit);
    }
    if (m->samples == 3 && (m->is_signed || m->bits_stored != m->bits_allocated)) {
        return ARK_ERR(ARK_EFORMAT, "%s: DICOM: colour of %d%s bits in %d", d->name, m->bits_stored,
            m->is_signed ? " signed" : "", m->bits_allocated);
    }
    return ark_image_check_size(d->name, (size_t)m->width, (size_t)m->height, &d->limits);
}

static ark_status check_lut(const ark_dicom *d, ark__dicom_lut *lut, const char *which) {
    if (!lut->data && !lut->described) {
        return ARK_OK;
    }
    size_t entries = (size_t)lut->entries;
    bool wide = lut->bytes == 2 * entries, narrow = lut->bytes == entries || lut->bytes == entries + 1;
    if (!lut->data || !lut->described || lut->bits < 1 || lut->bits > 16 || (!wide && !narrow)) {
        return ARK_ERR(ARK_EFORMAT, "%s: DICOM: the %s LUT declares %d entries of %d bits and has %zu bytes",
            d->name, which, lut->entries, lut->bits, lut->bytes);
    }
    return ARK_OK;
}

static ark_status check_levels(ark_dicom *d) {
    ark_dicom_meta *m = &d->meta;
    ARK_TRY(check_lut(d, &d->modality_lut, "modality"));
    ARK_TRY(check_lut(d, &d->voi_lut, "VOI"));
    m->modality_lut = d->modality_lut.data != NULL;
    if (m->slope == 0) {
        return ARK_ERR(ARK_EFORMAT, "%s: DICOM: rescale slope 0", d->name);
    }
    if (d->voi_lut.data) {
        m->voi = ARK_VOI_LUT;
    } else if (isnan(m->centre) || isnan(m->window)) {
        m->voi = ARK_VOI_NONE;
    } else if (m->voi == ARK_VOI_NONE) {
        m->voi = ARK_VOI_LINEAR;
    }
    bool windowed = m->voi == ARK_VOI_LINEAR || m->voi == ARK_VOI_LINEAR_EXACT || m->voi == ARK_VOI_SIGMOID;
    if (windowed && (m->voi == ARK_VOI_LINEAR ? m->window < 1 : m->window <= 0)) {
        return ARK_ERR(ARK_EFORMAT, "%s: DICOM: a window of width %g", d->name, m->window);
    }
    return ARK_OK;
}

ark_status ark__dicom_check(ark_dicom *d) {
    name_view(&d->meta);
    ARK_TRY(check_kind(d));
    ARK_TRY(check_samples(d));
    return check_levels(d);
}
