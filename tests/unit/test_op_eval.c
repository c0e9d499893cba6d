/* test_op_eval.c - reference kernels against values worked out by hand. */
#include <math.h>

#include "ir_help.h"

/* A graph of constants whose last node is %y; its elements, or what is said. */
struct row {
    const char *lines, *want;
};

/* clang-format off */
static const struct row elementwise[] = {
    { "%a = const i8[2] {127, -128}\n%b = const i8[2] {1, 1}\n%y = add(%a, %b)", "i8[2] -128 -127" },
    { "%a = const i8[2] {127, -128}\n%b = const i8[2] {1, 1}\n%y = sub(%a, %b)", "i8[2] 126 127" },
    { "%a = const u8[2] {3, 250}\n%b = const u8[1] {7}\n%y = mul(%a, %b)", "u8[2] 21 214" },
    { "%a = const i32[4] {7, -7, 7, 5}\n%b = const i32[4] {2, 2, -2, 0}\n%y = div(%a, %b)",
      "i32[4] 3 -3 -3 0" },
    { "%a = const i32[4] {7, -7, 7, 5}\n%b = const i32[4] {2, 2, -2, 0}\n%y = floor_div(%a, %b)",
      "i32[4] 3 -4 -4 0" },
    { "%a = const i32[3] {7, -7, 7}\n%b = const i32[3] {3, 3, -3}\n%y = mod(%a, %b)",
      "i32[3] 1 2 -2" },
    { "%a = const i32[3] {7, -7, 7}\n%b = const i32[3] {3, 3, -3}\n%y = mod(%a, %b) {fmod=1}",
      "i32[3] 1 -1 1" },
    { "%a = const f32[3] {5.5, -5.5, 3}\n%b = const f32[3] {2, 2, -inf}\n%y = mod(%a, %b)",
      "f32[3] 1.5 0.5 -inf" },
    { "%a = const i64[3] {-2, 3, 2}\n%b = const i64[3] {3, -1, 62}\n%y = pow(%a, %b)",
      "i64[3] -8 0 4611686018427387904" },
    { "%a = const i8[3] {-128, 1, -1}\n%b = const i8[3] {9, 7, 8}\n%y = bit_shift(%a, %b) {direction=RIGHT}",
      "i8[3] -1 0 -1" },
    { "%a = const u8[3] {3, 1, 255}\n%b = const u8[3] {1, 7, 8}\n%y = bit_shift(%a, %b) {direction=LEFT}",
      "u8[3] 6 128 0" },
    { "%a = const i64[2] {9223372036854775807, -1}\n%b = const i64[2] {9223372036854775806, -2}\n%y = max(%a, %b)",
      "i64[2] 9223372036854775807 -1" },
    { "%a = const u64[1] {18446744073709551615}\n%b = const u64[1] {1}\n%y = less(%b, %a)", "bool[1] 1" },
    { "%a = const f32[2] {nan(0x7fc00000), 1}\n%b = const f32[2] {1, nan(0x7fc00000)}\n%y = max(%a, %b)", "f32[2] nan nan" },
    { "%a = const f32[6] {0.5, 1.5, 2.5, -0.5, -1.5, nan(0x7fc00000)}\n%y = round(%a)", "f32[6] 0 2 2 -0 -2 nan" },
    { "%a = const f32[3] {-1, 0, nan(0x7fc00000)}\n%y = relu(%a)", "f32[3] 0 0 nan" },
    { "%a = const f32[3] {-1000, 0, 1000}\n%y = sigmoid(%a)", "f32[3] 0 0.5 1" },
    { "%a = const f32[2] {-1000, 1000}\n%y = softplus(%a)", "f32[2] 0 1000" },
    { "%a = const f32[3] {-4, 0, 4}\n%y = hard_swish(%a)", "f32[3] -0 0 4" },
    { "%a = const f32[4] {-2, 2, 9, nan(0x7fc00000)}\n%l = const f32[] {-1}\n%h = const f32[] {3}\n%y = clip(%a, %l, %h)",
      "f32[4] -1 2 3 nan" },
    { "%a = const f32[2] {1, 2}\n%l = const f32[] {5}\n%h = const f32[] {3}\n%y = clip(%a, %l, %h)",
      "f32[2] 3 3" },
    { "%a = const f32[2,1] {-2, 4}\n%b = const f32[3] {1, 10, 100}\n%y = mul(%a, %b) {act=relu6}",
      "f32[2,3] 0 0 0 4 6 6" },
    { "%c = const bool[2,1] {1, 0}\n%a = const i4[3] {1, 2, 3}\n%b = const i4[3] {-1, -2, -3}\n%y = where(%c, %a, %b)",
      "i4[2,3] 1 2 3 -1 -2 -3" },
    { "%a = const f32[2] {-inf, inf}\n%y = is_inf(%a) {detect_negative=0}", "bool[2] 0 1" },
    { "%a = const f32[3] {1, 2, 3}\n%b = const f32[1] {1}\n%c = const f32[3] {3, 3, 6}\n%y = mean(%a, %b, %c)",
      "f32[3] 1.66666663 2 3.33333325" },
};
static const struct row casts[] = {
    { "%a = const f32[4] {1.9, -1.9, 300, nan(0x7fc00000)}\n%y = cast(%a) {to=i32}", "i32[4] 1 -1 300 0" },
    { "%a = const i32[3] {200, -1, 256}\n%y = cast(%a) {to=i8}", "i8[3] -56 -1 0" },
    { "%a = const i32[3] {17, -1, 8}\n%y = cast(%a) {to=u4}", "u4[3] 1 15 8" },
    { "%a = const f32[3] {0.1, -0, nan(0x7fc00000)}\n%y = cast(%a) {to=bool}", "bool[3] 1 0 1" },
    { "%a = const f32[3] {65520, 65519, 1e-8}\n%y = cast(%a) {to=f16}", "f16[3] inf 65504 0" },
    { "%a = const f64[1] {1.00000006}\n%y = cast(%a) {to=f32}", "f32[1] 1.00000012" },
    { "%a = const f32[3] {1000, 17, -inf}\n%y = cast(%a) {to=f8e4m3fn}", "f8e4m3fn[3] 448 16 -448" },
    { "%a = const f32[1] {1000}\n%y = cast(%a) {to=f8e4m3fn, saturate=0}", "f8e4m3fn[1] nan" },
    { "%a = const f32[3] {3, 1.5, 1}\n%y = cast(%a) {to=f8e8m0}", "f8e8m0[3] 4 2 1" },
    { "%a = const f32[3] {3, 1.5, 1}\n%y = cast(%a) {to=f8e8m0, round_mode=down}", "f8e8m0[3] 2 1 1" },
    { "%a = const f32[5] {0.3, -6.1, 2.5, 5, 100}\n%y = cast(%a) {to=f4e2m1}", "f4e2m1[5] 0.5 -6 2 4 6" },
    { "%a = const f32[1] {1}\n%y = bit_cast(%a) {to=i32}", "i32[1] 1065353216" },
};
static const struct row reductions[] = {
    { "%a = const f32[2,3] {1, 2, 3, 4, 5, 6}\n%x = const i64[1] {0}\n%y = reduce_sum(%a, %x)", "f32[1,3] 5 7 9" },
    { "%a = const f32[2,3] {1, 2, 3, 4, 5, 6}\n%x = const i64[1] {-1}\n%y = reduce_mean(%a, %x) {keepdims=0}", "f32[2] 2 5" },
    { "%a = const f32[2,2,2] {1, 2, 3, 4, 5, 6, 7, 8}\n%x = const i64[2] {0, 2}\n%y = reduce_max(%a, %x)", "f32[1,2,1] 6 8" },
    { "%a = const f32[2,0] {}\n%x = const i64[1] {1}\n%y = reduce_prod(%a, %x) {keepdims=0}", "f32[2] 1 1" },
    { "%a = const f32[1,0] {}\n%x = const i64[1] {1}\n%y = reduce_max(%a, %x) {keepdims=0}", "f32[1] -inf" },
    { "%a = const i8[1,0] {}\n%x = const i64[1] {1}\n%y = reduce_max(%a, %x) {keepdims=0}", "i8[1] -128" },
    { "%a = const f32[3] {1000, 1000, 1000}\n%y = reduce_log_sum_exp(%a)", "f32[1] 1001.09863" },
    { "%a = const f32[2] {3, 4}\n%y = reduce_l2(%a) {noop_with_empty_axes=1}", "f32[2] 3 4" },
    { "%a = const i32[2] {-3, 4}\n%y = reduce_l1(%a)", "i32[1] 7" },
    { "%a = const f32[4] {1, 3, 3, nan(0x7fc00000)}\n%y = arg_max(%a)", "i64[1] 3" },
    { "%a = const f32[4] {1, 3, 3, 2}\n%y = arg_max(%a) {select_last_index=1}", "i64[1] 2" },
    { "%a = const i8[2,2] {1, 1, 0, 2}\n%y = arg_min(%a) {axis=1, keepdims=0}", "i64[2] 0 0" },
    { "%a = const f32[2,2] {1000, 1000, -1000, -1000}\n%y = softmax(%a) {axis=1}", "f32[2,2] 0.5 0.5 0.5 0.5" },
    { "%a = const f32[2,2] {0, 5, 0, 5}\n%y = softmax(%a) {axis=0}", "f32[2,2] 0.5 0.5 0.5 0.5" },
    { "%a = const f32[3] {1, 3, 3}\n%y = hardmax(%a)", "f32[3] 0 1 0" },
    { "%a = const f32[3] {1, 2, 3}\n%x = const i64[] {0}\n%y = cum_sum(%a, %x) {exclusive=1, reverse=1}", "f32[3] 5 3 0" },
    { "%a = const f32[2,2] {1, 2, 3, 4}\n%x = const i64[] {0}\n%y = cum_prod(%a, %x)", "f32[2,2] 1 2 3 8" },
};
static const struct row moves[] = {
    { "%a = const i4[2,3] {1, 2, 3, -4, -5, -6}\n%y = transpose(%a)", "i4[3,2] 1 -4 2 -5 3 -6" },
    { "%a = const f32[2,2,2] {1, 2, 3, 4, 5, 6, 7, 8}\n%y = transpose(%a) {perm=[1,2,0]}", "f32[2,2,2] 1 5 2 6 3 7 4 8" },
    { "%a = const u2[3] {1, 2, 3}\n%b = const u2[2] {0, 3}\n%y = concat(%a, %b) {axis=0}", "u2[5] 1 2 3 0 3" },
    { "%a = const i32[5] {0, 1, 2, 3, 4}\n%s = const i64[1] {-1}\n%e = const i64[1] {-9223372036854775808}\n"
      "%x = const i64[1] {0}\n%t = const i64[1] {-2}\n%y = slice(%a, %s, %e, %x, %t)", "i32[3] 4 2 0" },
    { "%a = const i32[5] {0, 1, 2, 3, 4}\n%s = const i64[1] {1}\n%e = const i64[1] {9223372036854775807}\n%y = slice(%a, %s, %e)",
      "i32[4] 1 2 3 4" },
    { "%a = const i32[2,3] {0, 1, 2, 3, 4, 5}\n%s = const i64[2] {1, -2}\n%e = const i64[2] {2, -1}\n%y = slice(%a, %s, %e) {shrink_mask=1}",
      "i32[1] 4" },
    { "%a = const i32[3] {1, 2, 3}\n%p = const i64[2] {2, 1}\n%y = pad(%a, %p) {mode=reflect}", "i32[6] 3 2 1 2 3 2" },
    { "%a = const i32[3] {1, 2, 3}\n%p = const i64[2] {2, 2}\n%y = pad(%a, %p) {mode=symmetric}", "i32[7] 2 1 1 2 3 3 2" },
    { "%a = const i32[3] {1, 2, 3}\n%p = const i64[2] {4, 1}\n%y = pad(%a, %p) {mode=wrap}", "i32[8] 3 1 2 3 1 2 3 1" },
    { "%a = const i32[4] {1, 2, 3, 4}\n%p = const i64[2] {-1, 2}\n%y = pad(%a, %p) {mode=edge}", "i32[5] 2 3 4 4 4" },
    { "%a = const i32[2,2] {1, 2, 3, 4}\n%p = const i64[2] {1, 0}\n%v = const i32[] {9}\n%x = const i64[1] {1}\n%y = pad(%a, %p, %v, %x)",
      "i32[2,3] 9 1 2 9 3 4" },
    { "%a = const i32[5] {1, 2, 3, 4, 5}\n%s = const i64[1] {2}\n%y = center_crop_pad(%a, %s)", "i32[2] 2 3" },
    { "%a = const i32[2] {1, 2}\n%s = const i64[1] {5}\n%y = center_crop_pad(%a, %s)", "i32[5] 0 1 2 0 0" },
    { "%a = const i32[2,1] {1, 2}\n%s = const i64[2] {1, 3}\n%y = expand(%a, %s)", "i32[2,3] 1 1 1 2 2 2" },
    { "%a = const i32[1,2] {1, 2}\n%s = const i64[2] {2, 2}\n%y = tile(%a, %s)", "i32[2,4] 1 2 1 2 1 2 1 2" },
    { "%a = const i32[2,3] {1, 2, 3, 4, 5, 6}\n%x = const i64[1] {-1}\n%y = reverse(%a, %x)", "i32[2,3] 3 2 1 6 5 4" },
    { "%a = const i32[3,2] {1, 2, 3, 4, 5, 6}\n%x = const i64[2] {2, 3}\n%y = reverse_sequence(%a, %x)", "i32[3,2] 3 6 1 4 5 2" },
    { "%a = const i32[1,4,1,1] {1, 2, 3, 4}\n%y = depth_to_space(%a) {blocksize=2}", "i32[1,1,2,2] 1 2 3 4" },
    { "%a = const i32[1,1,1,8] {1, 2, 3, 4, 5, 6, 7, 8}\n%y = depth_to_space(%a) {blocksize=2, layout=last}",
      "i32[1,2,2,2] 1 2 3 4 5 6 7 8" },
    { "%a = const i32[1,1,1,8] {1, 2, 3, 4, 5, 6, 7, 8}\n%y = depth_to_space(%a) {blocksize=2, layout=last, mode=CRD}",
      "i32[1,2,2,2] 1 5 2 6 3 7 4 8" },
    { "%a = const i32[1,2,2,2] {1, 5, 2, 6, 3, 7, 4, 8}\n%y = space_to_depth(%a) {blocksize=2, layout=last, mode=CRD}",
      "i32[1,1,1,8] 1 2 3 4 5 6 7 8" },
    { "%a = const i32[1,3,1] {1, 2, 3}\n%b = const i64[1] {2}\n%p = const i64[1,2] {1, 0}\n%y = space_to_batch_nd(%a, %b, %p)",
      "i32[2,2,1] 0 2 1 3" },
    { "%a = const i32[2,2,1] {0, 2, 1, 3}\n%b = const i64[1] {2}\n%p = const i64[1,2] {1, 0}\n%y = batch_to_space_nd(%a, %b, %p)",
      "i32[1,3,1] 1 2 3" },
    { "%a = const i32[2,3] {1, 2, 3, 4, 5, 6}\n%k = const i64[] {1}\n%y = trilu(%a, %k)", "i32[2,3] 0 2 3 0 0 6" },
    { "%a = const i32[2,3] {1, 2, 3, 4, 5, 6}\n%y = eye_like(%a) {k=1, dtype=f32}", "f32[2,3] 0 1 0 0 0 1" },
    { "%i = const i64[3] {1, -1, 3}\n%d = const i64[] {3}\n%v = const f32[2] {0, 5}\n%y = one_hot(%i, %d, %v)",
      "f32[3,3] 0 5 0 0 0 5 0 0 0" },
    { "%s = const f32[] {1}\n%e = const f32[] {0}\n%d = const f32[] {-0.25}\n%y = range(%s, %e, %d)", "f32[4] 1 0.75 0.5 0.25" },
    { "%s = const i64[2] {1, 2}\n%y = constant_of_shape(%s) {dtype=i4, ivalue=-3}", "i4[1,2] -3 -3" },
};
static const struct row indices[] = {
    { "%a = const i32[3,2] {1, 2, 3, 4, 5, 6}\n%i = const i64[2] {-1, 0}\n%y = gather(%a, %i)", "i32[2,2] 5 6 1 2" },
    { "%a = const i32[3] {1, 2, 3}\n%i = const i64[1] {3}\n%y = gather(%a, %i)",
      "t.slip: node \"y\" (gather), input 1 \"indices\": error: element 0 is 3, outside the dim of 3 [index]\n" },
    { "%a = const i32[2,2] {1, 2, 3, 4}\n%i = const i64[2,2] {0, 0, 1, 0}\n%y = gather_elements(%a, %i) {axis=1}", "i32[2,2] 1 1 4 3" },
    { "%a = const i32[2,2,2] {1, 2, 3, 4, 5, 6, 7, 8}\n%i = const i64[2,1] {1, 0}\n%y = gather_nd(%a, %i) {batch_dims=1}",
      "i32[2,2] 3 4 5 6" },
    { "%a = const f32[3] {1, 2, 3}\n%i = const i64[2] {1, 1}\n%u = const f32[2] {10, 20}\n%y = scatter_elements(%a, %i, %u) {reduction=add}",
      "f32[3] 1 32 3" },
    { "%a = const i32[2,2] {1, 2, 3, 4}\n%i = const i64[1,1] {-1}\n%u = const i32[1,2] {9, 0}\n%y = scatter_nd(%a, %i, %u) {reduction=max}",
      "i32[2,2] 1 2 9 4" },
    { "%a = const i32[1,3,1] {1, 2, 3}\n%u = const i32[1,2,1] {8, 9}\n%w = const i64[1] {2}\n%y = tensor_scatter(%a, %u, %w) {mode=circular}",
      "i32[1,3,1] 9 2 8" },
    { "%a = const i32[1,3,1] {1, 2, 3}\n%u = const i32[1,2,1] {8, 9}\n%w = const i64[1] {2}\n%y = tensor_scatter(%a, %u, %w)",
      "t.slip: node \"y\" (tensor_scatter), input 2 \"write_indices\": error: rows from 2 on are outside the cache of 3 [index]\n" },
    { "%a = const f32[5] {1, 3, nan(0x7fc00000), 3, 2}\n%k = const i64[1] {3}\n%y, %i = top_k(%a, %k)", "f32[3] nan 3 3" },
    { "%a = const f32[5] {1, 3, 0, 3, 2}\n%k = const i64[1] {2}\n%v, %y = top_k(%a, %k)", "i64[2] 1 3" },
    { "%a = const i32[4] {3, 1, 3, 2}\n%u, %i, %y = unique(%a)", "i64[4] 2 0 2 1" },
    { "%a = const i32[4] {3, 1, 3, 2}\n%y, %i, %n, %c = unique(%a) {sorted=0}", "i32[3] 3 1 2" },
    { "%a = const i32[2,2] {0, 5, 6, 0}\n%y = non_zero(%a)", "i64[2,2] 0 1 1 0" },
    { "%a = const i32[2,2] {1, 2, 3, 4}\n%c = const bool[2] {0, 1}\n%y = compress(%a, %c) {axis=1, has_axis=1}", "i32[2,1] 2 4" },
};
static const struct row codes[] = {
    { "%a = const f32[5] {0.5, 1.5, 2.5, 300, -300}\n%s = const f32[] {1}\n%z = const i8[] {0}\n%y = quantize_linear(%a, %s, %z)",
      "i8[5] 0 2 2 127 -128" },
    { "%a = const f32[2,2] {1, 2, 3, 4}\n%s = const f32[2] {1, 0.5}\n%z = const u8[2] {0, 10}\n%y = quantize_linear(%a, %s, %z) {axis=1}",
      "u8[2,2] 1 14 3 18" },
    { "%a = const f32[1,5] {2, 4, 6, 8, 9}\n%s = const f32[1,3] {2, 4, 3}\n%z = const i4[1,3] {0, 0, 1}\n"
      "%y = quantize_linear(%a, %s, %z) {axis=1, block_size=2}", "i4[1,5] 1 2 2 2 4" },
    { "%a = const u4[2,2] {0, 15, 8, 7}\n%s = const f32[2] {1, 2}\n%z = const u4[2] {8, 0}\n%y = dequantize_linear(%a, %s, %z) {axis=0}",
      "f32[2,2] -8 7 16 14" },
    { "%a = const i8[4,1] {1, 2, 3, 4}\n%s = const f32[2,1] {1, 10}\n%y = dequantize_linear(%a, %s) {axis=0, block_size=2}",
      "f32[4,1] 1 2 30 40" },
    { "%a = const f32[3] {0, 2, -3}\n%y, %s, %z = dynamic_quantize_linear(%a)", "u8[3] 153 255 0" },
    { "%a = const f32[3] {0, 0, 0}\n%y, %s, %z = dynamic_quantize_linear(%a)", "u8[3] 0 0 0" },
};
static const struct row sequences[] = {
    { "%a = const i32[1] {1}\n%b = const i32[2] {2, 3}\n%s = sequence_construct(%a, %b)\n%i = const i64[] {-1}\n%y = sequence_at(%s, %i)",
      "i32[2] 2 3" },
    { "%a = const i32[1] {1}\n%b = const i32[2] {2, 3}\n%s = sequence_construct(%a, %b)\n%i = const i64[] {0}\n"
      "%t = sequence_insert(%s, %b, %i)\n%y = concat_from_sequence(%t) {axis=0}", "i32[5] 2 3 1 2 3" },
    { "%a = const i32[1] {1}\n%s = sequence_construct(%a, %a)\n%i = const i64[] {2}\n%y = sequence_at(%s, %i)",
      "t.slip: node \"y\" (sequence_at), input 1 \"position\": error: is 2, the sequence has 2 elements [index]\n" },
    { "%a = const i32[5] {1, 2, 3, 4, 5}\n%n = const i64[] {2}\n%s = split_to_sequence(%a, %n)\n%y = sequence_length(%s)", "i64[] 3" },
    { "%a = const i32[1] {7}\n%o = optional(%a)\n%y = optional_get_element(%o)", "i32[1] 7" },
    { "%o = optional()\n%y = optional_has_element(%o)", "bool[] 0" },
};
/* clang-format on */

