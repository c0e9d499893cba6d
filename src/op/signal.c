/* signal.c - windows, Fourier transforms, mel filters. */
#include "op/known.h"
#include "op/nn.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

/* The integer in operand j: true when it is known now. */
static bool known_scalar_of(struct infer *in, int j, int64_t *v)
{
    int n;
    return j < in->nx && in->x[j] && infer_ints(in, j, v, 1, &n) && n == 1;
}

/* -- windows ---------------------------------------------------------------------------------- */
static enum status infer_window(struct infer *in)
{
    const struct signal_attrs *a = in->attrs;
    const struct known *k = infer_known(in, 0);
    dim_t size = k && k->n == 1 ? k->v[0] : DIM_UNKNOWN;
    int64_t v;

    if (known_scalar_of(in, 0, &v) && v < 0)
        return infer_error(in, DIAG_value, 0, "size is %lld", (long long)v);
    in->y[0] = type_make((enum dtype)a->output_datatype, 1, &size);
    return OK;
}

/* a - b cos(t) + c cos(2t) over one period, or up to and with its end. */
static enum status eval_window(struct eval *e, double a, double b, double c)
{
    const struct signal_attrs *at = e->attrs;
    const int64_t n = e->y[0].dim[0];
    const double period = (double)(at->periodic ? n : n - 1);

    for (int64_t i = 0; i < n; i++) {
        const double t = 2 * PI * (double)i / period;
        store_one(&e->y[0], i, period == 0 ? 1 : a - b * cos(t) + c * cos(2 * t));
    }
    return OK;
}

static enum status eval_hann(struct eval *e)
{
    return eval_window(e, 0.5, 0.5, 0);
}
static enum status eval_hamming(struct eval *e)
{
    return eval_window(e, 25.0 / 46, 21.0 / 46, 0);
}
static enum status eval_blackman(struct eval *e)
{
    return eval_window(e, 0.42, 0.5, 0.08);
}

/* -- transform of one line -------------------------------------------------------------------- */
struct fft {
    int64_t n, size;        /* length; power of two it is worked in */
    double *line;           /* 2 size: the data, real and imaginary in turn */
    double *chirp, *kernel; /* lengths that are no power of two */
};

/* Cooley and Tukey (1965), in place, sign -1 forward. */
static void fft_pow2(double *x, int64_t n, int sign)
{
    for (int64_t i = 1, j = 0; i < n; i++) {
        int64_t bit = n >> 1;
        for (; j & bit; bit >>= 1)
            j ^= bit;
        j ^= bit;
        for (int k = 0; i < j && k < 2; k++) {
            const double t = x[2 * i + k];
            x[2 * i + k] = x[2 * j + k];
            x[2 * j + k] = t;
        }
    }
    for (int64_t len = 2; len <= n; len *= 2)
        for (int64_t i = 0; i < n; i += len)
            for (int64_t k = 0; k < len / 2; k++) {
                const double t = sign * 2 * PI * (double)k / (double)len, c = cos(t), s = sin(t);
                double *a = x + 2 * (i + k), *b = a + len;
                const double re = b[0] * c - b[1] * s, im = b[0] * s + b[1] * c;
                b[0] = a[0] - re;
                b[1] = a[1] - im;
                a[0] += re;
                a[1] += im;
            }
}

static void multiply(double *a, const double *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const double re = a[2 * i] * b[2 * i] - a[2 * i + 1] * b[2 * i + 1];
        a[2 * i + 1] = a[2 * i] * b[2 * i + 1] + a[2 * i + 1] * b[2 * i];
        a[2 * i] = re;
    }
}

static void fft_open(struct eval *e, struct fft *f, int64_t n)
{
    *f = (struct fft){ .n = n, .size = 1 };
    while (f->size < n)
        f->size *= 2;
    if (f->size != n)
        for (f->size = 1; f->size < 2 * n; f->size *= 2)
            ;
    f->line = eval_scratch(e, 2 * f->size, sizeof *f->line);
    f->chirp = eval_scratch(e, 2 * n, sizeof *f->chirp);
    f->kernel = eval_scratch(e, 2 * f->size, sizeof *f->kernel);
}

static void fft_close(struct eval *e, struct fft *f)
{
    pool_free(e->pool, f->line);
    pool_free(e->pool, f->chirp);
    pool_free(e->pool, f->kernel);
}

