/* picture.h - JPEG and PNG files as rows of 8-bit RGB.
 *
 * Gray becomes R = G = B; palettes are looked up; 16 bits keep the upper byte; alpha is dropped, not
 * blended. EXIF orientation, gamma and colour profiles are ignored, as Pillow and OpenCV's decoders
 * ignore them unless asked. CMYK is refused.
 */
#ifndef FORMAT_SAMPLES_PICTURE_H
#define FORMAT_SAMPLES_PICTURE_H

#include "base/blob.h"
#include "format/samples/picture_resize.h"

#define PICTURE_MAX_PIXELS ((int64_t)100 << 20)

bool picture_probe(const uint8_t *p, size_t n);
/* out->p is taken from the pool (the caller frees it). */
enum status picture_decode(const struct blob *file, struct pool *pool, struct picture *out,
                           struct diags *ds);
/* To one channel, in place of the three: ITU-R 601 luma in Pillow's fixed point. */
void picture_to_gray(struct picture *p);

#endif
