/* How the rows of a batch are cut into pieces, for products that are prepared per number of rows.
 *
 * A run may have fewer samples than planned, yet no product may be prepared during a step.
 * So a sample with many rows is cut into parts of at most two sizes, and samples with few
 * rows are gathered by powers of two: a batch is then a number of full gatherings and one
 * each of some smaller powers. Every size that can occur is known beforehand. */
#ifndef ARK_BACKEND_CPU_ROWS_H
#define ARK_BACKEND_CPU_ROWS_H

#include <stdint.h>

enum { ARK_ROW_SIZES = 10, ARK_ROW_TARGET = 320 };

typedef struct ark_row_cut {
    int64_t per_sample; /* rows of one sample */
    int64_t parts;      /* pieces of one sample, or 0 when samples are gathered */
    int64_t gather;     /* samples of a full piece, a power of two */
    int sizes;
    int64_t rows[ARK_ROW_SIZES]; /* the sizes, largest first */
} ark_row_cut;

typedef struct ark_row_piece {
    int64_t first; /* row */
    int64_t rows;
    int size; /* index in cut.rows */
} ark_row_piece;

/** Cut for samples of `per_sample` rows and at most `batch` samples: pieces of up to ARK_ROW_TARGET rows. */
ark_row_cut ark_row_cut_new(int64_t per_sample, int64_t batch);
/** Number of pieces of a batch. */
int64_t ark_row_pieces(const ark_row_cut *cut, int64_t batch);
/** Piece i of a batch; the pieces follow each other without gaps. */
ark_row_piece ark_row_piece_at(const ark_row_cut *cut, int64_t batch, int64_t i);

#endif
