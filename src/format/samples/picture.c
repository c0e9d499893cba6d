/* picture.c - libjpeg and libpng behind setjmp: their errors come back here and end nothing.
 *
 * Each file is opened twice, for its size and for its pixels, so that no arena or pool is asked for
 * memory while a library holds its own.
 */
#include "format/samples/picture.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>
#include <png.h>

static enum status refuse(const struct blob *file, struct diags *ds, enum diag_code code,
                          const char *what)
{
    struct where at = WHERE_NONE;

    at.file = file->path;
    return diag_error(ds, code, at, "%s", what);
}

static bool is_jpeg(const uint8_t *p, size_t n)
{
    return n >= 3 && memcmp(p, "\xff\xd8\xff", 3) == 0;
}

static bool is_png(const uint8_t *p, size_t n)
{
    return n >= 8 && memcmp(p, "\x89PNG\r\n\x1a\n", 8) == 0;
}

bool picture_probe(const uint8_t *p, size_t n)
{
    return is_jpeg(p, n) || is_png(p, n);
}

/* ---- JPEG ---- */

enum { MAX_SCANS = 200 }; /* a progressive file with more is made to waste time */

struct jpeg_reader {
    struct jpeg_decompress_struct d;
    struct jpeg_error_mgr error;
    struct jpeg_progress_mgr progress;
    jmp_buf back;
    char message[JMSG_LENGTH_MAX];
};

static void jpeg_fails(j_common_ptr c)
{
    struct jpeg_reader *r = c->client_data;

    c->err->format_message(c, r->message);
    longjmp(r->back, 1);
}

/* libjpeg fills what is missing of a cut file with gray and merely warns. */
static void jpeg_message(j_common_ptr c, int level)
{
    if (level < 0 && (c->err->msg_code == JWRN_JPEG_EOF || c->err->msg_code == JWRN_HIT_MARKER))
        jpeg_fails(c);
}

static void jpeg_scans(j_common_ptr c)
{
    struct jpeg_reader *r = c->client_data;

    if (r->d.input_scan_number > MAX_SCANS) {
        snprintf(r->message, sizeof r->message, "more than %d scans", MAX_SCANS);
        longjmp(r->back, 1);
    }
}

static void jpeg_start(struct jpeg_reader *r, const struct blob *file)
{
    r->d.err = jpeg_std_error(&r->error);
    r->d.client_data = r;
    r->error.error_exit = jpeg_fails;
    r->error.emit_message = jpeg_message;
    r->progress.progress_monitor = jpeg_scans;
    jpeg_create_decompress(&r->d);
    r->d.client_data = r;
    r->d.progress = &r->progress;
    jpeg_mem_src(&r->d, file->data, (unsigned long)file->bytes);
    jpeg_read_header(&r->d, TRUE);
}

static bool jpeg_size(const struct blob *file, struct jpeg_reader *r, struct picture *out)
{
    if (setjmp(r->back)) {
        jpeg_destroy_decompress(&r->d);
        return false;
    }
    jpeg_start(r, file);
    out->h = (int)r->d.image_height;
    out->w = (int)r->d.image_width;
    if (r->d.num_components != 1 && r->d.num_components != 3) {
        snprintf(r->message, sizeof r->message, "CMYK pictures are not read");
        longjmp(r->back, 1);
    }
    jpeg_destroy_decompress(&r->d);
    return true;
}

/* One component decodes as gray and is spread to three from the end of each row. */
static void spread_gray(uint8_t *row, int w)
{
    for (int x = w; x-- > 0;)
        memset(row + 3 * (size_t)x, row[x], 3);
}

static bool jpeg_pixels(const struct blob *file, struct jpeg_reader *r, const struct picture *out)
{
    if (setjmp(r->back)) {
        jpeg_destroy_decompress(&r->d);
        return false;
    }
    jpeg_start(r, file);
    r->d.out_color_space = r->d.num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(&r->d);
    while (r->d.output_scanline < r->d.output_height) {
        JSAMPROW row = out->p + (size_t)r->d.output_scanline * (size_t)out->w * 3;

        jpeg_read_scanlines(&r->d, &row, 1);
        if (r->d.output_components == 1)
            spread_gray(row, out->w);
    }
    jpeg_finish_decompress(&r->d);
    jpeg_destroy_decompress(&r->d);
    return true;
}

/* ---- PNG ---- */

