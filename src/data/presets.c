/* The table of presets. Orders of classes and readings of lists are those of the released Ark code; which
 * spellings the publishers use is said where it differs. */
#include "data/presets.h"

static const char *const nih[] = {"Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule",
    "Pneumonia", "Pneumothorax", "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening",
    "Hernia", NULL};
/* CheXpert and MIMIC-CXR were labelled by the same program. */
static const char *const chexpert[] = {"No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly",
    "Lung Opacity", "Lung Lesion", "Edema", "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax",
    "Pleural Effusion", "Pleural Other", "Fracture", "Support Devices", NULL};
static const char *const chexpert_test[] = {
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion", NULL};
static const char *const rsna[] = {"Normal", "No Lung Opacity/Not Normal", "Lung Opacity", NULL};
static const char *const rsna_aliases[] = {
    "No Lung Opacity / Not Normal", "No Lung Opacity/Not Normal", NULL};
static const char *const vindr[] = {
    "PE", "Lung tumor", "Pneumonia", "Tuberculosis", "Other diseases", "No finding", NULL};
static const char *const vindr_aliases[] = {
    "Pleural effusion", "PE", "Other disease", "Other diseases", NULL};
static const char *const shenzhen[] = {"TB", NULL};
static const char *const covidx[] = {"normal", "pneumonia", "COVID-19", NULL};
static const char *const chestdr[] = {"pleural_effusion", "nodule", "pneumonia", "cardiomegaly",
    "hilar_enlargement", "fracture_old", "fibrosis", "aortic_calcification", "tortuous_aorta",
    "thickened_pleura", "TB", "pneumothorax", "emphysema", "atelectasis", "calcification", "pulmonary_edema",
    "increased_lung_markings", "elevated_diaphragm", "consolidation", NULL};

const ark__preset ark__presets[] = {
    {
        .name = "chestxray14",
        .released = "ChestXray14",
        .task = ARK_MULTILABEL,
        .classes = nih,
        .label = "Finding Labels", /* Data_Entry_2017.csv; its lists of splits are bare names */
        .no_finding = "No Finding",
        .patient_in_path = "{}_", /* 00000013_005.png */
    },
    {
        .name = "chexpert",
        .released = "CheXpert",
        .task = ARK_MULTILABEL,
        .classes = chexpert,
        .test_classes = chexpert_test,
        .views = {"AP/PA", "Frontal/Lateral"},
        .patient_in_path = "patient{}/",
        .uncertain = ARK_LSR_ONES,
        .missing = ARK_MISSING_ZERO,
    },
    {
        .name = "mimic-cxr",
        .released = "MIMIC",
        .task = ARK_MULTILABEL,
        .classes = chexpert,
        .test_classes = chexpert_test,
        .path = "files/p{subject_id:2}/p{subject_id}/s{study_id}/{dicom_id}.jpg",
        .path_for = "dicom_id",
        .labels_key = "study_id",
        .metadata_key = "dicom_id",
        .uncertain = ARK_ONES,
        .missing = ARK_MISSING_ZERO,
    },
    {
        .name = "rsna",
        .released = "RSNAPneumonia",
        .task = ARK_MULTICLASS,
        .classes = rsna,
        .aliases = rsna_aliases, /* stage_2_detailed_class_info.csv: a row per box */
        .image = "patientId",
        .label = "class",
        .suffix = ".png",
        .votes = ARK_VOTES_SAME,
    },
    {
        .name = "vindr-cxr",
        .released = "VinDrCXR",
        .task = ARK_MULTILABEL,
        .classes = vindr,
        .aliases = vindr_aliases,
        .suffix = ".jpeg",
        .votes = ARK_VOTES_ANY, /* image_labels_train.csv: a row per reader */
    },
    {
        .name = "shenzhen",
        .released = "Shenzhen",
        .task = ARK_BINARY,
        .classes = shenzhen,
        .patient_in_path = "_{}_", /* CHNCXR_0001_0.png: number, then 1 for tuberculosis */
        .label_in_path = "_{}.",
    },
    {
        .name = "covidx",
        .released = "COVIDx",
        .task = ARK_MULTICLASS,
        .classes = covidx,
        .subdirs = {"train", "test", "test"}, /* the released code validates on the test list */
    },
    {
        .name = "chestdr",
        .task = ARK_MULTILABEL,
        .classes = chestdr,
        .suffix = ".png",
    },
};
const size_t ark__preset_count = sizeof ark__presets / sizeof ark__presets[0];
