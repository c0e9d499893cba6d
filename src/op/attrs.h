/* attrs.h - the attribute structs of the operators, by family.
 *
 * Fields are named as ONNX names the attribute (newest opset). Integer, bool and enum fields are
 * int64_t, floats are double, so one reader and one printer serve all (ir/op.h, attr_def). A struct
 * is shared by ops of one shape. Deviations from ONNX are marked "ours".
 */
#ifndef OP_ATTRS_H
#define OP_ATTRS_H

#include "ir/type.h"

/* Ours. Where the channel axis of a spatial op's activations and weights is. FIRST: N C spatial...,
 * weights O I/g spatial... (transposed convolution: I O/g spatial...). LAST: N spatial... C, weights
 * O spatial... I/g (transposed convolution too: O spatial... I/g). First field of all OP_SPATIAL
 * attrs. */
enum layout { LAYOUT_FIRST, LAYOUT_LAST };

/* Ours. Activation fused into the producing op, applied to the result before it is stored. */
enum fused_act { ACT_NONE, ACT_RELU, ACT_RELU6, ACT_RELU_N1_1, ACT_TANH };

enum auto_pad { PAD_NOTSET, PAD_SAME_UPPER, PAD_SAME_LOWER, PAD_VALID };

/* Numbers of enumerated attributes, in the order of their choices below. */
enum resize_mode { RESIZE_NEAREST, RESIZE_LINEAR, RESIZE_CUBIC };
enum resize_coord {
    COORD_HALF_PIXEL,
    COORD_HALF_PIXEL_SYMMETRIC,
    COORD_PYTORCH_HALF_PIXEL,
    COORD_ALIGN_CORNERS,
    COORD_ASYMMETRIC,
    COORD_TF_CROP_AND_RESIZE,
    COORD_TF_HALF_PIXEL_FOR_NN,
};
enum resize_nearest {
    NEAREST_ROUND_PREFER_FLOOR,
    NEAREST_ROUND_PREFER_CEIL,
    NEAREST_FLOOR,
    NEAREST_CEIL,
    NEAREST_ROUND_HALF_UP,
};
enum pad_mode { PADMODE_CONSTANT, PADMODE_REFLECT, PADMODE_EDGE, PADMODE_WRAP, PADMODE_SYMMETRIC };
enum scatter_reduction {
    REDUCTION_NONE,
    REDUCTION_ADD,
    REDUCTION_MUL,
    REDUCTION_MAX,
    REDUCTION_MIN,
};
enum space_depth_mode { SPACE_DCR, SPACE_CRD };

struct foreign_attrs {
    const char *domain, *op_type;
    int64_t version;
    struct {
        const uint8_t *v;
        size_t n;
    } raw; /* attr_blob: the attributes as the source had them */
};

/* conv: X W B?; conv_transpose: X W B?; conv_integer: x w x_zero_point? w_zero_point? */
struct conv_attrs {
    int64_t layout;
    int64_t group;
    int64_t auto_pad;
    struct ints kernel_shape, strides, pads, dilations; /* empty: from W, all 1, all 0, all 1 */
    struct ints output_padding, output_shape;           /* conv_transpose only */
    int64_t act;                                        /* ours: fused_act (conv, conv_transpose) */
};

/* max_pool, average_pool, lp_pool, and the global ones (layout, p only) */
struct pool_attrs {
    int64_t layout;
    int64_t auto_pad;
    int64_t ceil_mode, count_include_pad, storage_order, p;
    struct ints kernel_shape, strides, pads, dilations;
    int64_t act; /* ours */
};

struct batch_norm_attrs { /* batch_normalization: X scale B mean var */
    int64_t layout;
    double epsilon, momentum;
    int64_t training_mode;
};
struct norm_attrs { /* instance_, layer_, rms_, group_normalization, mean_variance_, lp_ */
    int64_t layout;
    int64_t axis, num_groups, p, stash_type;
    double epsilon;
    struct ints axes;
};
struct lrn_attrs {
    int64_t layout;
    int64_t size;
    double alpha, beta, bias;
};
struct resize_attrs {                       /* resize: X roi? scales? sizes? */
    int64_t mode;                           /* nearest linear cubic */
    int64_t coordinate_transformation_mode; /* half_pixel half_pixel_symmetric pytorch_half_pixel
                                               align_corners asymmetric tf_crop_and_resize
                                               tf_half_pixel_for_nn */
    int64_t nearest_mode;                   /* round_prefer_floor round_prefer_ceil floor ceil;
                                               ours, TFLite's: round_half_up */
    int64_t antialias, exclude_outside, keep_aspect_ratio_policy;
    double cubic_coeff_a, extrapolation_value;
    struct ints axes;
};
struct space_depth_attrs { /* depth_to_space, space_to_depth */
    int64_t layout;
    int64_t blocksize, mode; /* DCR CRD */
};
struct gemm_attrs { /* gemm: A B C? */
    double alpha, beta;
    int64_t transA, transB;
    int64_t act; /* ours */
};
/* ours: fully_connected: X[..., I] W[O, I] B[O]? -> [..., O]; TFLite's op, also Gemm/MatMul with a
 * constant second operand after canonicalisation for TFLite. */