static const char *tensor_text(struct fixture *f, const struct tensor *t)
{
    struct str s;

    str_init(&s, f->arena);
    str_addf(&s, "%s[", dtype_name(t->dtype));
    for (int d = 0; d < t->rank; d++)
        str_addf(&s, "%s%lld", d ? "," : "", (long long)t->dim[d]);
    str_add(&s, "]");
    for (int64_t i = 0; i < tensor_elements(t); i++)
        if (dtype_is_float(t->dtype) && isnan(tensor_get_f64(t, i)))
            str_add(&s, " nan");
        else if (dtype_is_float(t->dtype))
            str_addf(&s, " %.9g", tensor_get_f64(t, i));
        else
            str_addf(&s, " %lld", (long long)tensor_get_i64(t, i));
    return str_text(&s);
}

/* Every node in order; value[] by value id. */
static enum status run_all(struct fixture *f, struct graph *g, struct pool *pool,
                           struct tensor *value)
{
    for (uint32_t i = 0; i < g->n_values; i++)
        if (graph_is_const(g, (value_id){ i }))
            graph_const_tensor(g, (value_id){ i }, &value[i]);
    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n)) {
        const struct node *p = graph_node(g, n);
        const struct tensor **x = ARENA_ARRAY(f->arena, const struct tensor *, p->n_in + 1);
        struct tensor *y = ARENA_ARRAY(f->arena, struct tensor, p->n_out + 1);

        for (int j = 0; j < p->n_in; j++)
            x[j] = has_value(p->in[j].v) ? &value[p->in[j].v.i] : NULL;
        TRY(op_eval_node(g, n, x, y, pool, NULL));
        for (int j = 0; j < p->n_out; j++)
            value[p->out[j].i] = y[j];
    }
    return OK;
}

