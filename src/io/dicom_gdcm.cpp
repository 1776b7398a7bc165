// The codecs of GDCM behind a C function: JPEG-LS and JPEG 2000. No exception leaves this file, and messages
// that can be turned off are. GDCM's JPEG is left alone: it asserts what a damaged stream does not keep.
#include "io/dicom_priv.h"

#include <gdcmFragment.h>
#include <gdcmJPEG2000Codec.h>
#include <gdcmJPEGLSCodec.h>
#include <gdcmSequenceOfFragments.h>
#include <gdcmTrace.h>

#include <cstring>
#include <memory>
#include <new>

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

std::unique_ptr<gdcm::ImageCodec> codec_for(const ark__frame *f) {
    switch (f->encoding) {
    case ARK__JPEG_LS:
        return std::make_unique<gdcm::JPEGLSCodec>();
    case ARK__JPEG_2000:
        return std::make_unique<gdcm::JPEG2000Codec>();
    default:
        return nullptr;
    }
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

bool decode(const ark__frame *f, uint8_t *out, size_t out_bytes) {
    const std::unique_ptr<gdcm::ImageCodec> codec = codec_for(f);
    if (!codec) {
        return false;
    }
    const unsigned size[] = {static_cast<unsigned>(f->width), static_cast<unsigned>(f->height), 1};
    const auto bits = static_cast<unsigned short>(f->precision);
    const auto allocated = static_cast<unsigned short>(bits > 8 ? 16 : 8);
    const auto samples = static_cast<unsigned short>(f->samples);
    codec->SetNumberOfDimensions(2);
    codec->SetDimensions(size);
    codec->SetPlanarConfiguration(0);
    codec->SetPhotometricInterpretation(
        samples == 3 ? gdcm::PhotometricInterpretation::RGB : gdcm::PhotometricInterpretation::MONOCHROME2);
    codec->SetPixelFormat(gdcm::PixelFormat(samples, allocated, bits, static_cast<unsigned short>(bits - 1),
        static_cast<unsigned short>(f->is_signed)));
    gdcm::DataElement decoded;
    if (!codec->Decode(wrapped(f), decoded) || !decoded.GetByteValue() ||
        decoded.GetByteValue()->GetLength() < out_bytes) {
        return false;
    }
    std::memcpy(out, decoded.GetByteValue()->GetPointer(), out_bytes);
    return true;
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