/* f->line becomes its transform. Any length: Bluestein (1970), a convolution with a chirp. */
static void fft_run(struct fft *f, int sign)
{
    if (f->size == f->n) {
        fft_pow2(f->line, f->n, sign);
        return;
    }
    memset(f->kernel, 0, 2 * (size_t)f->size * sizeof *f->kernel);
    for (int64_t i = 0; i < f->n; i++) {
        const double t = PI * (double)(i * i % (2 * f->n)) / (double)f->n;
        f->chirp[2 * i] = cos(t);
        f->chirp[2 * i + 1] = sign * sin(t);
        const int64_t mirror = i ? f->size - i : 0;
        f->kernel[2 * i] = f->kernel[2 * mirror] = cos(t);
        f->kernel[2 * i + 1] = f->kernel[2 * mirror + 1] = -sign * sin(t);
    }
    multiply(f->line, f->chirp, f->n);
    memset(f->line + 2 * f->n, 0, 2 * (size_t)(f->size - f->n) * sizeof *f->line);
    fft_pow2(f->line, f->size, -1);
    fft_pow2(f->kernel, f->size, -1);
    multiply(f->line, f->kernel, f->size);
    fft_pow2(f->line, f->size, 1);
    multiply(f->line, f->chirp, f->n);
    for (int64_t i = 0; i < 2 * f->n; i++)
        f->line[i] /= (double)f->size;
}

/* -- dft -------------------------------------------------------------------------------------- */
enum { DFT_INPUT, DFT_LENGTH, DFT_AXIS };

static enum status dft_axis(struct infer *in, int *axis)
{
    const int rank = in->x[0]->rank;
    int64_t v = -2;

    *axis = -1;
    if (in->nx > DFT_AXIS && in->x[DFT_AXIS] && !known_scalar_of(in, DFT_AXIS, &v))
        return OK;
    TRY(infer_axis(in, v, rank, axis));
    if (rank >= 0 && *axis == rank - 1)
        return infer_error(in, DIAG_value, DFT_AXIS,
                           "axis %lld is that of real and imaginary parts", (long long)v);
    return OK;
}

static enum status infer_dft(struct infer *in)
{
    const struct signal_attrs *a = in->attrs;
    const struct type *x = in->x[DFT_INPUT];
    struct type y = *x;
    int64_t length = 1; /* until it is known */
    int axis;

    in->y[0] = type_unknown(x->dtype);
    TRY(known_one(in, DFT_LENGTH));
    TRY(known_one(in, DFT_AXIS));
    if (x->rank == RANK_UNKNOWN)
        return OK;
    if (x->rank < 2)
        return infer_error(in, DIAG_shape, 0, "rank is %d, expected at least 2", x->rank);
    const dim_t parts = x->dim[x->rank - 1];
    if (dim_is_const(parts) && parts != 1 && parts != 2)
        return infer_error(in, DIAG_shape, 0,
                           "the last dim is %lld, expected 1 (real) or 2 (complex)",
                           (long long)parts);
    TRY(dft_axis(in, &axis));
    y.dim[x->rank - 1] = a->inverse && a->onesided ? 1 : 2;
    dim_t n = axis < 0 ? DIM_UNKNOWN : x->dim[axis];
    if (a->inverse && a->onesided && n != DIM_UNKNOWN)
        n = infer_dim_op(in, '*', infer_shift(in, n, -1), 2);
    if (in->nx > DFT_LENGTH && in->x[DFT_LENGTH])
        n = known_scalar_of(in, DFT_LENGTH, &length) ? known_int(length) : DIM_UNKNOWN;
    else
        known_number(n, &length);
    if (length < 1)
        return infer_error(in, DIAG_value, DFT_LENGTH, "the length is %lld", (long long)length);
    if (a->onesided && !a->inverse && n != DIM_UNKNOWN)
        n = infer_shift(in, infer_dim_op(in, '/', n, 2), 1);
    const bool same = !a->onesided && !(in->nx > DFT_LENGTH && in->x[DFT_LENGTH]);
    for (int d = 0; !same && d < x->rank - 1; d++)
        y.dim[d] = axis < 0 ? DIM_UNKNOWN : d == axis ? n : x->dim[d];
    in->y[0] = type_make(x->dtype, x->rank, y.dim);
    return OK;
}

struct lines {
    int64_t in, parts, inner, n; /* input length and parts, inner elements, transform length */
};

