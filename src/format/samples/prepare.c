/* prepare.c - pictures become tensors. */
#include "format/samples/prepare.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "format/samples/picture.h"

enum { SIDE_MAX = 65535 };

static const char *const resizer_names[] = {
    [RESIZE_PIL] = "pil-bilinear",
    [RESIZE_CV] = "cv-linear",
    [RESIZE_TORCH] = "torch-bilinear",
    [RESIZE_TORCH_AA] = "torch-bilinear-antialias",
};

const char *prepare_dims(struct arena *a, int rank, const int64_t *dims)
{
    struct str s;

    str_init(&s, a);
    str_add(&s, "[");
    for (int d = 0; d < rank; d++)
        if (dims[d] >= 0)
            str_addf(&s, "%s%" PRId64, d ? "," : "", dims[d]);
        else
            str_add(&s, d ? ",?" : "?");
    str_add(&s, "]");
    return str_text(&s);
}

/* ---- reading a data.yaml ---- */

const char *const prepare_keys[PREPARE_KEYS] = { "resize", "antialias", "size",  "crop", "colour",
                                                 "color",  "layout",    "scale", "mean", "std" };

struct reading {
    const char *file;
    struct diags *diags;
};

static enum status refuse(const struct reading *r, const struct json *j, const char *what)
{
    struct where at = WHERE_NONE;

    at.file = r->file;
    return diag_error(r->diags, DIAG_file, at, "line %d: %s", j->line, what);
}

/* One of the words, or an error that lists them. */
static enum status read_word(const struct reading *r, const struct json *j,
                             const char *const *words, size_t n, int *out)
{
    struct where at = WHERE_NONE;
    const char *s = json_as_string(j, NULL), *near;
    enum status st;

    if (!j)
        return OK;
    if (!s)
        return refuse(r, j, "expected a name");
    for (size_t i = 0; i < n; i++)
        if (strcmp(s, words[i]) == 0) {
            *out = (int)i;
            return OK;
        }
    at.file = r->file;
    st = diag_error(r->diags, DIAG_file, at, "line %d: \"%s\" is not known here", j->line, s);
    near = str_nearest(s, words, n);
    for (size_t i = 0; i < n; i++)
        diag_note(r->diags, "%s%s", words[i], words[i] == near ? " (did you mean this?)" : "");
    return st;
}

/* A side, or [H, W]. */
static enum status read_size(const struct reading *r, const struct json *j, int64_t *h, int64_t *w,
                             int64_t *single)
{
    if (!j)
        return OK;
    *h = *w = *single = 0;
    if (json_is(j, JSON_INT))
        *single = json_as_int(j, 0);
    else if (json_is(j, JSON_ARRAY) && j->n == 2) {
        *h = json_as_int(json_at(j, 0), 0);
        *w = json_as_int(json_at(j, 1), 0);
    }
    if (*single >= 1 && *single <= SIDE_MAX)
        return OK;
    if (*h >= 1 && *w >= 1 && *h <= SIDE_MAX && *w <= SIDE_MAX)
        return OK;
    return refuse(r, j, "expected a side in pixels or [HEIGHT, WIDTH]");
}

/* A number for all channels, or one for each. */
static enum status read_channels(const struct reading *r, const struct json *j, float *v, int *n)
{
    if (!j)
        return OK;
    *n = json_is_number(j) ? 1 : json_is(j, JSON_ARRAY) ? (int)j->n : 0;
    if (*n != 1 && *n != 3)
        return refuse(r, j, "expected a number or three of them");
    for (int i = 0; i < *n; i++) {
        const struct json *x = json_is(j, JSON_ARRAY) ? json_at(j, (size_t)i) : j;

        v[i] = (float)json_as_double(x, NAN);
        if (!isfinite(v[i]))
            return refuse(r, j, "expected a number or three of them");
    }
    return OK;
}

/* A factor: 0.5, or "1/255", which divides exactly as frameworks do. */
static enum status read_scale(const struct reading *r, const struct json *j, struct prepare *p)
{
    const char *s = json_as_string(j, NULL);
    double v = 0;

    if (!j)
        return OK;
    p->has_scale = true;
    if (s && str_starts(s, "1/") && str_to_f64(s + 2, &v) && v > 0)
        p->divide = (float)v;
    else if (json_is_number(j) && json_as_double(j, 0) > 0)
        p->divide = (float)(1 / json_as_double(j, 0));
    else
        return refuse(r, j, "expected a positive number or 1/NUMBER");
    return OK;
}

static enum status read_resizer(const struct reading *r, const struct json *o, struct prepare *p)
{
    const struct json *aa = json_get(o, "antialias");
    int how = (int)p->resizer;

