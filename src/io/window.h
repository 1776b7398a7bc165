/* From grey levels of any range to 8 bits: shared by 16-bit images and DICOM. */
#ifndef ARK_IO_WINDOW_H
#define ARK_IO_WINDOW_H

#include <stdint.h>

/* y in [0,1] to 0..255, rounded to the nearest, clipped; NaN is 0. */
static inline uint8_t ark_level8(double y) {
    return y > 0 ? y < 1 ? (uint8_t)(255 * y + 0.5) : 255 : 0;
}

/* [low,high] to [0,1]; an empty range is a step behind low. */
static inline double ark_ramp(double v, double low, double high) {
    return high > low ? (v - low) / (high - low) : v > low ? 1 : 0;
}

/* The ramp of DICOM's function LINEAR (PS3.3 C.11.2.1.2.1). */
static inline double ark_window_linear(double v, double centre, double width) {
    return ark_ramp(v, centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2);
}

#endif
