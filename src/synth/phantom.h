/* A chest phantom: what one patient's thorax looks like on one radiograph.
 *
 * Lengths are in units of the detector's side, about 40 cm, in all three dimensions, so a
 * thickness times an attenuation coefficient is an exponent of Beer's law. Body
 * coordinates: X to the patient's left (the image's right) from the midline, Y down from
 * the top of the field, Z from the spine (negative) to the sternum. Detector coordinates:
 * x right, y down, both in [0,1). An image of any size is a sampling of the same scene.
 *
 * Order of work: ark_patient_draw (who), ark_exam_draw (how taken), findings appended to the exam,
 * ark_anatomy_build (curves and tables), ark_scene_render (thickness maps, masks, exponent),
 * ark_detector_read (grey). */
#ifndef ARK_SYNTH_PHANTOM_H
#define ARK_SYNTH_PHANTOM_H

#include "base/rng.h"
#include "synth/canvas.h"

#include <stdbool.h>

enum { ARK_RIGHT, ARK_LEFT }; /* the patient's sides */

/* What a random stream is used for: the c of ark_rng_at(seed, ARK_RNG_SYNTH, dataset,
 * patient or image, c). */
enum {
    ARK_SYNTH_COHORT = 1, /* who is in a dataset: b = 0 */
    ARK_SYNTH_PATIENT,    /* b = patient */
    ARK_SYNTH_VESSELS,    /* b = patient */
    ARK_SYNTH_EXAM,       /* b = image */
    ARK_SYNTH_TEXTURE,    /* b = image */
    ARK_SYNTH_DETECTOR,   /* b = image */
    ARK_SYNTH_LABELS,     /* b = image */
    ARK_SYNTH_FINDINGS,   /* b = patient; this plus the kind of finding */
};

/* One list feeds the enum and the names in truth.csv. */
#define ARK_FINDING_LIST(X)                                                                                  \
    X(CARDIOMEGALY, "cardiomegaly")                                                                          \
    X(EFFUSION, "effusion")                                                                                  \
    X(NODULE, "nodule")                                                                                      \
    X(PNEUMOTHORAX, "pneumothorax")                                                                          \
    X(CONSOLIDATION_LOBAR, "consolidation_lobar")                                                            \
    X(CONSOLIDATION_PATCHY, "consolidation_patchy")                                                          \
    X(CAVITY, "cavity")

typedef enum ark_finding_kind {
#define ARK_FINDING_ENUM(name, text) ARK_FINDING_##name,
    ARK_FINDING_LIST(ARK_FINDING_ENUM)
#undef ARK_FINDING_ENUM
        ARK_FINDING_COUNT
} ark_finding_kind;

const char *ark_finding_name(ark_finding_kind k);

typedef struct ark_finding {
    ark_finding_kind kind;
    int side;
    double x, y;     /* centre, body coordinates */
    double size;     /* diameter (nodule, cavity, patch), height (effusion, lobe); share of the lung's width
                        halfway     down (pneumothorax); cardiothoracic ratio */
    double strength; /* 0..1: fraction of the air replaced, or of full density */
    bool upper;      /* lobar: the lobe above the fissure, else the one below */
} ark_finding;

/* A machine and the habits of those who use it. */
typedef struct ark_hospital {
    double ap_share;   /* portable, antero-posterior examinations */
    double photons;    /* mean count at I = 1 behind one 128th of the field: noise */
    double veil;       /* scattered light, fraction of the mean exposure */
    double blur;       /* standard deviation of the point spread */
    double edge;       /* gain of the unsharp mask */
    double lo, hi;     /* grey levels (0..1) given to the 2nd and 98th percentile of the exponent */
    double gamma;      /* of the display curve; > 1 darkens the lungs */
    double jitter;     /* standard deviation of the exposure from image to image */
    double collimated; /* share of images with a visible collimator edge */
    double lines;      /* share of portable images with electrodes and cables */
    double zoom;       /* size of the patient in the field */
    double roll_deg;   /* standard deviation of the in-plane rotation */
    int marker;        /* side marker: 0 none, 1 "L", 2 "L" in a ring, 3 "R" */
    bool children;
} ark_hospital;

typedef struct ark_patient {
    bool female;
    int age; /* years */
    bool child;
    double half_width; /* of the rib cage inside */
    double half_depth; /* of the trunk, front to back */
    double apex_y;     /* top of the lungs */
    double dome_y;     /* right diaphragm at mean inspiration */
    double fat;        /* soft tissue outside the ribs */
    double breast;     /* 0 none .. 1 large */
    double rib_pitch, rib_tilt;
    double clavicle;     /* how steeply the clavicles rise */
    double scoliosis;    /* largest sideways shift of the spine */
    double stomach;      /* gas under the left diaphragm, 0..1 */
    double knob;         /* aortic arch, fraction of its usual size */
    double heart_tilt;   /* radians */
    double ctr;          /* cardiothoracic ratio */
    double wobble[2][4]; /* outline of each lung: amplitude and phase of two waves */
} ark_patient;

enum { ARK_FINDINGS_MAX = 12 };

typedef struct ark_exam {
    bool ap;
    double roll, yaw;     /* radians; yaw as shift per depth */
    double dx, dy, scale; /* of the body in the field */
    double breath;        /* added to the diaphragm's y: > 0 deep inspiration */
    double abduction;     /* arms: 0 at the sides, 1 far from them */
    double exposure;      /* offset of the display, in standard deviations */
    bool collimated, lines;
    int nfindings;
    ark_finding findings[ARK_FINDINGS_MAX];
    double severity; /* of findings drawn, 0..1 */
} ark_exam;