    TRY(read_word(r, json_get(o, "resize"), resizer_names, COUNT(resizer_names), &how));
    p->resizer = (enum resizer)how;
    if (!aa)
        return OK;
    if (!json_is(aa, JSON_BOOL))
        return refuse(r, aa, "antialias is true or false");
    if (how == RESIZE_PIL && !aa->b)
        return refuse(r, aa, "pil-bilinear always smooths when it shrinks");
    if (how == RESIZE_CV && aa->b)
        return refuse(r, aa, "cv-linear never smooths");
    if (how == RESIZE_TORCH || how == RESIZE_TORCH_AA)
        p->resizer = aa->b ? RESIZE_TORCH_AA : RESIZE_TORCH;
    return OK;
}

enum status prepare_read(const struct json *o, const char *file, struct diags *ds,
                         struct prepare *p)
{
    static const char *const colours[] = { "model", "rgb", "bgr", "gray" };
    static const char *const layouts[] = { "model", "nchw", "nhwc" };
    const struct reading r = { file, ds };
    const struct json *std = json_get(o, "std");
    int colour = (int)p->colour, layout = (int)p->layout;
    int64_t side = 0;

    TRY(read_resizer(&r, o, p));
    TRY(read_size(&r, json_get(o, "size"), &p->size_h, &p->size_w, &p->short_side));
    TRY(read_size(&r, json_get(o, "crop"), &p->crop_h, &p->crop_w, &side));
    if (side)
        p->crop_h = p->crop_w = side;
    TRY(read_word(&r, json_get(o, "color"), colours, COUNT(colours), &colour));
    TRY(read_word(&r, json_get(o, "colour"), colours, COUNT(colours), &colour));
    TRY(read_word(&r, json_get(o, "layout"), layouts, COUNT(layouts), &layout));
    p->colour = (enum colour)colour;
    p->layout = (enum picture_layout)layout;
    TRY(read_scale(&r, json_get(o, "scale"), p));
    TRY(read_channels(&r, json_get(o, "mean"), p->mean, &p->n_mean));
    TRY(read_channels(&r, std, p->std, &p->n_std));
    for (int i = 0; i < p->n_std; i++)
        if (std && !(p->std[i] > 0))
            return refuse(&r, std, "std has to be positive");
    return OK;
}

/* ---- what the input asks for ---- */

static enum status wrong(const char *file, const struct sample_input *in, struct diags *ds,
                         const char *what, const char *hint)
{
    struct where at = WHERE_NONE;
    enum status st;

    at.file = file;
    st = diag_error(ds, DIAG_data, at, "a picture does not fit input \"%s\": %s", in->name, what);
    if (hint)
        diag_hint(ds, "%s", hint);
    return st;
}

static bool is_channels(int64_t d)
{
    return d == 1 || d == 3;
}

/* Which dims are channels, rows and columns. Rank 4 has a batch in front, rank 2 is gray. */
static enum status find_dims(const struct prepare *p, const struct sample_input *in,
                             const char *file, struct diags *ds, struct plan_picture *plan)
{
    const struct type *t = &in->type;
    const int first = t->rank - 3;
    bool nchw, nhwc;

    if (t->rank == 2) {
        *plan = (struct plan_picture){ .dim_c = -1, .dim_h = 0, .dim_w = 1 };
        return OK;
    }
    if (t->rank != 3 && t->rank != 4)
        return wrong(file, in, ds, "it needs 2 to 4 dimensions", NULL);
    if (t->rank == 4 && t->dim[0] > 1)
        return wrong(file, in, ds, "the batch is fixed and larger than 1",
                     "give the shape with --shape NAME=1,...");
    nchw = p->layout == LAYOUT_NCHW || (!p->layout && is_channels(t->dim[first]));
    nhwc = p->layout == LAYOUT_NHWC || (!p->layout && is_channels(t->dim[first + 2]));
    if (nchw == nhwc)
        return wrong(file, in, ds,
                     nchw ? "its shape may be NCHW or NHWC" : "no dimension of 1 or 3 channels",
                     nchw || t->dim[first] < 0 || t->dim[first + 2] < 0
                         ? "say layout: nchw or nhwc in a data.yaml"
                         : NULL);
    if (nchw)
        *plan = (struct plan_picture){ .dim_c = first, .dim_h = first + 1, .dim_w = first + 2 };
    else
        *plan = (struct plan_picture){ .dim_c = first + 2, .dim_h = first, .dim_w = first + 1 };
    return OK;
}

