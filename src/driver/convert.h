/* convert.h - the road from a graph as read to a file: what convert and quantize share. */
#ifndef DRIVER_CONVERT_H
#define DRIVER_CONVERT_H

#include "driver/job.h"
#include "format/format.h"
#include "quant/quant.h"

/* Rows shared by the option tables of convert and quantize. */
/* clang-format off */
#define CONVERT_OPTIONS                                                                                                                                     \
    { "output",    'o', false, SLIP_OPT_PATH,   "OUT",      NULL, NULL,   "file to write; its suffix names the format" },                                   \
    { "to",        0,   false, SLIP_OPT_ENUM,   NULL,       "onnx|tflite|slip", NULL, "format to write, whatever the suffix" },                             \
    { "shape",     's', true,  SLIP_OPT_STRING, "X=DIMS",   NULL, NULL,   "size of an input: X=1,3,224,224; a word is a symbol" },                          \
    { "dynamic",   0,   true,  SLIP_OPT_STRING, "X:D=NAME", NULL, NULL,   "make dim D of input X a symbol" },                                               \
    { "inputs",    0,   true,  SLIP_OPT_STRING, "A,B",      NULL, NULL,   "cut the model: these tensors become the inputs" },                               \
    { "outputs",   0,   true,  SLIP_OPT_STRING, "C,D",      NULL, NULL,   "cut the model: these tensors become the outputs" },                              \
    { "io-layout", 0,   false, SLIP_OPT_ENUM,   NULL,       "keep|nhwc|nchw", "keep", "layout of the artifact's inputs and outputs" },                      \
    { "io-dtype",  0,   false, SLIP_OPT_ENUM,   NULL,       "keep|float|quant", "keep", "type of the artifact's inputs and outputs when quantised" },       \
    { "opset",     0,   false, SLIP_OPT_INT,    "N",        NULL, NULL,   "ONNX: operator set to write" },                                                  \
    { "external-data", 0, false, SLIP_OPT_FLAG, NULL,       NULL, NULL,   "ONNX: weights in OUT.data beside OUT" },                                         \
    { "calib",     0,   false, SLIP_OPT_PATH,   "DATA",     NULL, NULL,   "calibration data: folder, input_list.txt, data.yaml, test_data_set, random:SEED:N" }, \
    { "calib-steps", 0, false, SLIP_OPT_INT,    "N",        NULL, NULL,   "use the first N samples only" },                                                 \
    { "method",    0,   false, SLIP_OPT_STRING, "M",        NULL, NULL,   "how ranges are chosen: minmax, mean-minmax, percentile, entropy, mse, enhanced, octav" }, \
    { "percentile", 0,  false, SLIP_OPT_FLOAT,  "P",        NULL, NULL,   "for --method percentile (default: 99.99)" },                                     \
    { "weight-type", 0, false, SLIP_OPT_ENUM,   NULL,       "int8|uint8", NULL, "int8-dynamic in ONNX: type of the weights" },                              \
    { "per-channel", 0, false, SLIP_OPT_ENUM,   NULL,       "yes|no", NULL, "a scale per output channel (default: the scheme's)" },                         \
    { "settings",  0,   false, SLIP_OPT_PATH,   "F.yaml",   NULL, NULL,   "settings of the quantisation; 'slipway list schemes --settings SCHEME' prints them" },  \
    { "act-bits",  0,   false, SLIP_OPT_ENUM,   NULL,       "8|16", NULL, "bits of activations (default: the scheme's)" },                                  \
    { "weight-bits", 0, false, SLIP_OPT_ENUM,   NULL,       "4|8|16", NULL, "bits of weights (default: the scheme's)" },                                    \
    { "bias-bits", 0,   false, SLIP_OPT_ENUM,   NULL,       "8|32", NULL, "bits of biases (default: the scheme's)" },                                       \
    { "dispatch",  0,   true,  SLIP_OPT_STRING, "PATTERN=PRECISION", NULL, NULL, "nodes by name or op: float, fp16, uint8, int8, w8a16, w16a16, w4a8, w4a16; the last match wins" }, \
    { "encodings", 0,   false, SLIP_OPT_PATH,   "OUT.json", NULL, NULL,   "write the encodings of all tensors" },                                           \
    { "encodings-version", 0, false, SLIP_OPT_ENUM, NULL,   "0.6.1|1.0.0", "0.6.1", "layout of --encodings" },                                                \
    { "overrides", 0,   false, SLIP_OPT_PATH,   "IN.json",  NULL, NULL,   "encodings (AIMET, SNPE) that win over calibration" },                              \
    { "analyse",   0,   false, SLIP_OPT_FLAG,   NULL,       NULL, NULL,   "measure which layer loses how much, why, and what a cure costs; -o may be left out" }, \
    { "analyse-steps", 0, false, SLIP_OPT_INT,  "N",        NULL, "16",   "samples to analyse on, spread over the data; 0: all" },                                \
    { "report",    0,   false, SLIP_OPT_PATH,   "R.html",   NULL, NULL,   "the same as one self-contained page" },                                          \
    { "shard",     0,   false, SLIP_OPT_STRING, "I/N",      NULL, NULL,   "calibrate on part I of N only, with --stats; auto: from the job scheduler" },    \
    { "stats",     0,   false, SLIP_OPT_PATH,   "FILE",     NULL, NULL,   "with --shard: write statistics here; else: read them instead of calibrating" },  \
    { "native-inputs", 0, false, SLIP_OPT_FLAG, NULL,       NULL, NULL,   ".raw files hold the inputs' own type, not float32" },                            \
    { "target",    'T', false, SLIP_OPT_STRING, "PROFILE", NULL, NULL, "make it fit this target, and check that it does ('slipway list targets')" },        \
    { "passes",    0,   false, SLIP_OPT_STRING, "LIST",     NULL, NULL,   "rewrites to run before quantisation: legal-rank{max=4},legal-gather" },          \
    { "adaround",  0,   false, SLIP_OPT_FLAG,   NULL,       NULL, NULL,   "repair: learn for each weight whether to round it up or down" },                       \
    { "absorb",    0,   false, SLIP_OPT_FLAG,   NULL,       NULL, NULL,   "repair: move high biases into the layer behind" },                                      \
    { "bias-correction", 0, false, SLIP_OPT_FLAG, NULL,     NULL, NULL,   "repair: take the mean shift that quantisation gives each channel from its bias" },      \
    { "equalize",  0,   false, SLIP_OPT_FLAG,   NULL,       NULL, NULL,   "repair: scale channels across layers so that their weights' ranges are alike" },       \
    { "max-drop",  0,   false, SLIP_OPT_STRING, "DB|P%",    NULL, NULL,   "repair: nodes leave 8 bits until the outputs are DB below what 16 bits everywhere give, or until at most P points of top-1 are lost" }, \
    { "labels",    0,   false, SLIP_OPT_PATH,   "F.csv",    NULL, NULL,   "with --max-drop P%: right classes of the calibration samples by file name: file,class" }, \
    { "max-high-macs", 0, false, SLIP_OPT_FLOAT, "P",       NULL, NULL,   "repair: at most P percent of the MACs leave 8 bits" },                                 \
    { "repair",    0,   false, SLIP_OPT_ENUM,   NULL,       "none|auto", NULL, "repair: auto: try them, measure the whole network, keep what gains" },                   \
    { "split",     0,   false, SLIP_OPT_FLAG,   NULL,       NULL, NULL,   "repair: compute convolutions whose channels differ much in range in parts" },           \
    { "task-ranges", 0, false, SLIP_OPT_INT,    "N",        NULL, NULL,   "repair: choose the ranges of the N worst groups by the noise at the outputs" },        \
    { "print-after", 0, false, SLIP_OPT_STRING, "PASS",     NULL, NULL,   "print the graph after a pass (or all) on standard error" },                      \
    { "verify-each", 0, false, SLIP_OPT_FLAG,   NULL,       NULL, NULL,   "check the graph after every pass" }
/* clang-format on */

/* Quantise (scheme may be NULL: float) and write as the options say. */
enum status convert_graph(struct slip_job *j, struct graph *g, const char *scheme);
/* Pass options of --print-after and its kin. */
struct pipeline_options;
void convert_pipeline_options(struct slip_job *j, struct pipeline_options *o);

#endif
