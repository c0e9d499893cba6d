/* samples.h - input data in every form users have it (DESIGN section 4, "DATA").
 *
 * A folder of .npy .npz .raw .bin or JPEG/PNG pictures, an input_list.txt (SNPE grammar), an ONNX
 * test_data_set folder, "random:SEED:N", a data.yaml, or (samples_open_files) single files per input.
 * Samples are loaded one at a time; memory does not depend on their number.
 */
#ifndef FORMAT_SAMPLES_SAMPLES_H
#define FORMAT_SAMPLES_SAMPLES_H

#include "ir/encoding.h"
#include "ir/graph.h"
#include "ir/tensor.h"

/* One model input as the data has to fit it. */
struct sample_input {
    const char *name;
    struct type type;           /* logical type; dims that may vary are symbols or unknown */
    const struct encoding *enc; /* stored type of the input, NULL: none */
    /* Dim d of the input is dim perm[d] of the original model's: a tensor that does not fit as it is
     * may have the original's layout. 0: there is no other layout. */
    int perm_rank;
    const uint8_t *perm;
};

/* The inputs of a graph that data is given for: all but carried states. stored: they may also come in
 * the type the model stores. */
struct sample_input *samples_inputs(struct arena *a, const struct graph *g, bool stored, int *n);

struct samples_options {
    bool native; /* .raw files hold the input's own storage type, not float32 */
    bool quiet;  /* no note on what was assumed about pictures */
};

struct samples;

enum status samples_open(struct arena *a, const char *spec, const struct sample_input *in, int n_in,
                         const struct samples_options *o, struct diags *ds, struct samples **out);
/* One sample: file[i] for input i. */
enum status samples_open_files(struct arena *a, const char *const *file,
                               const struct sample_input *in, int n_in,
                               const struct samples_options *o, struct diags *ds,
                               struct samples **out);
int64_t samples_count(const struct samples *s);
/* A short name of sample k for messages: the file's. */
const char *samples_name(const struct samples *s, int64_t k);
/* Fill out[n_in]; data is taken from the pool (the caller frees it). dtype is the input's logical
 * type, or its storage type when the file holds that. */
enum status samples_load(struct samples *s, int64_t k, struct pool *pool, struct tensor *out);
/* SHA-256 over the names and contents of all samples, for manifests; hex. */
enum status samples_hash(struct samples *s, char out[65]);

#endif
