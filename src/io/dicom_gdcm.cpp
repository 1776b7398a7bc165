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

gdcm::DataElement wrapped(const ark__frame *f) {
    gdcm::Fragment fragment;
    fragment.SetByteValue(reinterpret_cast<const char *>(f->bytes), gdcm::VL(static_cast<uint32_t>(f->n)));
    gdcm::SmartPointer<gdcm::SequenceOfFragments> fragments = new gdcm::SequenceOfFragments;
    fragments->AddFragment(fragment);
    gdcm::DataElement pixels(gdcm::Tag(0x7fe0, 0x0010));
    pixels.SetVR(gdcm::VR::OB);
    pixels.SetValue(*fragments);
    return pixels;
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

// By way of an extent, which is all of the frame: the plain Decode leaks its copy of a damaged stream.
class JpegLs : public gdcm::JPEGLSCodec {
  public:
    bool decode(const ark__frame *f, uint8_t *out) {
        const auto n = static_cast<uint32_t>(f->n);
        std::string items("\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0", 12); // no offsets, then the frame
        for (int byte = 0; byte < 4; byte++) {
            items += static_cast<char>(n >> 8 * byte & 255);
        }
        items.append(reinterpret_cast<const char *>(f->bytes), f->n);
        items.append("\xfe\xff\xdd\xe0\0\0\0\0", 8);
        std::istringstream is(items);
        return DecodeExtent(reinterpret_cast<char *>(out), 0, static_cast<unsigned>(f->width - 1), 0,
            static_cast<unsigned>(f->height - 1), 0, 0, is);
    }
};

bool decode_jpeg_ls(const ark__frame *f, uint8_t *out) {
    JpegLs codec;
    set_up(f, codec);
    return codec.decode(f, out);
}

bool decode_jpeg_2000(const ark__frame *f, uint8_t *out, size_t out_bytes) {
    gdcm::JPEG2000Codec codec;
    gdcm::DataElement decoded;
    set_up(f, codec);
    codec.SetNumberOfThreadsForDecompression(1); // images are read side by side, not their parts
    if (!codec.Decode(wrapped(f), decoded) || !decoded.GetByteValue() ||
        decoded.GetByteValue()->GetLength() < out_bytes) {
        return false;
    }
    std::memcpy(out, decoded.GetByteValue()->GetPointer(), out_bytes);
    return true;
}

bool decode(const ark__frame *f, uint8_t *out, size_t out_bytes) {
    return f->encoding == ARK__JPEG_LS     ? decode_jpeg_ls(f, out)
           : f->encoding == ARK__JPEG_2000 ? decode_jpeg_2000(f, out, out_bytes)
                                           : false;
}

} // namespace

extern "C" ark__codec_result ark__gdcm_decode(const ark__frame *f, uint8_t *out, size_t out_bytes) {
    try {
        silence();
        return decode(f, out, out_bytes) ? ARK__DECODED : ARK__DAMAGED;
    } catch (const std::bad_alloc &) {
        return ARK__NO_MEMORY;
    } catch (...) { // the stream's fault, whatever it was inside
        return ARK__DAMAGED;
    }
}