struct png_reader {
    const struct blob *file;
    size_t at;
    png_infop info; /* here, so that it survives the longjmp */
    char message[128];
};

static void png_fails(png_structp png, png_const_charp what)
{
    struct png_reader *r = png_get_error_ptr(png);

    snprintf(r->message, sizeof r->message, "%s", what);
    png_longjmp(png, 1);
}

static void png_warns(png_structp png, png_const_charp what)
{
    (void)png;
    (void)what;
}

static void png_bytes(png_structp png, png_bytep out, png_size_t n)
{
    struct png_reader *r = png_get_io_ptr(png);

    if (n > r->file->bytes - r->at)
        png_error(png, "the file is cut short");
    memcpy(out, r->file->data + r->at, n);
    r->at += n;
}

/* Whatever is in the file, rows of 8-bit RGB come out. */
static void png_ask_rgb(png_structp png, png_infop info)
{
    png_set_expand(png);
    png_set_strip_16(png);
    png_set_strip_alpha(png);
    if (!(png_get_color_type(png, info) & PNG_COLOR_MASK_COLOR))
        png_set_gray_to_rgb(png);
}

/* rows == NULL: only the size. */
static bool png_decode(struct png_reader *r, struct picture *out, png_bytepp rows)
{
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, r, png_fails, png_warns);

    if (!png)
        mem_fail(0);
    r->at = 0;
    r->info = NULL;
    if (setjmp(png_jmpbuf(png))) {
        png_destroy_read_struct(&png, &r->info, NULL);
        return false;
    }
    png_set_read_fn(png, r, png_bytes);
    png_set_user_limits(png, 65535, 65535);
    png_set_chunk_malloc_max(png, 64 << 20);
    r->info = png_create_info_struct(png);
    if (!r->info)
        png_error(png, "out of memory");
    png_read_info(png, r->info);
    out->h = (int)png_get_image_height(png, r->info);
    out->w = (int)png_get_image_width(png, r->info);
    if (rows) {
        png_ask_rgb(png, r->info);
        png_set_interlace_handling(png);
        png_read_update_info(png, r->info);
        if (png_get_rowbytes(png, r->info) != (size_t)out->w * 3)
            png_error(png, "an unknown kind of pixels");
        png_read_image(png, rows);
        png_read_end(png, NULL);
    }
    png_destroy_read_struct(&png, &r->info, NULL);
    return true;
}

static bool png_pixels(struct png_reader *r, struct picture *out, struct pool *pool)
{
    png_bytep *rows = pool_alloc(pool, mem_mul((size_t)out->h, sizeof *rows));
    bool ok;

    for (int y = 0; y < out->h; y++)
        rows[y] = out->p + (size_t)y * (size_t)out->w * 3;
    ok = png_decode(r, out, rows);
    pool_free(pool, rows);
    return ok;
}

/* ---- both ---- */

enum status picture_decode(const struct blob *file, struct pool *pool, struct picture *out,
                           struct diags *ds)
{
    struct jpeg_reader jpeg = { .message = "" };
    struct png_reader png = { .file = file };
    const bool is_j = is_jpeg(file->data, file->bytes);
    const char *message = is_j ? jpeg.message : png.message;

    *out = (struct picture){ .c = 3 };
    if (!picture_probe(file->data, file->bytes))
        return refuse(file, ds, DIAG_file, "neither JPEG nor PNG");
    if (!(is_j ? jpeg_size(file, &jpeg, out) : png_decode(&png, out, NULL)))
        return refuse(file, ds, DIAG_file, message);
    if (out->h <= 0 || out->w <= 0 || (int64_t)out->h * out->w > PICTURE_MAX_PIXELS)
        return refuse(file, ds, DIAG_limit, "more than 100 million pixels");
    out->p = pool_alloc(pool, mem_mul((size_t)out->h, (size_t)out->w * 3));
    if (is_j ? jpeg_pixels(file, &jpeg, out) : png_pixels(&png, out, pool))
        return OK;
    pool_free(pool, out->p);
    out->p = NULL;
    return refuse(file, ds, DIAG_file, message);
}

void picture_to_gray(struct picture *p)
{
    const size_t n = (size_t)p->h * (size_t)p->w;

    for (size_t i = 0; i < n; i++) {
        const uint8_t *q = p->p + 3 * i;

        p->p[i] = (uint8_t)((q[0] * 19595u + q[1] * 38470u + q[2] * 7471u + 0x8000u) >> 16);
    }
    p->c = 1;
}
