/* detect.c - choosing boxes: non_max_suppression. */
#include "op/nn.h"

#include <math.h>
#include <stdlib.h>

enum { NMS_BOXES, NMS_SCORES, NMS_MOST, NMS_IOU, NMS_SCORE };

static enum status infer_nms(struct infer *in)
{
    const struct type *b = in->x[NMS_BOXES], *s = in->x[NMS_SCORES];
    dim_t same;

    for (int j = 0; j < 2; j++)
        if (in->x[j]->rank != RANK_UNKNOWN && in->x[j]->rank != 3)
            return infer_error(in, DIAG_shape, j, "rank is %d, expected 3", in->x[j]->rank);
    if (b->rank == 3)
        TRY(infer_same_dim(in, NMS_BOXES, 2, 4, b->dim[2], &same));
    if (b->rank == 3 && s->rank == 3) {
        TRY(infer_same_dim(in, NMS_SCORES, 0, b->dim[0], s->dim[0], &same));
        TRY(infer_same_dim(in, NMS_SCORES, 2, b->dim[1], s->dim[2], &same));
    }
    in->y[0] = type_make(DT_i64, 2, (const dim_t[]){ DIM_UNKNOWN, 3 });
    return OK;
}

struct box {
    float y0, x0, y1, x1;
};
struct candidate {
    float score;
    int64_t index;
};

static struct box box_of(const float *b, bool centred)
{
    if (centred)
        return (struct box){ b[1] - b[3] / 2, b[0] - b[2] / 2, b[1] + b[3] / 2, b[0] + b[2] / 2 };
    return (struct box){ fminf(b[0], b[2]), fminf(b[1], b[3]), fmaxf(b[0], b[2]),
                         fmaxf(b[1], b[3]) };
}

/* Intersection over union, in float as ONNX states the operands. */
static float overlap(const struct box *a, const struct box *b)
{
    const float h = fminf(a->y1, b->y1) - fmaxf(a->y0, b->y0);
    const float w = fminf(a->x1, b->x1) - fmaxf(a->x0, b->x0);
    if (h <= 0 || w <= 0)
        return 0;
    const float both = h * w;
    const float all = (a->y1 - a->y0) * (a->x1 - a->x0) + (b->y1 - b->y0) * (b->x1 - b->x0) - both;
    return all > 0 ? both / all : 0;
}

/* What is not a number stands last: qsort() needs an order of all. */
static int by_score(const void *pa, const void *pb)
{
    const struct candidate *a = pa, *b = pb;
    if (isnan(a->score) != isnan(b->score))
        return isnan(a->score) ? 1 : -1;
    if (a->score > b->score || a->score < b->score)
        return a->score > b->score ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

struct nms {
    int64_t n, most;
    float iou, score;
    bool has_score, centred;
    struct candidate *order;
    struct box *kept;
};

/* One class of one image: indices of the chosen boxes, in falling order of score. */
static int64_t nms_class(const struct nms *s, const float *boxes, const float *scores,
                         int64_t *chosen)
{
    int64_t n = 0, kept = 0;

    for (int64_t i = 0; i < s->n; i++)
        if (!s->has_score || scores[i] > s->score)
            s->order[n++] = (struct candidate){ scores[i], i };
    qsort(s->order, (size_t)n, sizeof *s->order, by_score);
    for (int64_t i = 0; i < n && kept < s->most; i++) {
        const struct box b = box_of(boxes + 4 * s->order[i].index, s->centred);
        bool clear = true;
        for (int64_t k = 0; clear && k < kept; k++)
            clear = overlap(&b, &s->kept[k]) <= s->iou;
        if (!clear)
            continue;
        s->kept[kept] = b;
        chosen[kept++] = s->order[i].index;
    }
    return kept;
}

static float scalar_or_0(const struct tensor *t)
{
    return t && tensor_elements(t) ? (float)tensor_get_f64(t, 0) : 0;
}

static enum status eval_nms(struct eval *e)
{
    const struct nms_attrs *a = e->attrs;
    const struct tensor *boxes = e->x[NMS_BOXES], *scores = e->x[NMS_SCORES];
    const struct tensor *most = eval_in(e, NMS_MOST);
    const int64_t classes = scores->dim[1], images = boxes->dim[0], n = boxes->dim[1];
    struct nms s = { .n = n,
                     .iou = scalar_or_0(eval_in(e, NMS_IOU)),
                     .score = scalar_or_0(eval_in(e, NMS_SCORE)),
                     .has_score = eval_in(e, NMS_SCORE) != NULL,
                     .centred = a->center_point_box };

    s.most = most && tensor_elements(most) ? tensor_get_i64(most, 0) : 0;
    s.most = s.most < 0 ? 0 : s.most > n ? n : s.most;
    s.order = eval_scratch(e, n, sizeof *s.order);
    s.kept = eval_scratch(e, n, sizeof *s.kept);
    int64_t *chosen = eval_scratch(e, images * classes * s.most, sizeof *chosen);
    int64_t *count = eval_scratch(e, images * classes, sizeof *count);
    int64_t total = 0;
    for (int64_t i = 0; i < images * classes; i++) {
        count[i] = nms_class(&s, (const float *)boxes->data + i / classes * n * 4,
                             (const float *)scores->data + i * n, chosen + i * s.most);
        total += count[i];
    }
    const enum status st = eval_alloc(e, 0, DT_i64, 2, (const int64_t[]){ total, 3 });
    int64_t *y = e->y[0].data;
    for (int64_t i = 0; st == OK && i < images * classes; i++)
        for (int64_t k = 0; k < count[i]; k++) {
            *y++ = i / classes;
            *y++ = i % classes;
            *y++ = chosen[i * s.most + k];
        }
    pool_free(e->pool, s.order);
    pool_free(e->pool, s.kept);
    pool_free(e->pool, chosen);
    pool_free(e->pool, count);
    return st;
}

static const struct attr_def nms_rows[] = {
    A_BOOL(struct nms_attrs, center_point_box, 0, "boxes are x, y, width, height"),
    { .kind = ATTR_END },
};

const struct op_def op_non_max_suppression = {
    .name = "non_max_suppression",
    .doc = "Indices (image, class, box) of boxes that overlap no better one too much.",
    .family = "detect",
    .min_in = 2,
    .max_in = 5,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_SIZED_BY_DATA,
    .attrs_size = sizeof(struct nms_attrs),
    .attrs = nms_rows,
    OP_IN(R_("boxes", DTM(f32)), R_("scores", DTM(f32)),
          R_OPT("max_output_boxes_per_class", DTM(i64)), R_OPT("iou_threshold", DTM(f32)),
          R_OPT("score_threshold", DTM(f32))),
    OP_OUT(R_("selected_indices", DTM(i64))),
    .infer = infer_nms,
    .eval = eval_nms,
};