struct fully_connected_attrs {
    int64_t keep_num_dims, act;
    int64_t asymmetric_quantize_inputs; /* hybrid execution, TFLite */
};
struct binary_attrs { /* add sub mul div ... */
    int64_t act;      /* ours */
};
struct axis_attrs { /* softmax log_softmax hardmax concat gather ... : axis */
    int64_t axis;
    double beta; /* ours, softmax: exp(beta * x) */
};
struct alpha_attrs { /* leaky_relu elu celu selu thresholded_relu hard_sigmoid shrink swish ... */
    double alpha, beta, gamma;
};
struct gelu_attrs {
    int64_t approximate; /* none tanh */
};
struct reduce_attrs { /* reduce_*: data axes? */
    int64_t keepdims, noop_with_empty_axes;
};
struct arg_attrs { /* arg_max arg_min */
    int64_t axis, keepdims, select_last_index;
    int64_t out_dtype; /* ours: i64 (ONNX) or i32 (TFLite) */
};
struct cast_attrs { /* cast, cast_like, bit_cast */
    int64_t to, saturate, round_mode;
};
struct transpose_attrs {
    struct ints perm; /* empty: reversed */
};
struct reshape_attrs {
    int64_t allowzero;
};
struct flatten_attrs {
    int64_t axis;
};
struct shape_attrs {
    int64_t start, end; /* end: MAX_RANK when absent */
    int64_t out_dtype;  /* ours: i64 or i32 */
};
struct split_attrs { /* split: input split? */
    int64_t axis, num_outputs;
};
struct pad_attrs { /* pad: data pads constant_value? axes? */
    int64_t mode;  /* constant reflect edge wrap; ours, TFLite's: symmetric */
};
struct
    gather_attrs { /* gather, gather_elements, gather_nd, scatter_elements, scatter_nd, compress */
    int64_t axis, batch_dims;
    int64_t reduction; /* none add mul max min */
    int64_t has_axis;  /* ours: compress, unique without an axis work on the flat tensor */
};
struct slice_attrs { /* ours: shrink_mask (bit d: axis d is dropped from the result) as TFLite's
                        STRIDED_SLICE; 0 for ONNX. slice: data starts ends axes? steps? */
    int64_t shrink_mask;
};
struct topk_attrs {
    int64_t axis, largest, sorted;
    int64_t out_dtype; /* ours */
};
struct cum_attrs {
    int64_t exclusive, reverse;
};
struct quantize_attrs { /* quantize_linear, dequantize_linear, dynamic_quantize_linear */
    int64_t axis, block_size, output_dtype, saturate, precision;
};
struct rnn_attrs {     /* rnn lstm gru; operands as ONNX */
    int64_t direction; /* forward reverse bidirectional */
    int64_t hidden_size, layout, input_forget, linear_before_reset;
    double clip; /* 0: none */
    struct strs activations;
    struct floats activation_alpha, activation_beta;
};
struct deform_attrs { /* deform_conv: X W offset B? mask? */
    int64_t group, offset_group;
    struct ints kernel_shape, strides, pads, dilations;
};
struct causal_conv_attrs { /* causal_conv_with_state: input weight bias? past_state? */
    int64_t activation;    /* none silu swish */
};
struct roi_attrs {                          /* max_roi_pool, roi_align */
    int64_t coordinate_transformation_mode; /* half_pixel output_half_pixel */
    int64_t mode;                           /* avg max */
    int64_t output_height, output_width, sampling_ratio;
    double spatial_scale;
    struct ints pooled_shape;
};
struct batch_mat_mul_attrs { /* ours: TFLite's BATCH_MATMUL */
    int64_t adj_x, adj_y;
    int64_t asymmetric_quantize_inputs;
};
/* ours: unidirectional_sequence_lstm, operands as TFLite's; results: output, new activation state,
 * new cell state */