static void load_line(struct fft *f, const double *x, const struct lines *l, bool mirror)
{
    const int64_t take = l->in < l->n ? l->in : l->n;

    memset(f->line, 0, 2 * (size_t)f->size * sizeof *f->line);
    for (int64_t i = 0; i < take; i++)
        for (int64_t p = 0; p < l->parts; p++)
            f->line[2 * i + p] = x[i * l->inner * l->parts + p];
    for (int64_t i = l->n / 2 + 1; mirror && i < l->n; i++) { /* a real signal's spectrum */
        f->line[2 * i] = f->line[2 * (l->n - i)];
        f->line[2 * i + 1] = -f->line[2 * (l->n - i) + 1];
    }
}

static enum status eval_dft(struct eval *e)
{
    const struct signal_attrs *a = e->attrs;
    const struct tensor *x = e->x[DFT_INPUT], *y = &e->y[0];
    const struct tensor *at = eval_in(e, DFT_AXIS), *length = eval_in(e, DFT_LENGTH);
    int64_t axis = at ? tensor_get_i64(at, 0) : -2;
    struct fft f;

    axis = axis < 0 ? axis + x->rank : axis;
    const bool back_to_real = a->inverse && a->onesided;
    struct lines l = { .in = x->dim[axis],
                       .parts = x->dim[x->rank - 1],
                       .inner = dims_product(x->dim, (int)axis + 1, x->rank - 1) };
    l.n = length ? tensor_get_i64(length, 0) : back_to_real ? 2 * (l.in - 1) : l.in;
    const int64_t out = y->dim[axis], parts = y->dim[y->rank - 1];
    const int64_t lines = dims_product(x->dim, 0, (int)axis) * l.inner;
    const double scale = a->inverse ? 1 / (double)l.n : 1;

    if (lines == 0)
        return OK;
    double *v = eval_doubles(e, x);
    fft_open(e, &f, l.n);
    for (int64_t i = 0; i < lines; i++) {
        const int64_t o = i / l.inner, c = i % l.inner;
        load_line(&f, v + (o * l.in * l.inner + c) * l.parts, &l, back_to_real);
        fft_run(&f, a->inverse ? 1 : -1);
        for (int64_t k = 0; k < out; k++)
            for (int64_t p = 0; p < parts; p++)
                store_one(&e->y[0], ((o * out + k) * l.inner + c) * parts + p,
                          f.line[2 * k + p] * scale);
    }
    fft_close(e, &f);
    pool_free(e->pool, v);
    return OK;
}

/* -- stft ------------------------------------------------------------------------------------- */
enum { STFT_SIGNAL, STFT_STEP, STFT_WINDOW, STFT_LENGTH };

static enum status stft_frame(struct infer *in, dim_t *length)
{
    const struct type *w = in->nx > STFT_WINDOW ? in->x[STFT_WINDOW] : NULL;
    int64_t v;

    *length = in->x[STFT_SIGNAL]->rank == 3 ? in->x[STFT_SIGNAL]->dim[1] : DIM_UNKNOWN;
    if (w && w->rank != RANK_UNKNOWN && w->rank != 1)
        return infer_error(in, DIAG_shape, STFT_WINDOW, "rank is %d, expected 1", w->rank);
    if (w)
        *length = w->rank == 1 ? w->dim[0] : DIM_UNKNOWN;
    if (in->nx > STFT_LENGTH && in->x[STFT_LENGTH]) {
        if (!known_scalar_of(in, STFT_LENGTH, &v))
            *length = DIM_UNKNOWN;
        else if (v < 1)
            return infer_error(in, DIAG_value, STFT_LENGTH, "the value is %lld", (long long)v);
        else if (w && dim_is_const(*length) && v != *length)
            return infer_error(in, DIAG_value, STFT_LENGTH, "frame_length is %lld, the window %lld",
                               (long long)v, (long long)*length);
        else
            *length = v;
    }
    return OK;
}

static enum status infer_stft(struct infer *in)
{
    const struct signal_attrs *a = in->attrs;
    const struct type *x = in->x[STFT_SIGNAL];
    dim_t dim[] = { DIM_UNKNOWN, DIM_UNKNOWN, DIM_UNKNOWN, 2 }, length;
    int64_t step;

    if (x->rank != RANK_UNKNOWN && x->rank != 3)
        return infer_error(in, DIAG_shape, 0, "rank is %d, expected 3", x->rank);
    TRY(known_one(in, STFT_STEP));
    TRY(known_one(in, STFT_LENGTH));
    TRY(stft_frame(in, &length));
    const bool stepped = known_scalar_of(in, STFT_STEP, &step);
    if (stepped && step < 1)
        return infer_error(in, DIAG_value, STFT_STEP, "frame_step is %lld", (long long)step);
    if (x->rank == 3)
        dim[0] = x->dim[0];
    if (length != DIM_UNKNOWN)
        dim[2] = a->onesided ? infer_shift(in, infer_dim_op(in, '/', length, 2), 1) : length;
    if (x->rank == 3 && dim_is_const(x->dim[1]) && dim_is_const(length)) {
        if (length < 1 || length > x->dim[1])
            return infer_error(in, DIAG_shape, 0, "frames of %lld in a signal of %lld",
                               (long long)length, (long long)x->dim[1]);
        if (stepped)
            dim[1] = (x->dim[1] - length) / step + 1;
    }
    in->y[0] = type_make(x->dtype, 4, dim);
    return OK;
}

