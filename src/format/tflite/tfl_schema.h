/* tfl_schema.h - the TFLite schema: field ids, codes and types, by the numbers of schema.fbs (3d).
 *
 * An operator's code and the index of its options are the schema's; only those we read or write by
 * name appear here.
 */
#ifndef FORMAT_TFLITE_TFL_SCHEMA_H
#define FORMAT_TFLITE_TFL_SCHEMA_H

#include "ir/type.h"

/* clang-format off */
enum { MODEL_version, MODEL_operator_codes, MODEL_subgraphs, MODEL_description, MODEL_buffers,
       MODEL_metadata_buffer, MODEL_metadata, MODEL_signature_defs };
enum { CODE_deprecated, CODE_custom, CODE_version, CODE_builtin };
enum { SUBGRAPH_tensors, SUBGRAPH_inputs, SUBGRAPH_outputs, SUBGRAPH_operators, SUBGRAPH_name };
enum { TENSOR_shape, TENSOR_type, TENSOR_buffer, TENSOR_name, TENSOR_quantization,
       TENSOR_is_variable, TENSOR_sparsity, TENSOR_shape_signature, TENSOR_has_rank };
enum { QUANT_min, QUANT_max, QUANT_scale, QUANT_zero_point, QUANT_details_type, QUANT_details,
       QUANT_dimension };
enum { OPERATOR_opcode, OPERATOR_inputs, OPERATOR_outputs, OPERATOR_options_type,
       OPERATOR_options, OPERATOR_custom_options, OPERATOR_custom_format, OPERATOR_mutating,
       OPERATOR_intermediates };
enum { BUFFER_data, BUFFER_offset, BUFFER_size };
enum { METADATA_name, METADATA_buffer };
enum { SIGNATURE_inputs, SIGNATURE_outputs, SIGNATURE_key, SIGNATURE_deprecated,
       SIGNATURE_subgraph };
enum { TENSORMAP_name, TENSORMAP_index };

enum { PADDING_SAME, PADDING_VALID };
enum { TACT_NONE, TACT_RELU, TACT_RELU_N1_TO_1, TACT_RELU6, TACT_TANH, TACT_SIGN_BIT };

enum builtin {
    B_ADD = 0, B_AVERAGE_POOL_2D = 1, B_CONCATENATION = 2, B_CONV_2D = 3, B_DEPTHWISE_CONV_2D = 4,
    B_DEPTH_TO_SPACE = 5, B_DEQUANTIZE = 6, B_EMBEDDING_LOOKUP = 7, B_FLOOR = 8,
    B_FULLY_CONNECTED = 9, B_L2_NORMALIZATION = 11, B_L2_POOL_2D = 12,
    B_LOCAL_RESPONSE_NORMALIZATION = 13, B_LOGISTIC = 14, B_MAX_POOL_2D = 17, B_MUL = 18,
    B_RELU = 19, B_RELU_N1_TO_1 = 20, B_RELU6 = 21, B_RESHAPE = 22, B_RESIZE_BILINEAR = 23,
    B_SOFTMAX = 25, B_SPACE_TO_DEPTH = 26, B_SVDF = 27, B_TANH = 28, B_CUSTOM = 32, B_PAD = 34,
    B_GATHER = 36, B_BATCH_TO_SPACE_ND = 37, B_SPACE_TO_BATCH_ND = 38, B_TRANSPOSE = 39,
    B_MEAN = 40, B_SUB = 41, B_DIV = 42, B_SQUEEZE = 43, B_UNIDIRECTIONAL_SEQUENCE_LSTM = 44,
    B_STRIDED_SLICE = 45, B_EXP = 47, B_TOPK_V2 = 48, B_SPLIT = 49, B_LOG_SOFTMAX = 50,
    B_CAST = 53, B_PRELU = 54, B_MAXIMUM = 55, B_ARG_MAX = 56, B_MINIMUM = 57, B_LESS = 58,
    B_NEG = 59, B_PADV2 = 60, B_GREATER = 61, B_GREATER_EQUAL = 62, B_LESS_EQUAL = 63,
    B_SELECT = 64, B_SLICE = 65, B_SIN = 66, B_TRANSPOSE_CONV = 67, B_TILE = 69,
    B_EXPAND_DIMS = 70, B_EQUAL = 71, B_NOT_EQUAL = 72, B_LOG = 73, B_SUM = 74, B_SQRT = 75,
    B_RSQRT = 76, B_SHAPE = 77, B_POW = 78, B_ARG_MIN = 79, B_REDUCE_PROD = 81,
    B_REDUCE_MAX = 82, B_PACK = 83, B_LOGICAL_OR = 84, B_ONE_HOT = 85, B_LOGICAL_AND = 86,
    B_LOGICAL_NOT = 87, B_UNPACK = 88, B_REDUCE_MIN = 89, B_FLOOR_DIV = 90, B_REDUCE_ANY = 91,
    B_SQUARE = 92, B_ZEROS_LIKE = 93, B_FILL = 94, B_FLOOR_MOD = 95, B_RANGE = 96,
    B_RESIZE_NEAREST_NEIGHBOR = 97, B_LEAKY_RELU = 98, B_SQUARED_DIFFERENCE = 99,
    B_MIRROR_PAD = 100, B_ABS = 101, B_SPLIT_V = 102, B_CEIL = 104, B_REVERSE_V2 = 105,
    B_ADD_N = 106, B_GATHER_ND = 107, B_COS = 108, B_WHERE = 109, B_RANK = 110, B_ELU = 111,
    B_QUANTIZE = 114, B_ROUND = 116, B_HARD_SWISH = 117, B_IF = 118, B_WHILE = 119,
    B_SCATTER_ND = 122, B_SELECT_V2 = 123, B_BATCH_MATMUL = 126, B_PLACEHOLDER = 127,
    B_CUMSUM = 128, B_BROADCAST_TO = 130, B_CONV_3D = 132, B_REDUCE_ALL = 140, B_GELU = 150,
    B_RELU_0_TO_1 = 152, B_ATAN2 = 156, B_SIGN = 158, B_BITWISE_XOR = 160,
    B_COUNT = 210
};
/* clang-format on */

/* "CONV_2D"; "BUILTIN_n" for a code newer than ours. Never NULL; the arena may hold the text. */
const char *tfl_code_name(struct arena *a, int code);

/* TensorType <-> dtype; DT_NONE / -1: the other side has no such type. */
enum dtype tfl_dtype(int tensor_type);
int tfl_tensor_type(enum dtype dt);

#endif
