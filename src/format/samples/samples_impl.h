/* samples_impl.h - what the parts of samples share. */
#ifndef FORMAT_SAMPLES_SAMPLES_IMPL_H
#define FORMAT_SAMPLES_SAMPLES_IMPL_H

#include "base/blob.h"
#include "format/samples/prepare.h"

enum item_kind { ITEM_NONE, ITEM_NPY, ITEM_NPZ, ITEM_RAW, ITEM_PICTURE, ITEM_PB };

/* Where one input of one sample comes from. */
struct item {
    enum item_kind kind;
    const char *path;
    const struct prepare *prepare; /* of a picture */
};

struct samples {
    struct arena *arena;
    struct diags *diags;
    const struct sample_input *in;
    int n_in;
    struct samples_options options;
    int64_t count;
    struct item *item; /* [count][n_in]; NULL: random */
    const char **name; /* [count]; NULL: from the items */
    uint64_t seed;
    struct arena *scratch;         /* of the sample that is being loaded */
    const struct prepare *assumed; /* for pictures nobody described */
    bool told;
};

/* A list of files that grows. */
struct file_list {
    const char **path;
    size_t n, cap;
};
void files_add(struct samples *s, struct file_list *f, const char *path);

enum item_kind item_kind_of(const char *path); /* by suffix; ITEM_NONE: foreign */
/* An item for whatever file the user named: the suffix, else the first bytes, else raw. */
struct item item_of(const struct samples *s, const char *path, const struct prepare *p);

enum status samples_say(const struct samples *s, const char *file, enum diag_code code,
                        const char *fmt, ...) PRINTF_LIKE(4, 5);

/* samples_folder.c */
enum status samples_folder(struct samples *s, const char *dir, const struct prepare *p);
/* The data files of a folder; foreign ones are named once. */
enum status folder_files(struct samples *s, const char *dir, struct file_list *out);
/* One list for each input, of equal length. */
enum status samples_from_lists(struct samples *s, const char *where, const struct file_list *lists,
                               const struct prepare *const *p);
/* One input, or .npz files with a member for each. */
enum status samples_from_files(struct samples *s, const char *where, const struct file_list *f,
                               const struct prepare *p);

/* samples_text.c */
enum status samples_input_list(struct samples *s, const char *path);
enum status samples_yaml(struct samples *s, const char *path);

/* samples_load.c */
enum status item_load(struct samples *s, int i, const struct item *item, struct pool *pool,
                      struct tensor *out);
void random_fill(const struct samples *s, int64_t k, int i, struct pool *pool, struct tensor *out);

#endif