static enum status eval_stft(struct eval *e)
{
    const struct signal_attrs *a = e->attrs;
    const struct tensor *x = e->x[STFT_SIGNAL], *w = eval_in(e, STFT_WINDOW);
    const struct tensor *length = eval_in(e, STFT_LENGTH);
    const int64_t step = tensor_get_i64(e->x[STFT_STEP], 0), parts = x->dim[2];
    const int64_t n = length ? tensor_get_i64(length, 0) : w ? w->dim[0] : x->dim[1];
    const int64_t frames = e->y[0].dim[1], bins = a->onesided ? n / 2 + 1 : n;
    double *v, *window;
    struct fft f;

    if (x->rank != 3 || parts < 1 || parts > 2)
        return eval_error(e, DIAG_shape, STFT_SIGNAL,
                          "a signal is [batch, length, 1 or 2], not of rank %d", x->rank);
    if (step < 1 || n < 1 || (frames > 0 && (frames - 1) * step + n > x->dim[1]))
        return eval_error(e, DIAG_value, STFT_STEP, "frames of %lld every %lld in a signal of %lld",
                          (long long)n, (long long)step, (long long)x->dim[1]);
    if (w && tensor_elements(w) != n)
        return eval_error(e, DIAG_shape, STFT_WINDOW, "the window has %lld elements, expected %lld",
                          (long long)tensor_elements(w), (long long)n);
    v = eval_doubles(e, x);
    window = eval_doubles(e, w);
    fft_open(e, &f, n);
    for (int64_t i = 0; i < x->dim[0] * frames; i++) {
        const double *from = v + (i / frames * x->dim[1] + i % frames * step) * parts;
        memset(f.line, 0, 2 * (size_t)f.size * sizeof *f.line);
        for (int64_t k = 0; k < n; k++)
            for (int64_t p = 0; p < parts; p++)
                f.line[2 * k + p] = from[k * parts + p] * (window ? window[k] : 1);
        fft_run(&f, -1);
        for (int64_t k = 0; k < 2 * bins; k++)
            store_one(&e->y[0], i * 2 * bins + k, f.line[k]);
    }
    fft_close(e, &f);
    pool_free(e->pool, v);
    pool_free(e->pool, window);
    return OK;
}

/* -- mel_weight_matrix ------------------------------------------------------------------------ */
enum { MEL_BINS, MEL_DFT, MEL_RATE, MEL_LOWER, MEL_UPPER };

static enum status infer_mel(struct infer *in)
{
    const struct signal_attrs *a = in->attrs;
    dim_t dim[] = { DIM_UNKNOWN, DIM_UNKNOWN };
    int64_t v;

    for (int j = 0; j < in->nx; j++)
        TRY(known_one(in, j));
    for (int j = 0; j < 3; j++)
        if (known_scalar_of(in, j, &v) && v < 1)
            return infer_error(in, DIAG_value, j, "the value is %lld", (long long)v);
    if (known_scalar_of(in, MEL_DFT, &v))
        dim[0] = v / 2 + 1;
    if (known_scalar_of(in, MEL_BINS, &v))
        dim[1] = v;
    in->y[0] = type_make((enum dtype)a->output_datatype, 2, dim);
    return OK;
}

/* Triangles between bin edges that are even in mel, O'Shaughnessy's 2595 log10(1 + f / 700). */
static enum status eval_mel(struct eval *e)
{
    const int64_t spectrum = e->y[0].dim[0], bins = e->y[0].dim[1];
    const double dft = tensor_get_f64(e->x[MEL_DFT], 0), rate = tensor_get_f64(e->x[MEL_RATE], 0);
    const double low = 2595 * log10(1 + tensor_get_f64(e->x[MEL_LOWER], 0) / 700);
    const double high = 2595 * log10(1 + tensor_get_f64(e->x[MEL_UPPER], 0) / 700);
    double *y = eval_scratch(e, spectrum * bins, sizeof *y);
    int64_t *edge = eval_scratch(e, bins + 2, sizeof *edge);

