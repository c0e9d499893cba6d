/* tensor_pb.h - TensorProto, SequenceProto and OptionalProto <-> struct tensor. */
#ifndef FORMAT_ONNX_TENSOR_PB_H
#define FORMAT_ONNX_TENSOR_PB_H

#include "format/onnx/proto.h"
#include "ir/tensor.h"

/* ONNX's TensorProto.DataType: DT_NONE / 0 when there is none. */
enum dtype onnx_elem_dtype(int64_t elem);
int onnx_dtype_elem(enum dtype dt);

/* A TensorProto whose header was checked: type, rank, dims, and that its data is all there. */
struct onnx_tensor {
    const char *name, *doc; /* NULL: none */
    enum dtype dtype;
    int rank;
    int64_t dim[MAX_RANK];
    int64_t n;    /* elements */
    size_t bytes; /* of the data in memory */
    struct slice message;
    struct slice data; /* the bytes as they will lie in memory; p == NULL: must be decoded */
    bool external;
    const char *location;
    int64_t offset, length; /* length < 0: to be computed */
};
enum status onnx_tensor_parse(struct onnx_file *f, struct slice message, struct onnx_tensor *t);
/* Decode the typed data fields into t->bytes bytes at out (strings: pointers into the arena). */
enum status onnx_tensor_decode(struct onnx_file *f, const struct onnx_tensor *t, void *out);

/* A .pb file (ONNX test data) as a tensor, sequence or optional in the arena. kind -1: guess. The
 * file may hold any of the three messages and does not say which. */
enum status onnx_value_read(struct arena *a, const void *bytes, size_t n, int kind,
                            struct diags *ds, const char *path, struct tensor *out);
enum status onnx_tensor_read(struct arena *a, const void *bytes, size_t n, struct diags *ds,
                             struct tensor *out);
/* The fields of a TensorProto; its data is referenced. name NULL: none. */
void onnx_tensor_put(struct pbw *w, const struct tensor *t, const char *name);
/* A tensor, sequence or optional as one message in the arena. */
struct slice onnx_tensor_write(struct arena *a, const struct tensor *t, const char *name);

#endif