enum status prepare_plan(const struct prepare *p, const struct sample_input *in, const char *file,
                         struct diags *ds, struct plan_picture *plan)
{
    const struct type *t = &in->type;
    int64_t c;

    if (t->kind != TYPE_TENSOR || (!dtype_is_float(t->dtype) && !dtype_is_int(t->dtype)))
        return wrong(file, in, ds, "it does not hold numbers", NULL);
    TRY(find_dims(p, in, file, ds, plan));
    c = plan->dim_c < 0 ? 1 : t->dim[plan->dim_c];
    if (c < 0)
        c = p->colour == COLOUR_GRAY ? 1 : 3;
    if (!is_channels(c))
        return wrong(file, in, ds, "the channels are neither 1 nor 3", NULL);
    plan->c = (int)c;
    plan->colour = p->colour ? p->colour : c == 1 ? COLOUR_GRAY : COLOUR_RGB;
    if ((plan->colour == COLOUR_GRAY) != (c == 1))
        return wrong(file, in, ds,
                     c == 1 ? "it has one channel, the colour asked has three"
                            : "it has three channels, gray has one",
                     NULL);
    if (t->dim[plan->dim_h] > SIDE_MAX || t->dim[plan->dim_w] > SIDE_MAX)
        return wrong(file, in, ds, "a side of more than 65535 pixels", NULL);
    plan->h = t->dim[plan->dim_h] > 0 ? (int)t->dim[plan->dim_h] : 0;
    plan->w = t->dim[plan->dim_w] > 0 ? (int)t->dim[plan->dim_w] : 0;
    return OK;
}

/* ---- resize and crop ---- */

/* What the picture is resized to. torchvision's rule for one side: the other is truncated. */
static void target_size(const struct prepare *p, const struct plan_picture *plan,
                        const struct picture *from, int *h, int *w)
{
    *h = from->h;
    *w = from->w;
    if (p->short_side > 0 && from->h <= from->w) {
        *h = (int)p->short_side;
        *w = (int)(p->short_side * from->w / from->h);
    } else if (p->short_side > 0) {
        *w = (int)p->short_side;
        *h = (int)(p->short_side * from->h / from->w);
    } else if (p->size_h > 0) {
        *h = (int)p->size_h;
        *w = (int)p->size_w;
    } else if (p->crop_h == 0) {
        *h = plan->h ? plan->h : from->h;
        *w = plan->w ? plan->w : from->w;
    }
}

/* After resizing: bytes from pil and cv, floats from torch. One of the two is NULL. */
struct resized {
    int h, w, c;
    uint8_t *u8;
    float *f32;
};

static void resize(const struct prepare *p, const struct picture *from, struct resized *to,
                   struct pool *pool)
{
    const size_t n = mem_mul(mem_mul((size_t)to->h, (size_t)to->w), (size_t)to->c);

    if (p->resizer == RESIZE_PIL || p->resizer == RESIZE_CV) {
        to->u8 = pool_alloc(pool, n);
        resize_u8(p->resizer, from, &(struct picture){ to->h, to->w, to->c, to->u8 }, pool);
    } else {
        to->f32 = pool_alloc(pool, mem_mul(n, sizeof(float)));
        resize_f32(p->resizer, from, to->h, to->w, to->f32, pool);
    }
}

/* ---- numbers ---- */

struct mapping {
    float divide, mean[3], std[3];
    bool shift_i8; /* int8 inputs without a scale: 0..255 becomes -128..127 */
    bool normal;
};

static struct mapping map_numbers(const struct prepare *p, enum dtype dt)
{
    struct mapping m = { .divide = p->divide, .normal = p->n_mean || p->n_std };

    if (!p->has_scale)
        m.divide = dtype_is_float(dt) ? 255.0f : 1.0f;
    m.shift_i8 = dt == DT_i8 && !p->has_scale && !m.normal;
    for (int c = 0; c < 3; c++) {
        m.mean[c] = p->n_mean ? p->mean[p->n_mean == 3 ? c : 0] : 0.0f;
        m.std[c] = p->n_std ? p->std[p->n_std == 3 ? c : 0] : 1.0f;
    }
    return m;
}

/* float32 steps in the order of torchvision's ToTensor and Normalize. */
static float map_one(const struct mapping *m, float x, int c)
{
    x = x / m->divide;
    if (m->normal)
        x = (x - m->mean[c]) / m->std[c];
    return m->shift_i8 ? x - 128.0f : x;
}