    for (int64_t i = 0; i < bins + 2; i++) {
        const double mel = low + (high - low) / (double)(bins + 2) * (double)i;
        const double at = floor((dft + 1) * 700 * (pow(10, mel / 2595) - 1) / rate);
        edge[i] = at > 0 ? (at < (double)spectrum ? (int64_t)at : spectrum) : 0; /* NaN: 0 */
    }
    for (int64_t i = 0; i < bins; i++) {
        const int64_t left = edge[i], mid = edge[i + 1], right = edge[i + 2];
        for (int64_t j = left; j <= mid && j < spectrum; j++)
            y[j * bins + i] = mid == left ? 1 : (double)(j - left) / (double)(mid - left);
        for (int64_t j = mid; j < right && j < spectrum; j++)
            y[j * bins + i] = (double)(right - j) / (double)(right - mid);
    }
    eval_store(e, 0, y);
    pool_free(e->pool, y);
    pool_free(e->pool, edge);
    return OK;
}

/* -- definitions ------------------------------------------------------------------------------ */
#define DATATYPE A_DTYPE(struct signal_attrs, output_datatype, DT_f32, "type of the result")
static const struct attr_def window_rows[] = {
    A_BOOL(struct signal_attrs, periodic, 1, "one period, without its end"),
    DATATYPE,
    { .kind = ATTR_END },
};
static const struct attr_def mel_rows[] = { DATATYPE, { .kind = ATTR_END } };
static const struct attr_def dft_rows[] = {
    A_BOOL(struct signal_attrs, inverse, 0, "the inverse, divided by the length"),
    A_BOOL(struct signal_attrs, onesided, 0, "half of the spectrum; of a real signal"),
    { .kind = ATTR_END },
};
static const struct attr_def stft_rows[] = {
    A_BOOL(struct signal_attrs, onesided, 1, "half of each spectrum"),
    { .kind = ATTR_END },
};

#define SIGNAL_OP(id, text, least, most, rows, infer_fn, eval_fn, ...)                             \
    const struct op_def op_##id = { .name = #id,                                                   \
                                    .doc = text,                                                   \
                                    .family = "signal",                                            \
                                    .min_in = least,                                               \
                                    .max_in = most,                                                \
                                    .min_out = 1,                                                  \
                                    .max_out = 1,                                                  \
                                    .traits = OP_PURE,                                             \
                                    .attrs_size = sizeof(struct signal_attrs),                     \
                                    .attrs = rows,                                                 \
                                    .infer = infer_fn,                                             \
                                    .eval = eval_fn,                                               \
                                    __VA_ARGS__ }
#define SIZE_OUT OP_IN(R_("size", DTM_INDEX)), OP_OUT(R_("output", DTM_ARITH))

SIGNAL_OP(hann_window, "Hann window.", 1, 1, window_rows, infer_window, eval_hann, SIZE_OUT);
SIGNAL_OP(hamming_window, "Hamming window.", 1, 1, window_rows, infer_window, eval_hamming,
          SIZE_OUT);
SIGNAL_OP(blackman_window, "Blackman window.", 1, 1, window_rows, infer_window, eval_blackman,
          SIZE_OUT);
SIGNAL_OP(dft, "Discrete Fourier transform along an axis; the last axis holds the parts.", 1, 3,
          dft_rows, infer_dft, eval_dft,
          OP_IN(R_("input", DTM_FLOATS), R_OPT("dft_length", DTM_INDEX), R_OPT("axis", DTM(i64))),
          OP_OUT(R_SAME("output", DTM_FLOATS)));
SIGNAL_OP(stft, "Fourier transforms of windowed frames of a signal.", 2, 4, stft_rows, infer_stft,
          eval_stft,
          OP_IN(R_("signal", DTM_FLOATS), R_("frame_step", DTM_INDEX),
                R_OPT_SAME("window", DTM_FLOATS), R_OPT("frame_length", DTM_INDEX)),
          OP_OUT(R_SAME("output", DTM_FLOATS)));
SIGNAL_OP(mel_weight_matrix, "Triangular filters that gather a spectrum into mel bins.", 5, 5,
          mel_rows, infer_mel, eval_mel,
          OP_IN(R_("num_mel_bins", DTM_INDEX), R_("dft_length", DTM_INDEX),
                R_("sample_rate", DTM_INDEX), R_("lower_edge_hertz", DTM_FLOATS),
                R_("upper_edge_hertz", DTM_FLOATS)),
          OP_OUT(R_("output", DTM_ARITH)));
