/* prepare.h - from a picture to the tensor a model takes: the part of preprocessing that decides
 * accuracy, so every step has a name and a default that is said aloud.
 *
 *     decode -> colour -> resize -> crop -> (x / divide - mean) / std -> layout
 */
#ifndef FORMAT_SAMPLES_PREPARE_H
#define FORMAT_SAMPLES_PREPARE_H

#include "base/json.h"
#include "format/samples/picture_resize.h"
#include "format/samples/samples.h"

enum colour { COLOUR_BY_MODEL, COLOUR_RGB, COLOUR_BGR, COLOUR_GRAY };
enum picture_layout { LAYOUT_BY_SHAPE, LAYOUT_NCHW, LAYOUT_NHWC };

struct prepare {
    enum resizer resizer;
    int64_t short_side;     /* > 0: this for the shorter side, the other in proportion */
    int64_t size_h, size_w; /* > 0; else the model's, when there is no crop */
    int64_t crop_h, crop_w; /* > 0: the middle of the picture */
    enum colour colour;
    enum picture_layout layout;
    bool has_scale; /* else 255 for float inputs, 1 for integer ones */
    float divide;
    int n_mean, n_std; /* 0, 1 or 3 */
    float mean[3], std[3];
};

/* Keys of a data.yaml that belong to it are read over what *p holds. */
extern const char *const prepare_keys[];
enum { PREPARE_KEYS = 10 };
enum status prepare_read(const struct json *o, const char *file, struct diags *ds,
                         struct prepare *p);

/* What a picture becomes for this input: layout, colour and size, or why it cannot. */
struct plan_picture {
    int c, h, w;             /* of the tensor; h or w 0: as the picture */
    int dim_c, dim_h, dim_w; /* -1: none */
    enum colour colour;
};
enum status prepare_plan(const struct prepare *p, const struct sample_input *in, const char *file,
                         struct diags *ds, struct plan_picture *plan);
/* The picture as a tensor of the input's logical type; the picture's memory goes back. */
enum status prepare_run(const struct prepare *p, const struct sample_input *in,
                        struct picture *picture, const char *file, struct pool *pool,
                        struct tensor *out, struct diags *ds);
/* "RGB, resized to 224x224 (pil-bilinear), NCHW, scaled to [0, 1]" */
const char *prepare_text(struct arena *a, const struct prepare *p, const struct sample_input *in,
                         const struct plan_picture *plan);
/* "[1,3,?,?]" */
const char *prepare_dims(struct arena *a, int rank, const int64_t *dims);

#endif
