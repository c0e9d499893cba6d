/* write_io.c - what the file says about its inputs and outputs beyond the schema: original names,
 * permutations and encodings, as JSON in the metadata entry SLIPWAY_IO. */
#include "base/jsonw.h"
#include "format/tflite/tfl_write.h"

const char *wr_io_name(struct wr *w, const struct io *io, const char *stem, size_t i)
{
    return io->name && *io->name ? io->name : arena_printf(w->a, "%s_%zu", stem, i);
}

static void put_io(struct wr *w, struct jsonw *j, const struct io *io, const char *name)
{
    jsonw_object(j);
    jsonw_kstring(j, "name", name);
    jsonw_kstring(j, "dtype", dtype_name(io->type.dtype));
    jsonw_key(j, "shape");
    jsonw_array(j);
    for (int d = 0; d < io->type.rank; d++) {
        if (dim_is_const(io->type.dim[d]))
            jsonw_int(j, io->type.dim[d]);
        else
            jsonw_string(
                j, dim_is_symbol(io->type.dim[d]) ? graph_symbol_name(w->g, io->type.dim[d]) : "?");
    }
    jsonw_end(j);
    if (io->perm_rank > 0) {
        jsonw_key(j, "perm"); /* dim d of the file is dim perm[d] of the original */
        jsonw_array(j);
        for (int d = 0; d < io->perm_rank; d++)
            jsonw_int(j, io->perm[d]);
        jsonw_end(j);
    }
    if (io->enc && io->enc->n == 1) {
        jsonw_kstring(j, "storage", dtype_name(io->enc->storage));
        jsonw_kdouble(j, "scale", io->enc->scale[0]);
        jsonw_kint(j, "zero_point", encoding_zero(io->enc, 0));
    }
    jsonw_end(j);
}

const char *wr_io_json(struct wr *w)
{
    struct jsonw j;
    jsonw_init(&j, w->a);
    jsonw_object(&j);
    jsonw_key(&j, "inputs");
    jsonw_array(&j);
    for (size_t i = 0; i < w->g->n_io_in; i++)
        put_io(w, &j, &w->g->io_in[i], wr_io_name(w, &w->g->io_in[i], "input", i));
    jsonw_end(&j);
    jsonw_key(&j, "outputs");
    jsonw_array(&j);
    for (size_t i = 0; i < w->g->n_io_out; i++)
        put_io(w, &j, &w->g->io_out[i], wr_io_name(w, &w->g->io_out[i], "output", i));
    jsonw_end(&j);
    jsonw_end(&j);
    return jsonw_text(&j);
}
