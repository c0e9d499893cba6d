/* picture_resize.h - bilinear resizing of pictures, three ways that are not the same numbers.
 *
 *   pil    Pillow's Image.resize(BILINEAR): averages when shrinking, 22-bit fixed point, 8-bit between
 *          the two passes. Bit-equal.
 *   cv     OpenCV's resize(INTER_LINEAR): two taps, 11-bit fixed point. Bit-equal.
 *   torch  torch.nn.functional.interpolate(mode="bilinear", align_corners=False): two taps, float.
 *   torch_aa  the same with antialias=True.
 *
 * Pictures are rows of pixels of `c` interleaved bytes.
 */
#ifndef FORMAT_SAMPLES_PICTURE_RESIZE_H
#define FORMAT_SAMPLES_PICTURE_RESIZE_H

#include "base/mem.h"

enum resizer { RESIZE_PIL, RESIZE_CV, RESIZE_TORCH, RESIZE_TORCH_AA };

struct picture {
    int h, w, c;
    uint8_t *p;
};

/* pil and cv. out has its size and memory; scratch comes from the pool and goes back. */
void resize_u8(enum resizer how, const struct picture *in, const struct picture *out,
               struct pool *pool);
/* torch: out is oh*ow*c floats in 0..255. */
void resize_f32(enum resizer how, const struct picture *in, int oh, int ow, float *out,
                struct pool *pool);

#endif
