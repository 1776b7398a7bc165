// The codecs of GDCM behind a C function: JPEG-LS and JPEG 2000. No exception leaves this file, and messages
// that can be turned off are. GDCM's JPEG is left alone: it asserts what a damaged stream does not keep.
#include "io/dicom_priv.h"

#include <gdcmFragment.h>
#include <gdcmJPEG2000Codec.h>
#include <gdcmJPEGLSCodec.h>
#include <gdcmSequenceOfFragments.h>
#include <gdcmTrace.h>

#include <cstring>
#include <new>
#include <sstream>
#include <string>

namespace {

void silence() {
    static const bool once = [] {
        gdcm::Trace::DebugOff();
        gdcm::Trace::WarningOff();
        gdcm::Trace::ErrorOff();
        return true;
    }();
    (void)once;
}

void set_up(const ark__frame *f, gdcm::ImageCodec &codec) {
    const unsigned size[] = {static_cast<unsigned>(f->width), static_cast<unsigned>(f->height), 1};
    const auto bits = static_cast<unsigned short>(f->precision);
    const auto allocated = static_cast<unsigned short>(bits > 8 ? 16 : 8);
    const auto samples = static_cast<unsigned short>(f->samples);
    codec.SetNumberOfDimensions(2);
    codec.SetDimensions(size);
    codec.SetPlanarConfiguration(0);
    codec.SetPhotometricInterpretation(
        samples == 3 ? gdcm::PhotometricInterpretation::RGB : gdcm::PhotometricInterpretation::MONOCHROME2);
    codec.SetPixelFormat(gdcm::PixelFormat(samples, allocated, bits, static_cast<unsigned short>(bits - 1),
        static_cast<unsigned short>(f->is_signed)));
}

// By way of an extent, which is all of the frame, from a stream of items as DICOM wraps it: JPEG-LS by the
// plain Decode leaks its copy of a damaged stream.
template <class Codec> class Whole : public Codec {
  public:
    bool decode(const ark__frame *f, uint8_t *out) {
        const auto n = static_cast<uint32_t>(f->n);
        std::string items("\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0", 12); // no offsets, then the frame
        for (unsigned byte = 0; byte < 4; byte++) {
            items += static_cast<char>(n >> 8 * byte & 255);
        }
        items.append(reinterpret_cast<const char *>(f->bytes), f->n);
        items.append("\xfe\xff\xdd\xe0\0\0\0\0", 8);
        std::istringstream is(items);
        set_up(f, *this);
        return this->DecodeExtent(reinterpret_cast<char *>(out), 0, static_cast<unsigned>(f->width - 1), 0,
            static_cast<unsigned>(f->height - 1), 0, 0, is);
    }
};

bool decode(const ark__frame *f, uint8_t *out) {
    if (f->encoding == ARK__JPEG_LS) {
        Whole<gdcm::JPEGLSCodec> codec;
        return codec.decode(f, out);
    }
    Whole<gdcm::JPEG2000Codec> codec;
    codec.SetNumberOfThreadsForDecompression(1); // images are read side by side, not their parts
    return codec.decode(f, out);
}

} // namespace

extern "C" ark__codec_result ark__gdcm_decode(const ark__frame *f, uint8_t *out, size_t) {
    try {
        silence();
        return decode(f, out) ? ARK__DECODED : ARK__DAMAGED;
    } catch (const std::bad_alloc &) {
        return ARK__NO_MEMORY;
    } catch (...) { // the stream's fault, whatever it was inside
        return ARK__DAMAGED;
    }
}
