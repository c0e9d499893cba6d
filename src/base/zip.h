/* zip.h - read a zip archive that lies in memory (PKWARE APPNOTE.TXT 6.3).
 *
 * Stored and deflated entries, zip64. Every offset, length and count is checked before it is
 * followed; names are never paths for us, nothing is written to disk. Encrypted and split archives
 * are refused.
 */
#ifndef BASE_ZIP_H
#define BASE_ZIP_H

#include "base/blob.h"
#include "base/str.h"

enum zip_crc {
    ZIP_CRC_STRICT,
    ZIP_CRC_ZERO_IS_ABSENT, /* some writers leave 0 there (PyTorch with checksums off) */
};

/* Bombs: an entry may inflate to 1 GiB, beyond that to at most 100 times the archive's size. */
#define ZIP_FREE_BYTES ((uint64_t)1 << 30)
#define ZIP_MAX_RATIO 100
#define ZIP_MAX_ENTRIES ((uint64_t)1 << 20)

struct zip_entry {
    const char *name; /* valid UTF-8, ends in NUL */
    uint64_t bytes;   /* inflated */
    uint64_t packed;
    uint64_t at; /* of the data in the archive */
    uint32_t crc;
    bool deflated;
};

struct zip {
    const uint8_t *data;
    size_t bytes;
    const char *file;
    struct diags *diags;
    enum zip_crc crc;
    struct zip_entry *entry; /* in the order of the central directory */
    size_t n;
    struct strmap index;
};

bool zip_probe(const uint8_t *p, size_t n); /* starts like a zip */
enum status zip_open(struct arena *a, const uint8_t *data, size_t bytes, const char *file,
                     enum zip_crc crc, struct diags *ds, struct zip **out);
const struct zip_entry *zip_find(const struct zip *z, const char *name); /* NULL: no such */
/* The bytes of an entry: in place when stored, else inflated into the arena. Checks the CRC. */
enum status zip_bytes(const struct zip *z, const struct zip_entry *e, struct arena *a,
                      const uint8_t **out);
/* The same into memory of the caller, e->bytes long. */
enum status zip_read(const struct zip *z, const struct zip_entry *e, void *out);

#endif