/* A function of Y sampled evenly on [-0.25, 1.25]. */
enum { ARK_PROFILE_N = 385 };
typedef struct ark_profile {
    float v[ARK_PROFILE_N];
} ark_profile;

typedef struct ark_ellipse {
    double x, y, a, b, sin, cos; /* centre, half axes, angle of axis a */
} ark_ellipse;

typedef struct ark_anatomy {
    const ark_patient *patient;
    const ark_exam *exam;
    double widest_y; /* where the rib cage is widest */
    double apex_x;   /* of the lungs, distance from the midline */
    double dome_y[2];
    ark_profile lateral[2], medial[2];   /* lung borders, distances from the midline */
    ark_profile trunk, depth, spine;     /* half width, half depth, sideways shift of the spine */
    ark_ellipse ventricle, atrium, base; /* the heart's shadow is their union */
    double heart_depth;
    double sin_roll, cos_roll;
} ark_anatomy;

/* Thickness maps of one image; all side x side. */
typedef struct ark_scene {
    int side;
    ark_canvas body;  /* soft tissue, as if the lungs were solid */
    ark_canvas air;   /* lung, front to back, less the heart */
    ark_canvas cover; /* 0..1: inside the lung's outline */
    ark_canvas fill;  /* 0..1: lung replaced by fluid or pus */
    ark_canvas gas;   /* 0..1: lung replaced by free air */
    ark_canvas vessel, bone, extra;
    ark_canvas exponent; /* the result: line integral of attenuation */
    ark_canvas tmp;
    uint8_t *mask_lungs, *mask_heart, *mask_clavicles; /* 0 or 255 */
    uint8_t *grey;
    ark_lattice lattice;
} ark_scene;

ark_status ark_scene_new(int side, ark_scene *s) ARK_MUST_CHECK;
void ark_scene_free(ark_scene *s);

/** A patient of a hospital; the heart is of normal size. */
void ark_patient_draw(ark_patient *p, ark_rng *rng, bool child);
/** How one image of the patient is taken; no findings yet. */
void ark_exam_draw(ark_exam *e, ark_rng *rng, const ark_hospital *h);
/** Curves of this patient in this examination. Keeps both pointers. */
void ark_anatomy_build(ark_anatomy *a, const ark_patient *p, const ark_exam *e);
/** Append a finding of this kind at a plausible place and of a random size; patchy consolidation appends
 * several. Cardiomegaly enlarges p->ctr and builds the anatomy again. *a: that of *p and *e. */
void ark_finding_draw(ark_exam *e, ark_patient *p, ark_anatomy *a, ark_finding_kind kind, ark_rng *rng);

/** Size of a finding in the image, as a fraction of its side: diameter, height, width of
 * the gap, width of the heart. */
double ark_finding_extent(const ark_anatomy *a, const ark_finding *f);

/* Where the random draws of an image come from. */
typedef struct ark_synth_id {
    uint64_t seed;
    uint32_t dataset, patient, image;
} ark_synth_id;

static inline ark_rng ark_synth_rng(const ark_synth_id *id, uint32_t who, uint32_t purpose) {
    return ark_rng_at(id->seed, ARK_RNG_SYNTH, id->dataset, who, purpose);
}

/** Fill every map of the scene, the masks and the exponent. */
void ark_scene_render(ark_scene *s, const ark_anatomy *a, const ark_synth_id *id);
/** Expose and develop: exponent -> grey. */
void ark_detector_read(ark_scene *s, const ark_exam *e, const ark_hospital *h, const ark_synth_id *id);

/* Parts of ark_scene_render, one file each. */
void ark_scene_soft_tissue(ark_scene *s, const ark_anatomy *a);
void ark_scene_airways(ark_scene *s, const ark_anatomy *a);
void ark_scene_vessels(ark_scene *s, const ark_anatomy *a, ark_rng *rng);
void ark_scene_bones(ark_scene *s, const ark_anatomy *a);
void ark_scene_cables(ark_scene *s, const ark_anatomy *a, ark_rng *rng);
void ark_scene_findings(ark_scene *s, const ark_anatomy *a);

/* Geometry shared by the parts. */
double ark_profile_at(const ark_profile *p, double y);
/** Inner half width of the rib cage at Y, without the lung's wobble. */
double ark_cage_half_width(const ark_anatomy *a, double y);
/** Y of the diaphragm at distance d >= 0 from the midline. */
double ark_dome_at(const ark_anatomy *a, int side, double d);
/** 1 - (distance/radius)^2 of a point in an ellipse: > 0 inside. */
double ark_ellipse_at(const ark_ellipse *e, double x, double y);
/** The heart's shadow: > 0 inside, at most 1. */
double ark_heart_at(const ark_anatomy *a, double x, double y);
/** Body -> detector. */
ark_point ark_project(const ark_anatomy *a, double x, double y, double z);
/** Detector -> body, in the plane Z = 0. */
ark_point ark_unproject(const ark_anatomy *a, double x, double y);
/** 0 below lo, 1 above hi, smooth between. */
double ark_smoothstep(double lo, double hi, double v);

#endif