/* Write the crop into the tensor. mean and std go with the channel as it comes out. */
static void store(const struct prepare *p, const struct plan_picture *plan,
                  const struct resized *from, struct tensor *out)
{
    const struct mapping m = map_numbers(p, out->dtype);
    const int h = (int)out->dim[plan->dim_h], w = (int)out->dim[plan->dim_w];
    /* torchvision's center_crop: half of the difference, rounded half to even */
    const int top = (int)rint((from->h - h) / 2.0), left = (int)rint((from->w - w) / 2.0);
    const bool planar = plan->dim_c >= 0 && plan->dim_c < plan->dim_h;

    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            const size_t at =
                ((size_t)(y + top) * (size_t)from->w + (size_t)(x + left)) * (size_t)from->c;

            for (int c = 0; c < from->c; c++) {
                const size_t src = at + (size_t)(plan->colour == COLOUR_BGR ? 2 - c : c);
                const float v = map_one(&m, from->u8 ? from->u8[src] : from->f32[src], c);
                const int64_t to =
                    planar ? ((int64_t)c * h + y) * w + x : ((int64_t)y * w + x) * from->c + c;

                if (out->dtype == DT_f32)
                    ((float *)out->data)[to] = v;
                else
                    tensor_set_f64(out, to, v);
            }
        }
}

static enum status shape_of(const struct prepare *p, const struct sample_input *in,
                            const struct plan_picture *plan, const struct resized *r,
                            const char *file, struct tensor *out, struct diags *ds)
{
    const int h = p->crop_h ? (int)p->crop_h : r->h, w = p->crop_w ? (int)p->crop_w : r->w;
    int64_t dim[MAX_RANK] = { 1 };
    struct where at = WHERE_NONE;
    enum status st;

    at.file = file;
    if (h > r->h || w > r->w)
        return diag_error(ds, DIAG_data, at,
                          "the picture is %dx%d after resizing, smaller than the "
                          "crop of %dx%d",
                          r->h, r->w, h, w);
    if ((plan->h && plan->h != h) || (plan->w && plan->w != w)) {
        st = diag_error(ds, DIAG_data, at, "the picture becomes %dx%d, input \"%s\" takes %dx%d", h,
                        w, in->name, plan->h ? plan->h : h, plan->w ? plan->w : w);
        diag_hint(ds, "set size or crop in the data.yaml");
        return st;
    }
    dim[plan->dim_h] = h;
    dim[plan->dim_w] = w;
    if (plan->dim_c >= 0)
        dim[plan->dim_c] = plan->c;
    *out = (struct tensor){ .kind = TYPE_TENSOR };
    if (!tensor_shape(out, in->type.dtype, in->type.rank, dim))
        return diag_error(ds, DIAG_limit, at, "the picture becomes too large");
    return OK;
}

enum status prepare_run(const struct prepare *p, const struct sample_input *in,
                        struct picture *picture, const char *file, struct pool *pool,
                        struct tensor *out, struct diags *ds)
{
    struct plan_picture plan;
    struct resized r = { 0 };
    enum status st = prepare_plan(p, in, file, ds, &plan);

    *out = (struct tensor){ 0 };
    if (st == OK) {
        if (plan.colour == COLOUR_GRAY)
            picture_to_gray(picture);
        r.c = picture->c;
        target_size(p, &plan, picture, &r.h, &r.w);
        if (r.h < 1 || r.w < 1 || (int64_t)r.h * r.w > PICTURE_MAX_PIXELS)
            st = wrong(file, in, ds, "it would be resized to nothing or to too much", NULL);
    }
    if (st == OK)
        st = shape_of(p, in, &plan, &r, file, out, ds);
    if (st == OK) {
        out->data = pool_alloc(pool, out->bytes);
        resize(p, picture, &r, pool);
        store(p, &plan, &r, out);
    }
    pool_free(pool, r.u8);
    pool_free(pool, r.f32);
    pool_free(pool, picture->p);
    picture->p = NULL;
    return st;
}

const char *prepare_text(struct arena *a, const struct prepare *p, const struct sample_input *in,
                         const struct plan_picture *plan)
{
    static const char *const colours[] = { "", "RGB", "BGR", "gray" };
    const bool real = dtype_is_float(in->type.dtype);
    const char *size = plan->h && plan->w ? arena_printf(a, "resized to %dx%d (%s)", plan->h,
                                                         plan->w, resizer_names[p->resizer])
                                          : "in their own size";

    return arena_printf(a, "%s, %s, %s, %s", colours[plan->colour], size,
                        plan->dim_c < 0             ? "HW"
                        : plan->dim_c < plan->dim_h ? "NCHW"
                                                    : "NHWC",
                        real                      ? "scaled to [0, 1]"
                        : in->type.dtype == DT_i8 ? "minus 128"
                                                  : "0 to 255 as they are");
}