static void check(const struct row *rows, size_t n)
{
    struct fixture f;

    setup(&f);
    for (size_t i = 0; i < n; i++) {
        const char *text = arena_printf(f.arena, "graph () {\n%s\nyield %%y\n}\n", rows[i].lines);
        struct pool *pool = pool_new(f.arena);
        struct graph *g = graph_of(&f, text);
        struct tensor *value = ARENA_ARRAY(f.arena, struct tensor, g->n_values);
        const value_id y = named(g, "y");

        if (run_all(&f, g, pool, value) != OK) {
            assert_string_equal(said(&f), rows[i].want);
            continue;
        }
        assert_string_equal(tensor_text(&f, &value[y.i]), rows[i].want);
    }
    teardown(&f);
}

#define TEST(rows)                                                                                 \
    static void test_##rows(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        check(rows, COUNT(rows));                                                                  \
    }
TEST(elementwise)
TEST(casts)
TEST(reductions)
TEST(moves)
TEST(indices)
TEST(codes)
TEST(sequences)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elementwise), cmocka_unit_test(test_casts),
        cmocka_unit_test(test_reductions),  cmocka_unit_test(test_moves),
        cmocka_unit_test(test_indices),     cmocka_unit_test(test_codes),
        cmocka_unit_test(test_sequences),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