struct sequence_lstm_attrs {
    int64_t act, time_major, asymmetric_quantize_inputs;
    double cell_clip, proj_clip; /* 0: none */
    /* integer execution: how the four gates' products and the hidden state are stored (the file's
     * intermediate tensors) */
    struct floats intermediate_scale;
    struct ints intermediate_zero, intermediate_dtype;
};
/* ours: svdf: input weights_feature weights_time bias? state; results: output, new state */
struct svdf_attrs {
    int64_t rank, act, asymmetric_quantize_inputs;
};
struct grid_attrs {       /* grid_sample, affine_grid */
    int64_t mode;         /* linear nearest cubic */
    int64_t padding_mode; /* zeros border reflection */
    int64_t align_corners;
};
struct col2im_attrs { /* col2im: input image_shape block_shape */
    struct ints strides, pads, dilations;
};
struct signal_attrs { /* dft, stft, the windows, mel_weight_matrix */
    int64_t inverse, onesided, periodic, output_datatype;
};
struct nms_attrs { /* non_max_suppression */
    int64_t center_point_box;
};
struct attention_attrs { /* attention, flex_attention */
    int64_t is_causal, q_num_heads, kv_num_heads, qk_matmul_output_mode, softmax_precision;
    int64_t left_window_size, right_window_size; /* -1: no bound */
    double scale, softcap;                       /* scale 0: 1/sqrt(head size) */
};
struct linear_attention_attrs {
    int64_t q_num_heads, kv_num_heads, chunk_size;
    int64_t update_rule; /* linear gated delta gated_delta */
    double scale;        /* 0: 1/sqrt(head size) */
};
struct rotary_attrs { /* rotary_embedding: X cos_cache sin_cache position_ids? */
    int64_t interleaved, num_heads, rotary_embedding_dim;
};
struct loss_attrs {       /* negative_log_likelihood_loss, softmax_cross_entropy_loss */
    int64_t reduction;    /* none sum mean */
    int64_t ignore_index; /* INT64_MIN when absent */
};
struct tfidf_attrs { /* tf_idf_vectorizer */
    int64_t min_gram_length, max_gram_length, max_skip_count;
    int64_t mode; /* TF IDF TFIDF */
    struct ints ngram_counts, ngram_indexes, pool_int64s;
    struct strs pool_strings;
    struct floats weights;
};
struct scan_attrs { /* scan: initial states then scan inputs */
    int64_t num_scan_inputs;
    struct ints scan_input_axes, scan_output_axes, scan_input_directions, scan_output_directions;
};
struct einsum_attrs {
    const char *equation;
};
struct trilu_attrs {
    int64_t upper;
};
struct fill_attrs { /* constant_of_shape: input; value is an encoded scalar */
    int64_t dtype;
    double value;   /* floats; integers up to 2^53 */
    int64_t ivalue; /* integers */
};
struct mod_attrs {
    int64_t fmod;
};
struct shift_attrs {   /* bit_shift */
    int64_t direction; /* LEFT RIGHT */
};
struct isinf_attrs {
    int64_t detect_negative, detect_positive;
};
struct unique_attrs {
    int64_t axis, has_axis, sorted;
};
struct tensor_scatter_attrs {
    int64_t axis, mode; /* linear circular */
};
struct eye_attrs {
    int64_t dtype, k;
};
struct axes_attrs { /* center_crop_pad */
    struct ints axes;
};
struct reverse_sequence_attrs {
    int64_t batch_axis, time_axis;
};
struct range_attrs {
    int64_t stash_type;
};
struct dropout_attrs {
    int64_t seed;
};
struct random_attrs { /* random_normal, random_uniform and their _like, bernoulli, multinomial */
    int64_t dtype, sample_size;
    double mean, scale, low, high, seed;
    struct ints shape;
};
struct sequence_attrs { /* sequence_empty dtype; concat_from_sequence, split_to_sequence */
    int64_t dtype, axis, new_axis, keepdims;
};
struct optional_attrs { /* optional without an operand: the type it is empty of */
    int64_t dtype;
    int64_t sequence; /* an optional sequence */
};

#endif
