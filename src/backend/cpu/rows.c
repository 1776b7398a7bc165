#include "backend/cpu/rows.h"

/* Parts of one sample: equal ones where that leaves between half and all of the target,
 * else two sizes one row apart. */
static int64_t parts_of(int64_t rows) {
    int64_t fewest = (rows + ARK_ROW_TARGET - 1) / ARK_ROW_TARGET;
    for (int64_t n = fewest; n <= 2 * fewest; n++) {
        if (rows % n == 0) {
            return n;
        }
    }
    return fewest;
}

ark_row_cut ark_row_cut_new(int64_t per_sample, int64_t batch) {
    ark_row_cut cut = {.per_sample = per_sample};
    if (per_sample > ARK_ROW_TARGET) {
        cut.parts = parts_of(per_sample);
        int64_t small = per_sample / cut.parts;
        if (per_sample % cut.parts) {
            cut.rows[cut.sizes++] = small + 1;
        }
        cut.rows[cut.sizes++] = small;
        return cut;
    }
    cut.gather = 1;
    while (cut.gather * 2 <= batch && cut.gather * 2 * per_sample <= ARK_ROW_TARGET) {
        cut.gather *= 2;
    }
    for (int64_t g = cut.gather; g > 0; g /= 2) {
        cut.rows[cut.sizes++] = g * per_sample;
    }
    return cut;
}

int64_t ark_row_pieces(const ark_row_cut *cut, int64_t batch) {
    if (cut->parts) {
        return batch * cut->parts;
    }
    int64_t pieces = batch / cut->gather;
    for (int64_t rest = batch % cut->gather; rest; rest &= rest - 1) {
        pieces++;
    }
    return pieces;
}

ark_row_piece ark_row_piece_at(const ark_row_cut *cut, int64_t batch, int64_t i) {
    if (cut->parts) {
        int64_t part = i % cut->parts, small = cut->per_sample / cut->parts,
                larger = cut->per_sample % cut->parts;
        int size = part < larger ? 0 : cut->sizes - 1;
        int64_t before = part * small + (part < larger ? part : larger);
        return (ark_row_piece){
            .first = i / cut->parts * cut->per_sample + before, .rows = cut->rows[size], .size = size};
    }
    int64_t full = batch / cut->gather;
    if (i < full) {
        return (ark_row_piece){.first = i * cut->rows[0], .rows = cut->rows[0]};
    }
    /* The remaining samples, one piece per binary digit from the highest down. */
    int64_t first = full * cut->gather, rest = batch % cut->gather;
    int size = 1;
    for (int64_t g = cut->gather / 2; g > 0; g /= 2, size++) {
        if ((rest & g) == 0) {
            continue;
        }
        if (i-- == full) {
            return (ark_row_piece){.first = first * cut->per_sample, .rows = cut->rows[size], .size = size};
        }
        first += g;
    }
    return (ark_row_piece){0};
}
